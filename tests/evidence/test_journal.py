"""The independent reader: it reads what a member writes, and whatever else it is given, it says so in one way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks.block import Block
from ledger.encoding import decode
from ledger.identifiers import ChainId, Height
from ledger.storage.frames import Frame, FrameChain, FrameKind, first_link
from scenarios.evidence.checks import CHECKS, Evidence, run_checks
from scenarios.evidence.forms import EvidenceError, read_envelope, unpack
from scenarios.evidence.journal import read_journal, read_journal_directory, read_journals
from scenarios.evidence.network import read_genesis
from scenarios.evidence.records import records_of
from scenarios.evidence.trees import RunningRoot, leaf, root
from tests.evidence.small_run import GENESIS, NODES, VALIDATORS, encode_frames, record_run
from tests.proofs.small_network import MARKET_REGULATION, found

LEDGER = record_run()
JOURNAL = encode_frames(LEDGER.frames)
SIGNERS = read_genesis(GENESIS.encode())

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.binary(max_size=40) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=20,
)


def test_the_reader_finds_what_the_ledger_executed() -> None:
    """Block ids, parents, state roots and records are those that the ledger computed."""
    journal = read_journal("BM", JOURNAL, chain=GENESIS.chain)
    blocks = [decode(Block, frame.payload) for frame in LEDGER.frames if frame.kind is FrameKind.BLOCK]
    assert set(journal.blocks) == {block.header.id for block in blocks}
    assert [journal.block_at(height).id for height in range(1, 6)] == [block.header.id for block in blocks[:5]]
    assert journal.executed[5].state_root == LEDGER.state.root
    assert [(record.department, record.kind, record.code) for record in records_of(journal)][-3:] == [
        (MARKET_REGULATION.credit_code, "certificates.define_type", 103),
        (MARKET_REGULATION.credit_code, "certificates.issue", 0),
        (MARKET_REGULATION.credit_code, "certificates.define_type", 103),
    ]


def test_the_genesis_is_read_as_the_members_read_it() -> None:
    """Chain, origin, order and keys of the validators, and the quorum."""
    assert SIGNERS.chain == GENESIS.chain
    assert SIGNERS.origin == GENESIS.origin
    assert SIGNERS.codes == NODES
    assert SIGNERS.consensus == tuple(validator.consensus for validator in VALIDATORS.validators)
    assert SIGNERS.cosigner == tuple(validator.cosigner for validator in VALIDATORS.validators)
    assert SIGNERS.quorum == VALIDATORS.quorum


@given(values.map(lambda value: msgpack.packb(value, use_bin_type=True)) | st.binary(max_size=64))
def test_a_genesis_is_read_or_refused(data: bytes) -> None:
    """Bytes that are no genesis raise nothing but an evidence error."""
    with pytest.raises(EvidenceError):
        read_genesis(data)


def test_a_journal_cut_off_anywhere_is_read_or_refused() -> None:
    """Wherever a crash cut it, the reader gives the whole frames before the cut, or says that there is no genesis."""
    heights = set()
    for end in range(len(JOURNAL)):
        try:
            heights.add(read_journal("BM", JOURNAL[:end], chain=GENESIS.chain).height)
        except EvidenceError:
            assert end < 300
    assert heights == set(range(6))


def test_the_zeros_of_preallocated_space_are_the_end() -> None:
    """The last segment is longer than what was written to it."""
    assert read_journal("BM", JOURNAL + bytes(5_000), chain=GENESIS.chain).height == 5


@given(st.integers(0, len(JOURNAL) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_read_over(position: int, mask: int) -> None:
    """A damaged frame ends the journal if it was the last, and is an error if a whole one stands beyond it."""
    damaged = bytearray(JOURNAL)
    damaged[position] ^= mask
    last = Frame(FrameKind.CHECKPOINT, Height(5), LEDGER.frames[-1].payload)
    last_frame_begins = len(JOURNAL) - len(last.payload) - 38
    if position < last_frame_begins:
        with pytest.raises(EvidenceError, match="is damaged; a whole one stands at"):
            read_journal("BM", bytes(damaged), chain=GENESIS.chain)
    else:
        journal = read_journal("BM", bytes(damaged), chain=GENESIS.chain)
        assert (journal.height, journal.checkpoints) == (5, [])


@given(st.sampled_from([1, 2, 3, 4, 5, 6, 255]), values)
def test_a_whole_frame_of_anything_is_read_or_refused(kind: int, value: Any) -> None:
    """A node that writes nonsense under a right checksum makes the checks fail; it does not make them crash."""
    payload = msgpack.packb(value, use_bin_type=True)
    _read_and_check([*LEDGER.frames, _frame(kind, 5, payload)])


@given(st.integers(0, len(LEDGER.frames) - 1), st.data())
def test_a_frame_with_one_part_exchanged_is_read_or_refused(place: int, data: st.DataObject) -> None:
    """Whatever stands in the place of one part of a real payload, nothing but a check's answer comes out."""
    frame = LEDGER.frames[place]
    value = _exchange_one(unpack(frame.payload), data)
    frames = list(LEDGER.frames)
    frames[place] = Frame(frame.kind, frame.height, msgpack.packb(value, use_bin_type=True))
    _read_and_check(frames)


def test_a_journal_of_another_network_is_refused() -> None:
    """Its first frame is chained to another network's id."""
    with pytest.raises(EvidenceError, match="not chained"):
        read_journal("BM", JOURNAL, chain=found("mulu.elsewhere.example").chain)


def test_a_journal_spliced_from_two_is_refused() -> None:
    """Each frame is chained to the one before it, so that none can be left out or put in between."""
    chain = FrameChain(first_link(ChainId(GENESIS.chain)))
    encoded = [chain.encode(frame) for frame in LEDGER.frames]
    with pytest.raises(EvidenceError, match="not chained"):
        read_journal("BM", b"".join(encoded[:2] + encoded[3:]), chain=GENESIS.chain)


def test_an_executed_frame_speaks_of_its_own_height() -> None:
    """A block record filed under another height is refused."""
    frames = list(LEDGER.frames)
    frames.append(Frame(FrameKind.EXECUTED, Height(6), frames[0].payload))
    with pytest.raises(EvidenceError, match="BM: frame of kind 4 at height 6: the block record speaks of height 0"):
        read_journal("BM", encode_frames(frames), chain=GENESIS.chain)


def test_a_second_spelling_of_an_envelope_is_refused() -> None:
    """The reader takes the canonical bytes alone, as the ledger does."""
    raw = LEDGER.envelopes[1].encode()
    assert read_envelope(raw).id == LEDGER.envelopes[1].header.id
    # 0x95 is an array of up to 15 in one byte; 0xdc 00 05 says the same in three.
    assert raw[0] == 0x96
    with pytest.raises(EvidenceError, match="canonical"):
        read_envelope(b"\xdc\x00\x06" + raw[1:])


def test_segments_are_read_in_the_order_of_their_offsets(tmp_path: Path) -> None:
    """A node's journal is its segments one after the other; a node without one is named and left out."""
    folder = tmp_path / "BM" / "journal"
    folder.mkdir(parents=True)
    cut = len(encode_frames(LEDGER.frames[:4]))
    (folder / f"{cut:020}.frames").write_bytes(JOURNAL[cut:] + bytes(100))
    (folder / f"{0:020}.frames").write_bytes(JOURNAL[:cut])
    assert read_journal_directory("BM", tmp_path / "BM", chain=GENESIS.chain).height == 5
    journals, unreadable = read_journals({"BM": tmp_path / "BM", "AY": tmp_path / "AY"}, chain=GENESIS.chain)
    assert [journal.node for journal in journals] == ["BM"]
    assert unreadable == ["AY: there is no journal"]


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_the_running_root_is_the_root(entries: list[bytes]) -> None:
    """Appending one by one gives what the standard's recursion gives."""
    running = RunningRoot()
    for entry in entries:
        running.append(leaf(entry))
    assert running.root() == root([leaf(entry) for entry in entries])


def _read_and_check(frames: list[Frame]) -> None:
    try:
        journal = read_journal("BM", encode_frames(frames), chain=GENESIS.chain)
    except EvidenceError:
        return
    assert len(run_checks(Evidence(signers=SIGNERS, journals=[journal]))) == len(CHECKS)


def _frame(kind: int, height: int, payload: bytes) -> Frame:
    # The frame's writer takes any number for a kind; only `FrameKind` itself would refuse it.
    return Frame(kind, Height(height), payload)  # type: ignore[arg-type]


def _exchange_one(value: Any, data: st.DataObject) -> Any:
    """Return the value with one part, somewhere inside, replaced by another."""
    if isinstance(value, tuple) and value and data.draw(st.integers(0, 5)):
        place = data.draw(st.integers(0, len(value) - 1))
        return (*value[:place], _exchange_one(value[place], data), *value[place + 1 :])
    return data.draw(values)
