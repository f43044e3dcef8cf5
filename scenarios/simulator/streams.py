"""One seed, split into named sources of draws, so that one draw more in one of them shifts none of the others."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Stream:
    """A source of draws that gives the same numbers on every Python.

    All draws are made from `random.Random.getrandbits`, whose output for an integer seed never changes; how the other
    methods of `random` use it may differ between versions.
    """

    def __init__(self, seed: int) -> None:
        """Args: seed: Any integer of at least 0; `Streams` gives well-mixed ones."""
        self._bits = random.Random(seed).getrandbits

    def bits(self, count: int) -> int:
        """Return an integer of `count` random bits."""
        return self._bits(count)

    def below(self, bound: int) -> int:
        """Return an integer of 0 to `bound - 1`, each equally likely."""
        if bound < 1:
            raise ValueError(f"nothing can be drawn below {bound}")
        width = (bound - 1).bit_length()
        while True:
            if (drawn := self._bits(width) if width else 0) < bound:
                return drawn

    def between(self, low: int, high: int) -> int:
        """Return an integer of `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, permille: int) -> bool:
        """Return True in `permille` of 1,000 draws. Draws nothing if the answer is certain."""
        if permille <= 0:
            return False
        return permille >= 1_000 or self.below(1_000) < permille

    def choice(self, items: Sequence[T]) -> T:
        """Return one of `items`."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return all of `items` in a random order."""
        left = list(items)
        for last in range(len(left) - 1, 0, -1):
            other = self.below(last + 1)
            left[last], left[other] = left[other], left[last]
        return left

    def bytes(self, size: int) -> bytes:
        """Return `size` random bytes."""
        return self._bits(8 * size).to_bytes(size, "big") if size else b""


class Streams:
    """All sources of draws of one run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def named(self, *names: str | int) -> Stream:
        """Return a new source that follows from the seed and these names alone, for example `named("disk", 3)`."""
        text = "\n".join(map(str, (self.seed, *names)))
        return Stream(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))
