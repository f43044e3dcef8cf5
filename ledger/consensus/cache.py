"""Results of pure functions over bytes, kept so that nobody computes them twice.

Several members in one process can share one cache: every entry follows from its key alone, so with it or without it
each of them does the same. Only what holds is kept. What fails is computed again, because a second message with the
same id may be sound (a payload swapped on the way must not condemn the block).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from ledger.consensus.messages import Message, decode_message

V = TypeVar("V")

MESSAGES_MAX = 4_096
"""Decoded messages kept; the bytes of all of them together are bounded by `MESSAGE_BYTES_MAX`."""

MESSAGE_BYTES_MAX = 32 << 20

FACTS_MAX = 65_536
"""Signatures and certificates known to be valid: a few hundred rounds of 53 validators."""


class BoundedCache(Generic[V]):
    """A map that forgets its oldest half when it is full, so that its order of forgetting is the same on every run."""

    def __init__(self, entries_max: int, *, size_max: int | None = None) -> None:
        """Args: `size_max` bounds the sizes of all entries together; the newest entry is kept however large it is."""
        self._entries_max, self._size_max = entries_max, size_max
        self._entries: dict[Hashable, tuple[V, int]] = {}
        self._size = 0

    def get(self, key: Hashable) -> V | None:
        """Return what was put under `key`, or None if nothing was or it is forgotten."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: Hashable, value: V, *, size: int = 0) -> None:
        """Keep `value` under `key`. `size` is what it takes, in the unit of `size_max`."""
        self.discard(key)
        if len(self._entries) >= self._entries_max:
            self._forget(self._entries_max // 2, self._size_max)
        elif self._size_max is not None and self._size + size > self._size_max:
            self._forget(self._entries_max, self._size_max // 2 - size)
        self._entries[key] = value, size
        self._size += size

    def discard(self, key: Hashable) -> None:
        """Forget what was put under `key`, if anything was."""
        forgotten = self._entries.pop(key, None)
        if forgotten is not None:
            self._size -= forgotten[1]

    def _forget(self, entries_left: int, size_left: int | None) -> None:
        """Forget the oldest until at most so many are left, of at most that size together."""
        for old in list(self._entries):
            if len(self._entries) <= entries_left and (size_left is None or self._size <= size_left):
                return
            self.discard(old)


class SharedCache:
    """Decoded messages by their bytes, and facts about signatures by everything they depend on."""

    def __init__(self) -> None:
        self._messages: BoundedCache[Message] = BoundedCache(MESSAGES_MAX, size_max=MESSAGE_BYTES_MAX)
        self._facts: BoundedCache[bool] = BoundedCache(FACTS_MAX)

    def decode(self, data: bytes) -> Message:
        """Return `decode_message(data)`.

        Raises:
            DecodeError: As `decode_message`.
        """
        message = self._messages.get(data)
        if message is None:
            message = decode_message(data)
            self._messages.put(data, message, size=len(data))
        return message

    def knows(self, fact: Hashable) -> bool:
        """Return whether `fact` was found to hold before."""
        return self._facts.get(fact) is not None

    def learn(self, fact: Hashable) -> None:
        """Remember that `fact` holds. It names the check and every value that the check looked at."""
        self._facts.put(fact, True)
