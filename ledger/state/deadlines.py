"""Which deadlines are pending, in the order in which they are acted upon. Derived from the state's values."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from ledger.registers.deadlines import Deadline

PendingDeadline = tuple[int, bytes]
"""`(due_ms, subject)`; tuples sort in the order in which deadlines are acted upon."""


class PendingDeadlines:
    """The pending deadlines of one state, in order."""

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
