"""Whoever follows the events misses none and sees none twice, wherever the connection breaks and the node restarts."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.registers.certificates.records import LiftSuspension, SuspendCertificate
from nodes.gateway.progress import Progress
from nodes.gateway.routes import events
from nodes.index import QueryIndex
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER, issue_certificate
from tests.proofs.small_network import MARKET_REGULATION

IDLE = ": still here\n\n"


class Follower:
    """A client that keeps what a browser keeps: the last id, and events that came whole.

    Source: HTML Living Standard, section 9.2.6.
    """

    def __init__(self, loop: asyncio.Runner, last_id: str | None = None) -> None:
        self.last_id = last_id
        self.seen: list[str] = []
        self._loop = loop

    def follow(self, node: MemoryNode, characters: int | None = None) -> None:
        """Read until nothing new comes, or until the connection breaks after so many characters."""
        self._loop.run(self._follow(node, characters))

    async def _follow(self, node: MemoryNode, characters: int | None) -> None:
        response = await events.stream_events(node, after=None, last_event_id=self.last_id)
        text = ""
        async for chunk in response.body_iterator:
            if chunk == IDLE:
                break
            text += str(chunk)
            if characters is not None and len(text) >= characters:
                text = text[:characters]
                break
        await response.body_iterator.aclose()  # type: ignore[attr-defined]
        # What stands after the last empty line did not come whole.
        for block in text.split("\n\n")[:-1]:
            self._take(dict(line.split(": ", 1) for line in block.split("\n")))

    def _take(self, fields: dict[str, str]) -> None:
        # An id counts as soon as its block has ended, also without an event; and lasts for those that bring none.
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields and "id" in fields:
            self.seen.append(fields["id"])


def restart(node: MemoryNode, *, keep_index: bool) -> None:
    """Do to the node's index and streams what the end of its process does."""
    node.progress.close()
    node.progress = Progress()
    node.index.close()
    if not keep_index:
        node.path.unlink()
    node.index = QueryIndex.open(node.path, chain=node.genesis.chain, journal_height=node.state.height)
    for effect in node.executed:
        # A start replays the journal; the index skips what it has.
        node.index.executed(effect)
    node.index.flush()


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """Let a stream say at once that it has nothing new."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "HEARTBEAT_S", 0.001)
        patch.setattr(events, "BLOCKS_AT_ONCE", 2)
        yield


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 3_000)),
        st.tuples(st.just("blocks"), st.integers(1, 3)),
        st.tuples(st.just("restart"), st.booleans()),
    ),
    max_size=12,
)


@settings(max_examples=30)
@given(steps=STEPS, begin=st.sampled_from([None, "0", "2", "4-0"]))
def test_breaks_and_restarts_lose_nothing_and_repeat_nothing(
    steps: list[tuple[str, int | bool]], begin: str | None
) -> None:
    """Connections that break at any character, blocks between, an index that is reopened or built anew."""
    changes = cycle(
        (
            SuspendCertificate(certificate=IDENTIFIER, reason="inspection"),
            LiftSuspension(certificate=IDENTIFIER, reason="nothing found"),
        )
    )
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as loop:
        node = MemoryNode(Path(folder))
        issue_certificate(node)
        follower = Follower(loop, begin)
        # Who names no id begins with the next block after the first connection was accepted.
        follower.follow(node, 60)
        for step, amount in steps:
            if step == "read":
                follower.follow(node, int(amount))
            elif step == "blocks":
                for _ in range(int(amount)):
                    node.execute(node.sign(MARKET_REGULATION, next(changes)))
            else:
                restart(node, keep_index=bool(amount))
        follower.follow(node)
        unbroken = Follower(loop, begin or "4")
        unbroken.follow(node)
        assert follower.seen == unbroken.seen
        assert len(set(unbroken.seen)) == len(unbroken.seen)
        node.close()


def test_who_is_cut_off_before_the_first_event_comes_back_to_where_it_began(empty_node: MemoryNode) -> None:
    """An id comes first of all, without an event."""
    node = empty_node
    issue_certificate(node)
    with asyncio.Runner() as loop:
        follower = Follower(loop)
        follower.follow(node, len("retry: 2000\nid: 4\n\n"))
        assert (follower.last_id, follower.seen) == ("4", [])
        node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
        node.execute()
        follower.follow(node)
    assert follower.seen == ["5-0", "5-1", "6-0"]
