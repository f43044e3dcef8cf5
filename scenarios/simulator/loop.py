"""The virtual clock and the one queue of events: time passes only by going to the next event."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from scenarios.simulator.streams import Stream

US_PER_MS = 1_000
"""The loop counts microseconds, members count milliseconds."""

_TIE_BITS = 32


class EventLoop:
    """Runs actions in the order of (time, seeded tie-break, sequence number).

    The tie-break lets the seed decide what comes first of what happens at the same microsecond; the sequence number
    makes the order total.
    """

    def __init__(self, start_us: int, ties: Stream) -> None:
        self.now_us = start_us
        self.events_run = 0
        self._ties = ties
        self._sequence = 0
        self._queue: list[tuple[int, int, int, Callable[..., None], tuple[Any, ...]]] = []

    @property
    def now_ms(self) -> int:
        """The time in whole milliseconds."""
        return self.now_us // US_PER_MS

    def __len__(self) -> int:
        return len(self._queue)

    def at(self, time_us: int, action: Callable[..., None], *args: Any) -> None:
        """Run `action(*args)` at `time_us`, or now if that has passed; never inside this call."""
        self._sequence += 1
        entry = (max(time_us, self.now_us), self._ties.bits(_TIE_BITS), self._sequence, action, args)
        heappush(self._queue, entry)

    def after(self, delay_us: int, action: Callable[..., None], *args: Any) -> None:
        """Run `action(*args)` when `delay_us` have passed."""
        self.at(self.now_us + delay_us, action, *args)

    def step(self, until_us: int) -> bool:
        """Run the next event if it is due at `until_us` or before, else let the time pass to there.

        Returns:
            Whether an event was run.
        """
        if not self._queue or self._queue[0][0] > until_us:
            self.now_us = max(self.now_us, until_us)
            return False
        self.now_us, _, _, action, args = heappop(self._queue)
        self.events_run += 1
        action(*args)
        return True

    def run_until(self, until_us: int) -> None:
        """Run everything that is due at `until_us` or before, and let the time pass to there."""
        while self.step(until_us):
            pass
