"""Frames come out as they went in, whatever the network does to the stream between."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import OversizeError
from ledger.limits import FRAME_BYTES_MAX
from nodes.transport.framing import PREFIX_BYTES, FrameDecoder, encode_frame


def drain(decoder: FrameDecoder) -> list[bytes]:
    """Return every message the decoder can give now."""
    return list(iter(decoder.next_message, None))


@given(messages=st.lists(st.binary(max_size=200), max_size=20), data=st.data())
def test_any_cut_of_the_stream_gives_the_same_messages(messages: list[bytes], data: st.DataObject) -> None:
    """Where the stream is cut, and whether messages are taken between the pieces, makes no difference."""
    stream = b"".join(map(encode_frame, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    decoder, got = FrameDecoder(), []
    for start, end in pairwise([0, *cuts, len(stream)]):
        decoder.receive(memoryview(stream)[start:end])
        if data.draw(st.booleans()):
            got += drain(decoder)
    assert got + drain(decoder) == messages


@given(messages=st.lists(st.binary(max_size=64), min_size=1, max_size=5), missing=st.integers(min_value=1))
def test_an_unfinished_message_is_withheld(messages: list[bytes], missing: int) -> None:
    """Without the last bytes of the last frame, exactly the messages before it come out."""
    stream = b"".join(map(encode_frame, messages))
    last = PREFIX_BYTES + len(messages[-1])
    decoder = FrameDecoder()
    decoder.receive(stream[: len(stream) - min(missing, last)])
    assert drain(decoder) == messages[:-1]


def test_the_largest_message_passes_and_one_byte_more_does_not() -> None:
    """The bound is on the message, at both ends of the wire."""
    largest = bytes(FRAME_BYTES_MAX)
    decoder = FrameDecoder()
    decoder.receive(encode_frame(largest))
    assert decoder.next_message() == largest
    with pytest.raises(ValueError, match="does not fit"):
        encode_frame(largest + b"\0")


def test_an_oversize_frame_is_named_by_its_prefix_alone() -> None:
    """The error comes with the fourth byte, after the honest messages before it, and does not go away."""
    decoder = FrameDecoder(size_max=10)
    decoder.receive(encode_frame(b"fine") + (11).to_bytes(PREFIX_BYTES, "big")[:-1])
    assert drain(decoder) == [b"fine"]
    decoder.receive(b"\x0b")
    for _ in range(2):
        with pytest.raises(OversizeError) as caught:
            decoder.next_message()
        assert (caught.value.size, caught.value.size_max) == (11, 10)


@given(st.binary(max_size=300))
def test_hostile_bytes_give_messages_or_oversize(data: bytes) -> None:
    """Nothing else escapes, and what came out encodes to a prefix of what came in."""
    decoder, stream = FrameDecoder(size_max=64), b""
    decoder.receive(data)
    try:
        for message in iter(decoder.next_message, None):
            stream += encode_frame(message)
    except OversizeError:
        pass
    assert data.startswith(stream)
