"""How routes reach the node: from the event loop, and never blocking it."""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection
from typing import Annotated, Concatenate, ParamSpec, TypeVar

from anyio.to_thread import run_sync
from fastapi import Depends, Query, Request

from ledger.members.departments import Department, department_key
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


def credit_code_of(node: NodeView, name: str) -> str:
    """Return the credit code for a founder's short code; any other name as it is."""
    return next((founder.credit_code for founder in node.genesis.founders if founder.code == name), name)


def member_of(node: NodeView, name: str) -> str:
    """Return the credit code of the member that a parameter names, by that code or its short one.

    Raises:
        ProblemError: `not_found`: there is no such member.
    """
    code = credit_code_of(node, name)
    if node.state.get(department_key(code), Department) is None:
        raise ProblemError("not_found", f"there is no department {name!r} as of block {node.state.height}")
    return code


def page_path(request: Request, cursor: str) -> str:
    """Return the path of the page that comes after this one, which differs from it in the cursor alone."""
    url = request.url.include_query_params(cursor=cursor)
    return f"{url.path}?{url.query}"
