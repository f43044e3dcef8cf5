"""Which sequence numbers a key has used, so that no envelope is executed twice.

For each key the ledger keeps the highest number used, `top`, and which of the 1,024 numbers up to it were used. A
number is fresh if top - 1,024 < number <= top + 1,024 and it was not used: a gateway may have many envelopes under way
in any order, and what is kept of them stays small. Numbers begin at 1.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.encoding import Canonical, UInt63
from ledger.limits import SEQUENCE_WINDOW

_WINDOW_BYTES = SEQUENCE_WINDOW // 8
_WINDOW_MASK = (1 << SEQUENCE_WINDOW) - 1


class ReplayWindow(Canonical, tag="members/replay-window", kw_only=True):
    """What one envelope key has used of its sequence numbers."""

    top: UInt63
    """Highest number used; 0 before the first, so that sequences begin at 1."""
    used: Annotated[bytes, Meta(min_length=_WINDOW_BYTES, max_length=_WINDOW_BYTES)]
    """1,024 bits, big-endian: bit i (value 2^i) stands for the number top - i."""


NOTHING_USED = ReplayWindow(top=0, used=(1).to_bytes(_WINDOW_BYTES, "big"))
"""Where every key starts. Number 0 counts as used."""


def replay_window_key(credit_code: str, key_id: int) -> bytes:
    """Return the state key of a key's window."""
    return b"members/replay-window/%b/%d" % (credit_code.encode(), key_id)


def is_fresh(window: ReplayWindow, sequence: int) -> bool:
    """Return whether `sequence` is within the window and was not used."""
    behind = window.top - sequence
    if behind < 0:
        return -behind <= SEQUENCE_WINDOW
    return behind < SEQUENCE_WINDOW and not window.used[-1 - (behind >> 3)] >> (behind & 7) & 1


class WindowInUse:
    """A window while a block is executed: numbers are used one after the other, and its value is made once.

    As a rule each number is one more than the last. Such a run is counted, and moves the bits when it ends.
    """

    __slots__ = ("_run", "_top", "_used")

    def __init__(self, window: ReplayWindow) -> None:
        self._top = window.top
        self._used = int.from_bytes(window.used, "big")
        """Bits as in `ReplayWindow`, up to the number `top - run`."""
        self._run = 0

    def use(self, sequence: int) -> bool:
        """Use `sequence` if it is fresh, as `is_fresh` says it; return whether it was."""
        behind = self._top - sequence
        if behind == -1:
            self._top = sequence
            self._run += 1
            return True
        self._end_run()
        if behind < 0:
            if -behind > SEQUENCE_WINDOW:
                return False
            self._top = sequence
            self._used = (self._used << -behind | 1) & _WINDOW_MASK
            return True
        if behind >= SEQUENCE_WINDOW or self._used >> behind & 1:
            return False
        self._used |= 1 << behind
        return True

    def value(self) -> ReplayWindow:
        """Return the window as it is now."""
        self._end_run()
        return ReplayWindow(top=self._top, used=self._used.to_bytes(_WINDOW_BYTES, "big"))

    def _end_run(self) -> None:
        self._used = (self._used << self._run | (1 << self._run) - 1) & _WINDOW_MASK
        self._run = 0
