"""Frames: a message behind its length, 4 bytes big-endian. No I/O here: bytes in, messages out."""

from __future__ import annotations

from ledger.errors import OversizeError
from ledger.limits import FRAME_BYTES_MAX

PREFIX_BYTES = 4
"""Holds lengths up to 4 GiB; the bound on a frame is far below, and is checked on the prefix alone."""


def encode_frame(message: bytes) -> bytes:
    """Return `message` behind its length.

    Raises:
        ValueError: The message is longer than `FRAME_BYTES_MAX`: a caller's mistake, since nobody would accept it.
    """
    if len(message) > FRAME_BYTES_MAX:
        raise ValueError(f"a message of {len(message)} bytes does not fit a frame of {FRAME_BYTES_MAX}")
    return len(message).to_bytes(PREFIX_BYTES, "big") + message


class FrameDecoder:
    """Cuts a stream into messages, however the stream was cut on its way.

    Feed with `receive`, then call `next_message` until it returns None. The memory held is what was received and not
    yet taken: a prefix alone reserves nothing, so announcing 4 MiB costs its sender 4 MiB.
    """

    def __init__(self, size_max: int = FRAME_BYTES_MAX) -> None:
        self._size_max = size_max
        self._pending = bytearray()
        self._start = 0

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Add what came in. The data is copied; the caller may reuse its buffer."""
        # Messages already taken are cut off here, once per arrival, rather than once per message.
        if self._start:
            del self._pending[: self._start]
            self._start = 0
        self._pending += data

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None until more has been received.

        Raises:
            OversizeError: The next prefix announces more than the bound. Its body has not been waited for, and the
                stream has no further meaning: every later call raises again.
        """
        body = self._start + PREFIX_BYTES
        if len(self._pending) < body:
            return None
        size = int.from_bytes(self._pending[self._start : body], "big")
        if size > self._size_max:
            raise OversizeError("frame", size=size, size_max=self._size_max)
        end = body + size
        if len(self._pending) < end:
            return None
        self._start = end
        # Through a view: slicing the bytearray first would copy a large message twice.
        with memoryview(self._pending) as view:
            return bytes(view[body:end])
