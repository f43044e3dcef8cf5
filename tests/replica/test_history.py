"""What a member keeps of its history: bounded in memory, and read back from the archive beyond that."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.blocks.block import Block, BlockHeader, payload_root
from ledger.blocks.envelope import seal
from ledger.blocks.log import EnvelopeEntry
from ledger.consensus.messages import Justification, Proposal, decode_proposal, genesis_certificate
from ledger.crypto.signatures import verify_batch
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import decode_any
from ledger.errors import NotYetError
from ledger.identifiers import BlockId, Digest, EnvelopeId, Height, KeyId
from ledger.registers.members.records import RevokeEnvelopeKey
from ledger.replica import history as history_module
from ledger.replica.attested import place_of
from ledger.replica.cache import RECORDS_IN_BLOCKS_MAX, MemberCache, PreparedBlocks
from ledger.replica.history import History, MemoryArchive
from ledger.state.prepared import PreparedBlock
from ledger.validation.envelopes import prepare_envelope
from tests.state.small_ledger import HOUSING, SmallLedger, key_of

GENESIS = SmallLedger().state


def envelope(sequence: int) -> bytes:
    """Return an envelope of one record that nobody accepts and everybody records."""
    return seal(
        [RevokeEnvelopeKey(key_id=9, reason="none such").encode()],
        chain=GENESIS.chain,
        department=HOUSING,
        key_id=KeyId(1),
        sequence=sequence,
        valid_until=Height(1_000),
        signer=key_of(HOUSING, "envelope/1"),
    ).encode()


def proposal(height: int, payload: list[bytes]) -> Proposal:
    """Return a block as nobody signed it: the history executes what consensus has committed."""
    certificate = genesis_certificate(GENESIS.chain)
    header = BlockHeader(
        chain=Digest(GENESIS.chain),
        epoch=0,
        round=height,
        height=height,
        parent=Digest(GENESIS.chain),
        author=0,
        justification=Justification(parent_qc=certificate, timeout_certificate=None).encode(),
        payload_root=payload_root(payload),
        payload_count=len(payload),
        checkpoint=None,
        time_ms=GENESIS.time_ms + height,
    )
    return decode_proposal(
        Block(header=header, suite=ED25519_SHA256, signature=bytes(64), payload=tuple(payload)).encode()
    )


class Forgetful(MemoryArchive):
    """An archive that cannot be read."""

    def get(self, height: Height) -> bytes | None:
        return None

    executed = get  # type: ignore[assignment]


def grown(archive: MemoryArchive, heights: int) -> tuple[History, list[EnvelopeId]]:
    """Return a history of blocks with two envelopes each, and the envelopes' ids."""
    history = History(SmallLedger().genesis, verify=verify_batch, cache=MemberCache(), archive=archive)
    ids = []
    for height in range(1, heights + 1):
        block, _ = history.execute(proposal(height, [envelope(2 * height - 1), envelope(2 * height)]))
        ids += [prepared.id for prepared in block.envelopes]
    return history, ids


def test_old_results_come_from_the_archive_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that is no longer kept says what it said; its envelopes are left to the index."""
    kept, ids = grown(MemoryArchive(), 5)
    monkeypatch.setattr(history_module, "PLACEMENTS_ENVELOPES", 4)
    history, _ = grown(MemoryArchive(), 5)
    assert [kept.outcome(Height(height)) for height in range(6)] == [
        history.outcome(Height(height)) for height in range(6)
    ]
    assert [history.placement(one) is not None for one in ids] == [False] * 6 + [True] * 4
    assert [history.placement(one) for one in ids[6:]] == [kept.placement(one) for one in ids[6:]]
    assert [history.log.leaf(index) for index in range(16)] == [kept.log.leaf(index) for index in range(16)]


def test_a_placement_is_the_first_one() -> None:
    """An envelope that a later block repeats stays where it was first."""
    history, ids = grown(MemoryArchive(), 1)
    history.execute(proposal(2, [envelope(1)]))
    placement = history.placement(ids[0])
    assert placement is not None
    assert (placement.height, placement.index) == (1, 1)
    entry = decode_any(EnvelopeEntry, placement.entry)
    assert entry.results == placement.results


def test_results_that_cannot_be_read_are_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is "not now", for old blocks alone."""
    monkeypatch.setattr(history_module, "PLACEMENTS_BLOCKS", 1)
    history, _ = grown(Forgetful(), 2)
    assert history.outcome(Height(2))[0] != ()
    with pytest.raises(NotYetError, match="height 1"):
        history.outcome(Height(1))


def test_an_index_is_found_in_its_block() -> None:
    """Every entry has one place; the block record comes last."""
    history, _ = grown(MemoryArchive(), 2)
    assert [history.place(index) for index in range(7)] == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    with pytest.raises(ValueError):
        place_of(history._sizes, 7)


def test_prepared_blocks_are_bounded_by_their_records() -> None:
    """The oldest go; a block that alone is too large stays until the next one comes."""
    header = proposal(1, []).header
    one = prepare_envelope(envelope(1), GENESIS.chain)
    many = replace(one, records=one.records * RECORDS_IN_BLOCKS_MAX)
    large = PreparedBlock(BlockId(b"1" * 32), header, (many,))
    blocks = PreparedBlocks()
    blocks.put(large)
    assert blocks.get(large.id) is large
    small = PreparedBlock(BlockId(b"2" * 32), header, (one,))
    blocks.put(small)
    assert blocks.get(large.id) is None
    assert blocks.get(small.id) is small
