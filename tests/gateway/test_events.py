"""The stream of events, over a real socket: what comes, in which order, and that coming back loses nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn

from ledger.registers.certificates.records import LiftSuspension, SuspendCertificate
from nodes.gateway.app import create_app
from nodes.gateway.routes import events as stream
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER
from tests.proofs.small_network import MARKET_REGULATION

PATH = "/api/v1/events"


class Event(NamedTuple):
    """One event as a browser would see it."""

    name: str
    id: str | None
    data: dict[str, Any]


@asynccontextmanager
async def served(node: MemoryNode) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the node's gateway on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(node), log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        address = "http://{}:{}".format(*listener.getsockname())
        async with httpx.AsyncClient(base_url=address, timeout=20) as session:
            yield session
    finally:
        node.progress.close()
        server.should_exit = True
        await serving
        listener.close()


async def read(lines: AsyncIterator[str], count: int) -> list[Event]:
    """Return the next `count` events."""
    found: list[Event] = []
    fields: dict[str, str] = {}
    while len(found) < count:
        line = await anext(lines)
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            found.append(Event(fields["event"], fields.get("id"), json.loads(fields["data"])))
            fields = {}
        else:
            fields = {}
    return found


def run(test: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end; an event that does not come fails the test instead of stopping all tests."""
    return asyncio.run(asyncio.wait_for(test, timeout=20))


def test_events_come_as_blocks_do(node: MemoryNode) -> None:
    """First the newest checkpoint; then, of each new block, the block and what happened to certificates."""

    async def follow() -> list[Event]:
        async with served(node) as session, session.stream("GET", PATH) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = response.aiter_lines()
            first = await read(lines, 1)
            node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
            told = await read(lines, 2)
            node.cosign()
            return first + told + await read(lines, 1)

    checkpoint, block, certificate, newer = run(follow())
    assert (checkpoint.name, checkpoint.id, checkpoint.data["height"]) == ("checkpoint", None, 4)
    assert (block.name, block.id, block.data["recorded"]["height"]) == ("block", "5-0", 5)
    assert (certificate.name, certificate.id) == ("certificate", "5-1")
    assert (certificate.data["certificate"], certificate.data["kind"]) == (IDENTIFIER, "certificates.suspend")
    assert (newer.name, newer.data["note"]) == ("checkpoint", node.log_note())


def test_coming_back_with_any_id_misses_nothing(node: MemoryNode) -> None:
    """From each event on, exactly those that follow it come, with the same ids and the same data."""
    for record in (
        SuspendCertificate(certificate=IDENTIFIER, reason="inspection"),
        LiftSuspension(certificate=IDENTIFIER, reason="nothing found"),
    ):
        node.execute(node.sign(MARKET_REGULATION, record))

    async def everything() -> None:
        async with served(node) as session:
            count = 6 + 3

            async def after(event_id: str, expected: int, *, header: bool) -> list[Event]:
                headers = {"Last-Event-ID": event_id} if header else {}
                params = {} if header else {"after": event_id}
                async with session.stream("GET", PATH, headers=headers, params=params) as response:
                    return (await read(response.aiter_lines(), expected + 1))[1:]

            told = await after("0", count, header=False)
            assert [event.id for event in told] == ["1-0", "2-0", "3-0", "4-0", "4-1", "5-0", "5-1", "6-0", "6-1"]
            for position, event in enumerate(told[:-1]):
                assert event.id is not None
                assert await after(event.id, count - position - 1, header=True) == told[position + 1 :]
            assert await after("4", 4, header=True) == told[5:]

    run(everything())


def test_who_is_ahead_of_this_node_gets_what_comes_next(node: MemoryNode) -> None:
    """An id from a node that is further on: nothing until its block is here too, then only what was not seen of it."""

    async def follow() -> list[Event]:
        async with served(node) as session, session.stream("GET", PATH, params={"after": "5-0"}) as response:
            lines = response.aiter_lines()
            await read(lines, 1)
            for _ in range(2):
                node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="x")))
            return await read(lines, 2)

    # The second suspension is refused, so that block 6 has no event but its own.
    assert [event.id for event in run(follow())] == ["5-1", "6-0"]


def test_more_blocks_than_one_reading_takes(node: MemoryNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long way behind, the stream catches up in pieces without a gap."""
    monkeypatch.setattr(stream, "BLOCKS_AT_ONCE", 2)

    async def follow() -> list[Event]:
        async with served(node) as session, session.stream("GET", PATH, params={"after": "0"}) as response:
            return await read(response.aiter_lines(), 6)

    assert [event.id for event in run(follow())] == [None, "1-0", "2-0", "3-0", "4-0", "4-1"]


def test_an_idle_stream_shows_that_it_lives(node: MemoryNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then, which clients ignore."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.01)

    async def follow() -> str:
        async with served(node) as session, session.stream("GET", PATH) as response:
            lines = response.aiter_lines()
            await read(lines, 1)
            return await anext(lines)

    assert run(follow()) == ": still here"


def test_a_stream_ends_with_its_node(node: MemoryNode) -> None:
    """A node that stops does not wait for those who listen."""

    async def follow() -> list[str]:
        async with served(node) as session, session.stream("GET", PATH) as response:
            lines = response.aiter_lines()
            await read(lines, 1)
            node.progress.close()
            return [line async for line in lines]

    assert run(follow()) == []


@pytest.mark.parametrize("event_id", ["-1", "x", "1-", "1-x", "01", "1-2-3", "9" * 19])
def test_an_id_that_cannot_be_is_an_invalid_parameter(client: Client, event_id: str) -> None:
    """Better an error than a stream from the wrong place."""
    problem(client.get(PATH, headers={"Last-Event-ID": event_id}), 422, "invalid_parameter")
    problem(client.get(PATH, params={"after": event_id}), 422, "invalid_parameter")


def test_without_an_index_there_is_no_stream(node: MemoryNode, client: Client) -> None:
    """A stream that would stand still for ever is not begun."""
    node.index.failure = "disk full"
    problem(client.get(PATH), 503, "index_unavailable")
