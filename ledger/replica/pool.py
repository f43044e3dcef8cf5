"""The pool: admitted envelopes that wait for a block, in bounded memory."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterator

from ledger.errors import NotYetError
from ledger.identifiers import EnvelopeId
from ledger.limits import ENVELOPES_PER_BLOCK_MAX, SEQUENCE_WINDOW
from ledger.state.prepared import PreparedEnvelope

POOL_ENVELOPES_MAX = 4 * ENVELOPES_PER_BLOCK_MAX
"""Envelopes waiting at once: four full blocks."""

POOL_BYTES_MAX = 64 << 20
"""Bytes of all waiting envelopes together."""

DEPARTMENT_ENVELOPES_MAX = POOL_ENVELOPES_MAX // 4
DEPARTMENT_BYTES_MAX = POOL_BYTES_MAX // 4
"""One department's share, whatever keys it signs with: it may register as many as it likes."""

KeyName = tuple[str, int]
"""(credit code, key id) of the key that signed."""


class PoolFullError(NotYetError):
    """The pool, or the department's or its key's share of it, is full; later there is room again."""

    code = "pool_full"


class Pool:
    """Envelopes by id, and by key in the order of their sequence numbers.

    Keys are served in turn: whose envelopes went into a block stands behind those who waited meanwhile. An envelope
    never leaves before one of the same key with a smaller number, so that a window cannot move past what waits.
    """

    def __init__(self) -> None:
        self._by_id: dict[EnvelopeId, PreparedEnvelope] = {}
        self._by_key: dict[KeyName, list[tuple[int, EnvelopeId]]] = {}
        self._bytes = 0
        self._envelopes_of: Counter[str] = Counter()
        self._bytes_of: Counter[str] = Counter()
        """By department."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, envelope: EnvelopeId) -> bool:
        return envelope in self._by_id

    def get(self, envelope: EnvelopeId) -> PreparedEnvelope | None:
        """Return the waiting envelope with this id."""
        return self._by_id.get(envelope)

    def check_room(self, envelope: PreparedEnvelope) -> None:
        """Check that `envelope` fits.

        Raises:
            PoolFullError: It does not.
        """
        if len(self._by_id) >= POOL_ENVELOPES_MAX or self._bytes + len(envelope.raw) > POOL_BYTES_MAX:
            raise PoolFullError(f"the pool holds {len(self._by_id)} envelopes of {self._bytes} bytes")
        department = envelope.envelope.header.department
        count, size = self._envelopes_of[department], self._bytes_of[department]
        if count >= DEPARTMENT_ENVELOPES_MAX or size + len(envelope.raw) > DEPARTMENT_BYTES_MAX:
            raise PoolFullError(f"{count} envelopes of {size} bytes of one department are waiting already")
        waiting = self._by_key.get(_key_of(envelope), [])
        if len(waiting) >= SEQUENCE_WINDOW:
            raise PoolFullError(f"{len(waiting)} envelopes of one key are waiting already")

    def add(self, envelope: PreparedEnvelope) -> None:
        """Keep an envelope that was admitted, for which there is room, and that is not there yet."""
        self._by_id[envelope.id] = envelope
        insort(self._by_key.setdefault(_key_of(envelope), []), (envelope.envelope.header.sequence, envelope.id))
        self._count(envelope, 1)

    def discard(self, envelope: EnvelopeId) -> None:
        """Forget an envelope, if it is there."""
        pooled = self._by_id.pop(envelope, None)
        if pooled is None:
            return
        key = _key_of(pooled)
        waiting = self._by_key[key]
        waiting.remove((pooled.envelope.header.sequence, envelope))
        del self._by_key[key]
        if waiting:
            self._by_key[key] = waiting
        self._count(pooled, -1)

    def keys(self) -> list[KeyName]:
        """Return the keys that have envelopes waiting."""
        return list(self._by_key)

    def discard_of_key(self, key: KeyName, is_dead: Callable[[PreparedEnvelope], bool]) -> None:
        """Forget those envelopes of a key that can never be accepted any more."""
        for _, envelope in list(self._by_key.get(key, ())):
            if is_dead(self._by_id[envelope]):
                self.discard(envelope)

    def discard_expired(self, height: int) -> None:
        """Forget envelopes that no block above `height` may hold."""
        for envelope in [e.id for e in self._by_id.values() if e.envelope.header.valid_until <= height]:
            self.discard(envelope)

    def choose(self, *, height: int, bytes_max: int, taken: Collection[EnvelopeId]) -> tuple[PreparedEnvelope, ...]:
        """Return envelopes for a block of `height`; they stay in the pool until they are committed.

        Args:
            bytes_max: Bound on their bytes together; an envelope that does not fit ends its key's turn.
            taken: Envelopes that the block's uncommitted ancestors hold already.
        """
        chosen: list[PreparedEnvelope] = []
        size = 0
        for envelope in self._in_order():
            if len(chosen) >= ENVELOPES_PER_BLOCK_MAX:
                break
            if envelope.id in taken or envelope.envelope.header.valid_until < height:
                continue
            if size + len(envelope.raw) > bytes_max and chosen:
                break
            chosen.append(envelope)
            size += len(envelope.raw)
        return tuple(chosen)

    def _count(self, envelope: PreparedEnvelope, sign: int) -> None:
        department, size = envelope.envelope.header.department, len(envelope.raw)
        self._bytes += sign * size
        self._bytes_of[department] += sign * size
        self._envelopes_of[department] += sign
        if not self._envelopes_of[department]:
            del self._envelopes_of[department], self._bytes_of[department]

    def _in_order(self) -> Iterator[PreparedEnvelope]:
        for waiting in self._by_key.values():
            for _, envelope in waiting:
                yield self._by_id[envelope]


def _key_of(envelope: PreparedEnvelope) -> KeyName:
    header = envelope.envelope.header
    return header.department, header.key_id
