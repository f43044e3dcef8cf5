"""Journal frames: one byte form, chained, and a scan that tells a torn tail from damage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import ChainId, Height
from ledger.limits import JOURNAL_FRAME_BYTES_MAX
from ledger.storage.frames import (
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    Frame,
    FrameChain,
    FrameKind,
    Verdict,
    decode_frame,
    encode_frame,
    first_link,
    frame_size,
    link_of,
    scan,
)

CHAIN = ChainId(bytes(range(32)))
LINK = first_link(CHAIN)

frames = st.builds(
    Frame,
    kind=st.sampled_from(FrameKind),
    height=st.integers(0, 2**64 - 1).map(Height),
    payload=st.binary(max_size=200),
)


def block(height: int, payload: bytes = b"payload") -> Frame:
    return Frame(FrameKind.BLOCK, Height(height), payload)


def journal_of(*kept: Frame) -> tuple[bytes, list[int]]:
    """Return the chained bytes of `kept`, and every offset at which a frame begins or the last one ends."""
    chain, data, offsets = FrameChain(LINK), b"", [0]
    for frame in kept:
        data += chain.encode(frame)
        offsets.append(len(data))
    return data, offsets


def test_a_frame_has_these_very_bytes() -> None:
    """A frame written by any version of this program is read by every later one."""
    encoded = encode_frame(Frame(FrameKind.EXECUTED, Height(812), b"results"), LINK)
    assert LINK.hex() == "441a533de58e6819dd8dd60176e6208d"
    assert encoded.hex() == "4d554c550100000007000000000000032c04ef7abefa726573756c7473441a533de58e6819dd8dd60176e6208d"


@given(frames)
def test_a_frame_comes_back_from_its_bytes(frame: Frame) -> None:
    """Decoding gives the frame that was encoded, and its header alone tells its size."""
    encoded = encode_frame(frame, LINK)
    assert decode_frame(encoded, previous=LINK) == frame
    assert frame_size(encoded[:HEADER_BYTES]) == len(encoded) == len(frame.payload) + FRAME_OVERHEAD_BYTES


@given(frames, st.data())
def test_no_turned_bit_goes_unnoticed(frame: Frame, data: st.DataObject) -> None:
    """Whichever bit of a frame turns, it is refused: the checksum covers header, payload and link."""
    encoded = bytearray(encode_frame(frame, LINK))
    bit = data.draw(st.integers(0, len(encoded) * 8 - 1))
    encoded[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecodeError):
        decode_frame(bytes(encoded))


@given(st.binary(max_size=100))
def test_any_bytes_decode_or_raise_decode_error(data: bytes) -> None:
    """Whatever stands on the disk, no other exception escapes."""
    with pytest.raises(DecodeError):
        decode_frame(data)


def test_a_frame_of_another_chain_is_refused() -> None:
    """The first link names the network, so a journal does not continue another network's."""
    encoded = encode_frame(block(1), first_link(ChainId(b"\x01" * 32)))
    with pytest.raises(DecodeError, match="is chained to"):
        decode_frame(encoded, previous=LINK)


def test_a_kind_from_the_future_is_refused() -> None:
    """A whole frame of a kind this program does not know is not handed on as something else."""
    encoded = encode_frame(Frame(9, Height(1), b""), LINK)  # type: ignore[arg-type]
    with pytest.raises(DecodeError, match="kind 9"):
        decode_frame(encoded)


def test_frames_are_bounded_both_ways() -> None:
    """Nothing longer than the bound is written, and nothing that claims to be longer is read."""
    chain = FrameChain(LINK)
    assert len(chain.encode(block(1, bytes(PAYLOAD_BYTES_MAX)))) == JOURNAL_FRAME_BYTES_MAX
    before = chain.link
    with pytest.raises(ValueError, match="at most"):
        chain.encode(block(1, bytes(PAYLOAD_BYTES_MAX + 1)))
    assert chain.link == before
    header = bytearray(encode_frame(block(1), LINK)[:HEADER_BYTES])
    header[5:9] = (PAYLOAD_BYTES_MAX + 1).to_bytes(4, "big")
    with pytest.raises(OversizeError):
        frame_size(bytes(header))


def test_every_prefix_of_a_journal_is_a_torn_tail_or_damage_by_the_synced_offset() -> None:
    """Cut anywhere, with any synced offset, a scan keeps exactly the whole frames and judges the rest by the offset."""
    data, offsets = journal_of(block(1), block(2, b""), block(3, b"\x00" * 40))
    for cut in range(len(data) + 1):
        kept = max(offset for offset in offsets if offset <= cut)
        for synced in offsets:
            found = scan(data[:cut], previous=LINK, synced_offset=synced)
            assert found.end == kept
            assert [position.offset for position in found.frames] == [o for o in offsets if o < kept]
            if kept < synced:
                assert found.verdict is Verdict.CORRUPT
            else:
                assert found.verdict is (Verdict.CLEAN if cut == kept else Verdict.TORN_TAIL)


def test_a_turned_byte_anywhere_ends_the_scan_at_its_frame() -> None:
    """Damage is placed in the frame it is in, also when whole frames follow, and judged by the synced offset."""
    data, offsets = journal_of(block(1), block(2), block(3))
    for place in range(len(data)):
        damaged = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        start = max(offset for offset in offsets if offset <= place)
        for synced in offsets:
            found = scan(damaged, previous=LINK, synced_offset=synced)
            assert found.end == start
            assert found.verdict is (Verdict.CORRUPT if start < synced else Verdict.TORN_TAIL)
            assert found.fault is not None


def test_preallocated_zeros_are_a_clean_end() -> None:
    """Zeros behind the last frame are space; zeros in place of a frame with more behind them are a torn write."""
    data, offsets = journal_of(block(1), block(2))
    clean = scan(data + bytes(5_000), previous=LINK, synced_offset=offsets[2])
    assert (clean.verdict, clean.end, clean.fault) == (Verdict.CLEAN, offsets[2], None)
    lost = data[: offsets[1]] + bytes(offsets[2] - offsets[1])
    assert scan(lost, previous=LINK, synced_offset=offsets[1]).verdict is Verdict.CLEAN
    assert scan(lost + b"\x01", previous=LINK, synced_offset=offsets[1]).verdict is Verdict.TORN_TAIL
    assert scan(lost, previous=LINK, synced_offset=offsets[2]).verdict is Verdict.CORRUPT


def test_a_whole_frame_out_of_its_row_is_not_taken() -> None:
    """A frame left over from an earlier life of the file has a good checksum and the wrong link."""
    data, offsets = journal_of(block(1), block(2), block(3))
    skipped = data[: offsets[1]] + data[offsets[2] :]
    found = scan(skipped, previous=LINK, synced_offset=0)
    assert (found.end, found.verdict) == (offsets[1], Verdict.TORN_TAIL)


@given(st.lists(frames, max_size=5), st.integers(0, 5))
def test_a_journal_can_be_scanned_stretch_by_stretch(kept: list[Frame], split: int) -> None:
    """The link that one scan ends with is what the next begins with, and what the next frame is chained to."""
    data, offsets = journal_of(*kept)
    middle = offsets[min(split, len(kept))]
    head = scan(data[:middle], previous=LINK, synced_offset=middle)
    tail = scan(data[middle:], previous=head.link, synced_offset=len(data) - middle)
    whole = scan(data, previous=LINK, synced_offset=len(data))
    assert (head.verdict, tail.verdict, whole.verdict) == (Verdict.CLEAN,) * 3
    assert tail.link == whole.link
    assert [decode_frame(data[p.offset : p.offset + p.size]) for p in whole.frames] == kept
    assert [(p.height, p.kind) for p in (*head.frames, *tail.frames)] == [(f.height, f.kind) for f in kept]
    if kept:
        assert whole.link == link_of(data[whole.frames[-1].offset :])
