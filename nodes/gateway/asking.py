"""How routes reach the node: from the event loop, and never blocking it."""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection
from typing import Annotated, Concatenate, ParamSpec, TypeVar

from anyio.to_thread import run_sync
from fastapi import Depends, Query, Request

from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError

P = ParamSpec("P")
A = TypeVar("A")

INDEX_WAIT_S = 2.0
"""How long an answer waits for the index to take in what the node has executed: milliseconds, but for a catch-up."""

PAGE_MAX = 200


def _node_of(request: Request) -> NodeView:
    node: NodeView = request.app.state.node
    return node


Node = Annotated[NodeView, Depends(_node_of)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="items on a page")]


async def ask(
    node: NodeView, question: Callable[Concatenate[Connection, P], A], *args: P.args, **kwargs: P.kwargs
) -> A:
    """Return the index's answer, which covers at least every block that the node had executed when it was asked.

    Raises:
        ProblemError: `index_behind`.
        IndexUnavailableError: The index cannot be read.
    """
    height = node.state.height
    if not await node.progress.wait_until(lambda: node.index.height >= height, INDEX_WAIT_S):
        reason = node.index.failure or f"it has block {node.index.height} of {height}"
        raise ProblemError("index_unavailable" if node.index.failure else "index_behind", reason)
    return await run_sync(lambda: node.index.ask(question, *args, **kwargs))
