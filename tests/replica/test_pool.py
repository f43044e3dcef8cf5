"""The pool: what waits is bounded, and nobody's envelopes keep those of others out or back."""

from __future__ import annotations

import pytest

from ledger.identifiers import ChainId
from ledger.replica.pool import DEPARTMENT_BYTES_MAX, Pool, PoolFullError
from ledger.state.prepared import PreparedEnvelope
from ledger.validation.envelopes import prepare_envelope
from tests.consensus.network import genesis_of
from tests.replica.test_member import envelope_of


def pooled(member: int, sequence: int, *, key_id: int = 1, record: bytes = b"statement") -> PreparedEnvelope:
    envelope = envelope_of(member, sequence, key_id=key_id, record=record)
    return prepare_envelope(envelope.encode(), ChainId(genesis_of(4).chain))


def test_a_key_that_never_stops_sending_lets_others_have_their_turn() -> None:
    """Whose envelopes went into a block stands behind those who waited meanwhile."""
    pool = Pool()
    for sequence in range(1, 5):
        pool.add(pooled(0, sequence))
    pool.add(pooled(1, 1))
    two_envelopes = 2 * len(pooled(0, 1).raw)
    served = []
    for sequence in range(5, 11, 2):
        block = pool.choose(height=1, bytes_max=two_envelopes, taken=())
        served.append([envelope.envelope.header.department[-1] for envelope in block])
        for envelope in block:
            pool.discard(envelope.id)
        pool.add(pooled(0, sequence))
        pool.add(pooled(0, sequence + 1))
    assert served == [["0", "0"], ["1", "0"], ["0", "0"]]


def test_one_department_cannot_fill_the_pool_with_however_many_keys() -> None:
    """A department registers keys as it likes; what it may have waiting is counted for all of them together."""
    pool = Pool()
    record = bytes(60_000)
    sequence = 0
    with pytest.raises(PoolFullError, match="department"):  # noqa: PT012 - which one is refused is not known before
        while True:
            sequence += 1
            envelope = pooled(0, sequence, key_id=1 + sequence % 7, record=record)
            pool.check_room(envelope)
            pool.add(envelope)
    assert (sequence - 1) * len(envelope.raw) <= DEPARTMENT_BYTES_MAX < sequence * len(envelope.raw)
    pool.check_room(pooled(1, 1, record=record))
    pool.discard(pooled(0, 1, key_id=2, record=record).id)
    pool.check_room(envelope)
