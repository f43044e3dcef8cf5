"""The pacemaker: which round it is and how long it may take. It moves on certificates alone, never on a timer (P15)."""

from __future__ import annotations

_FREE_ROUNDS = 3
"""Rounds after the last committed one that get the base time: the two that a commit needs, and one to spare."""

_GROWTH_STEPS = 4
"""1.5^4 is above the cap of 4, so no larger power is ever computed."""

REPEAT_MS_MAX = 5_000
"""A timeout is sent again at least this often until the round ends (P17)."""


class Pacemaker:
    """Current round, and the time that rounds get."""

    def __init__(self, base_timeout_ms: int) -> None:
        self._base_timeout_ms = base_timeout_ms
        self._round = 1
        self._committed_round = 0

    @property
    def round(self) -> int:
        """The round this member is in."""
        return self._round

    def enter_after(self, certified_round: int) -> bool:
        """Enter the round after the one that a verified certificate closes; return whether that is news (P15)."""
        if certified_round < self._round:
            return False
        self._round = certified_round + 1
        return True

    def note_commit(self, round_: int) -> None:
        """A block of `round_` is committed, so rounds get less time again."""
        self._committed_round = max(self._committed_round, round_)

    def timeout_ms(self) -> int:
        """Return how long the current round may take, in milliseconds: base x min(1.5^k, 4) (P16)."""
        k = min(max(0, self._round - self._committed_round - _FREE_ROUNDS), _GROWTH_STEPS)
        grown: int = self._base_timeout_ms * 3**k // 2**k
        return min(grown, 4 * self._base_timeout_ms)

    def repeat_ms(self) -> int:
        """Return after how long a timeout is sent again (P17)."""
        return min(self.timeout_ms(), REPEAT_MS_MAX)
