"""What was verified at admission is not verified again, and measurements can turn that off."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.replay import INTERVAL_MS, NOTHING_WRITTEN, found, key, systems
from ledger.blocks.envelope import seal
from ledger.consensus.events import TimerFired
from ledger.consensus.solo import NEXT_TIMER
from ledger.crypto.signatures import verify_batch
from ledger.identifiers import Height, KeyId
from ledger.replica import Options, Replica


@pytest.mark.parametrize(("remembers", "asked"), [(True, 0), (False, 1)])
def test_an_admitted_signature_is_verified_once(remembers: bool, asked: int) -> None:
    """Execution asks for it only if the member was told to forget; the result is the same."""
    genesis, me, signers = found()
    items_asked: list[int] = []

    def verify(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        items_asked.append(len(items))
        return verify_batch(items)

    member = Replica(
        genesis=genesis, me=me, signers=signers, verify=verify, options=Options(remembers_signatures=remembers)
    )
    member.recover((), NOTHING_WRITTEN)
    now_ms = member.state.time_ms + 1
    member.start(now_ms)
    envelope = seal(
        [next(systems(me))],
        chain=genesis.chain,
        department=me,
        key_id=KeyId(1),
        sequence=1,
        valid_until=Height(10),
        signer=key("envelope", me),
    )
    envelope_id, _ = member.submit(envelope.encode(), now_ms)
    member.handle(TimerFired(NEXT_TIMER), now_ms + INTERVAL_MS)
    placement = member.history.placement(envelope_id)
    assert placement is not None
    assert placement.results == b"\x00"
    assert sum(items_asked) == asked
