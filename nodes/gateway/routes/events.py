"""The stream of events: blocks, what happened to certificates in them, and checkpoints (server-sent events).

What a block tells follows from the block alone, so an event's id, `HEIGHT-NUMBER`, means the same at every node and for
ever: who comes back with the last id misses nothing, at another node too. A checkpoint has no id, because the newest
one says all that the earlier ones said; it is sent at the beginning and whenever there is a newer one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from sqlite3 import Connection
from typing import Annotated, Any, NamedTuple

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from ledger.registers.certificates.values import CERTIFICATES
from nodes.gateway import forms
from nodes.gateway.asking import Node
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.index import Change, IndexedBlock, queries

router = APIRouter(tags=["events"])

MEDIA_TYPE = "text/event-stream"
BLOCKS_AT_ONCE = 32
HEARTBEAT_S = 15.0
"""Lets both ends and everything between them see that the connection lives."""
RECONNECT_MS = 2_000

_ID = r"^(0|[1-9][0-9]{0,17})(-(0|[1-9][0-9]{0,8}))?$"
_DESCRIPTION = "id of the last event that was seen, `HEIGHT-NUMBER`; `0` for all from the first block on"


class _Position(NamedTuple):
    """The last event that a client has seen."""

    height: int
    number: int


@router.get(
    "/events",
    operation_id="stream_events",
    summary="Blocks, certificates and checkpoints, as they come",
    response_class=StreamingResponse,
    responses={
        200: {"description": "Server-sent events", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        **problems("invalid_parameter", "index_unavailable"),
    },
)
async def stream_events(
    node: Node,
    after: Annotated[str | None, Query(pattern=_ID, description=_DESCRIPTION)] = None,
    last_event_id: Annotated[str | None, Header(pattern=_ID, description=_DESCRIPTION)] = None,
) -> StreamingResponse:
    """Without an id the stream begins with the next block. The header, which browsers send unasked, goes first.

    The first thing in it is an id without an event, which browsers keep: whoever is cut off before the first event
    comes back to where it began.
    """
    resume = last_event_id or after
    if node.index.failure:
        raise ProblemError("index_unavailable", node.index.failure)
    position = _Position(node.index.height, _NUMBER_MAX) if resume is None else _parse(resume)
    return StreamingResponse(
        _stream(node, position), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


_NUMBER_MAX = 1 << 62
"""More than any block has events."""


def _parse(text: str) -> _Position:
    height, dash, number = text.partition("-")
    # A height alone means that all of its block was seen.
    return _Position(int(height), int(number) if dash else _NUMBER_MAX)


async def _stream(node: NodeView, position: _Position) -> AsyncIterator[str]:
    begin = f"{position.height}" if position.number == _NUMBER_MAX else f"{position.height}-{position.number}"
    yield f"retry: {RECONNECT_MS}\nid: {begin}\n\n"
    checkpoint_size = 0
    while not node.progress.closed:
        checkpoint = node.checkpoint
        if checkpoint is not None and checkpoint.size > checkpoint_size:
            checkpoint_size = checkpoint.size
            yield _event("checkpoint", {"height": checkpoint.height, "size": checkpoint.size, "note": node.log_note()})
        # Some of the block may have been seen. A client of a node that is ahead of this one waits for its next block.
        first = position.height + (position.number == _NUMBER_MAX)
        if node.index.height >= first:
            for found, changes in await run_sync(partial(node.index.ask, _blocks_with_changes, first)):
                for number, (name, data) in enumerate(_events_of(node, found, changes)):
                    if (found.height, number) > position:
                        yield _event(name, data, f"{found.height}-{number}")
                position = _Position(found.height, _NUMBER_MAX)
        elif not await node.progress.wait(HEARTBEAT_S):
            yield ": still here\n\n"


def _blocks_with_changes(connection: Connection, height: int) -> list[tuple[IndexedBlock, list[Change]]]:
    """Return some blocks from `height` on with what happened to certificates in each."""
    return [
        (block, queries.changes_in_block(connection, block.height, CERTIFICATES))
        for block in queries.blocks_from(connection, height, BLOCKS_AT_ONCE)
    ]


def _events_of(node: NodeView, block: IndexedBlock, changes: list[Change]) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of one block in their order, which is part of their ids."""
    events: list[tuple[str, dict[str, Any]]] = [("block", forms.block(node, block).model_dump())]
    for change in changes:
        certificate = change.key[len(CERTIFICATES) :].decode()
        told = forms.change(node, change)
        told["recorded"] = told["recorded"].model_dump()
        told["department"] = told["department"] and told["department"].model_dump()
        events.append(("certificate", {"certificate": certificate, **told}))
    return events


def _event(name: str, data: dict[str, Any], event_id: str | None = None) -> str:
    # JSON has no line ends outside of escapes, so that one `data` line holds it.
    lines = [f"event: {name}", f"data: {json.dumps(data, ensure_ascii=False)}"]
    if event_id is not None:
        lines.insert(0, f"id: {event_id}")
    return "\n".join(lines) + "\n\n"
