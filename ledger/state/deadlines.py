"""Deadlines: what a register wants to come back to when time has passed and nobody has spoken.

A deadline is a value of the state, so that every member knows the same ones and a restart forgets none. It is pending
until it passes or is lifted; either way its value stays and says so. Which ones are pending is also kept in order of
(due, subject), because each block begins with the earliest.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Literal

from ledger.encoding import Canonical, UInt63

PendingDeadline = tuple[int, bytes]
"""`(due_ms, subject)`; tuples sort in the order in which deadlines are acted upon."""


class Deadline(Canonical, tag="deadlines/deadline", kw_only=True):
    """That a register will act on `subject` once a block's time is beyond `due_ms`."""

    due_ms: UInt63
    """In time means block time <= due."""
    subject: bytes
    """State key of what is due."""
    status: Literal["pending", "passed", "lifted"]
    set_height: UInt63
    settled_height: UInt63
    """Height at which it passed or was lifted; 0 while pending."""


def deadline_key(due_ms: int, subject: bytes) -> bytes:
    """Return the state key of a deadline."""
    return b"deadlines/" + due_ms.to_bytes(8, "big") + b"/" + subject


class PendingDeadlines:
    """The pending deadlines of one state, in order. Derived from the state's values."""

    __slots__ = ("_ordered",)

    def __init__(self, deadlines: Iterable[Deadline] = ()) -> None:
        self._ordered: list[PendingDeadline] = sorted((d.due_ms, d.subject) for d in deadlines if d.status == "pending")

    def __len__(self) -> int:
        return len(self._ordered)

    def before(self, time_ms: int, *, limit: int) -> list[PendingDeadline]:
        """Return the earliest deadlines with `due_ms < time_ms`, at most `limit`."""
        return self._ordered[: min(limit, bisect_left(self._ordered, (time_ms, b"")))]

    def apply(self, deadline: Deadline) -> None:
        """Take note of a deadline's new value: pending ones join, others leave."""
        entry = (deadline.due_ms, deadline.subject)
        position = bisect_left(self._ordered, entry)
        there = position < len(self._ordered) and self._ordered[position] == entry
        if deadline.status == "pending":
            if not there:
                insort(self._ordered, entry)
        elif there:
            del self._ordered[position]
