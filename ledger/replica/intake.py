"""The way of envelopes into the pool: admitted here and sent to all others, or admitted there and received (P16b)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.blocks.refusals import EnvelopeRefusal, RecordRefusal
from ledger.consensus.cache import BoundedCache
from ledger.consensus.certificates import VerifyStrict
from ledger.consensus.effects import Broadcast, Effect, SetTimer
from ledger.consensus.messages import ENVELOPES_PER_BATCH_MAX, EnvelopeBatch
from ledger.errors import SignatureError
from ledger.identifiers import ChainId, EnvelopeId
from ledger.limits import FRAME_BYTES_MAX
from ledger.replica.admission import NotAdmittedError, is_unused, signing_key
from ledger.replica.cache import MemberCache
from ledger.replica.history import History
from ledger.replica.pool import Pool, PoolFullError
from ledger.replica.signatures import SignatureChecks
from ledger.state.prepared import PreparedBlock, PreparedEnvelope
from ledger.validation.envelopes import prepare_envelope

SPREAD_TIMER = "spread"
SPREAD_AGAIN_TIMER = "spread-again"

SPREAD_MS = 5
"""Envelopes admitted within this time travel to the other pools in one message."""

SPREAD_AGAIN_BASE_TIMEOUTS = 4
"""Own envelopes that are still not committed after this many base timeouts are sent again (P16b)."""

EXPIRIES_MAX = 65_536
"""Envelopes admitted here of which it can be said later that they have expired."""

_BATCH_BYTES_MAX = FRAME_BYTES_MAX - 16 * ENVELOPES_PER_BATCH_MAX
"""What a frame leaves beside the wrapping of each envelope."""


class Intake:
    """The pool, and what has been admitted here and is not committed."""

    def __init__(
        self,
        history: History,
        *,
        chain: ChainId,
        base_timeout_ms: int,
        strict: VerifyStrict,
        signatures: SignatureChecks,
        cache: MemberCache,
    ) -> None:
        """Begin with an empty pool.

        Args:
            history: Whose state says which keys and sequence numbers hold.
            strict: For the signatures of what is admitted here.
            signatures: For those of what others pass on.
        """
        self.pool = Pool()
        self._history = history
        self._chain = chain
        self._spread_again_ms = SPREAD_AGAIN_BASE_TIMEOUTS * base_timeout_ms
        self._strict = strict
        self._signatures = signatures
        self._cache = cache
        self._own: dict[EnvelopeId, bytes] = {}
        """Envelopes admitted here that are not committed yet, to be sent again."""
        self._expiries: BoundedCache[int] = BoundedCache(EXPIRIES_MAX)
        """Valid-until heights of what was admitted here lately and is not committed."""
        self._unspread: list[bytes] = []
        self._spread_armed = False

    def prepare(self, raw: bytes) -> PreparedEnvelope:
        """Return a well-formed envelope of this chain, decoded.

        Raises:
            OversizeError, DecodeError, WrongChainError, RecordsMismatchError: It is none.
        """
        prepared = self._cache.envelopes.get(raw)
        if prepared is None:
            prepared = prepare_envelope(raw, self._chain)
            self._cache.envelopes.put(raw, prepared, size=len(raw))
        return prepared

    def holds(self, prepared: PreparedEnvelope) -> bool:
        """Return whether exactly these bytes wait in the pool.

        Raises:
            NotAdmittedError: The same envelope waits there under another signature.
        """
        pooled = self.pool.get(prepared.id)
        if pooled is not None and pooled.raw != prepared.raw:
            raise NotAdmittedError(EnvelopeRefusal.REPLAYED_ENVELOPE)
        return pooled is not None

    def admit(self, prepared: PreparedEnvelope, now_ms: int) -> list[Effect]:
        """Pool an envelope that is not there yet; return what brings it to the other pools.

        Raises:
            NotAdmittedError: It would be refused as a whole; `code` says why.
            PoolFullError: There is no room now.
        """
        if None in prepared.records:
            raise NotAdmittedError(RecordRefusal.MALFORMED_RECORD)
        public = signing_key(prepared.envelope.header, self._history.state)
        self.pool.check_room(prepared)
        try:
            self._strict(public, prepared.id, prepared.envelope.signature)
        except SignatureError as error:
            raise NotAdmittedError(EnvelopeRefusal.BAD_SIGNATURE) from error
        self._cache.learn(("zip215", public, bytes(prepared.id), prepared.envelope.signature))
        self.pool.add(prepared)
        effects: list[Effect] = []
        if not self._own:
            effects.append(SetTimer(SPREAD_AGAIN_TIMER, now_ms + self._spread_again_ms))
        self._own[prepared.id] = prepared.raw
        self._expiries.put(prepared.id, prepared.envelope.header.valid_until)
        self._unspread.append(prepared.raw)
        if not self._spread_armed:
            self._spread_armed = True
            effects.append(SetTimer(SPREAD_TIMER, now_ms + SPREAD_MS))
        return effects

    def take(self, batch: EnvelopeBatch) -> bool:
        """Pool what another member has admitted; return whether any of it was of use.

        What cannot be used now is passed over: the sender may be ahead of this member, or behind it.

        Raises:
            InvalidInputError: An envelope is not well-formed: its sender should have seen that.
            SignatureError: A signature fails under the key that it names.
        """
        useful: list[PreparedEnvelope] = []
        items: list[tuple[bytes, bytes, bytes]] = []
        for prepared in [self.prepare(raw) for raw in batch.envelopes]:
            if prepared.id in self.pool or None in prepared.records:
                continue
            try:
                public = signing_key(prepared.envelope.header, self._history.state)
            except NotAdmittedError:
                continue
            useful.append(prepared)
            items.append((public, bytes(prepared.id), prepared.envelope.signature))
        self._signatures.check_for_pool(items)
        for prepared in useful:
            if prepared.id not in self.pool:
                try:
                    self.pool.check_room(prepared)
                except PoolFullError:
                    break
                self.pool.add(prepared)
        return bool(useful)

    def spread(self) -> list[Effect]:
        """Send newly admitted envelopes to all other pools: `SPREAD_TIMER` has fired."""
        raws, self._unspread = self._unspread, []
        self._spread_armed = False
        return [Broadcast(batch.encode()) for batch in _batches(raws)]

    def spread_again(self, now_ms: int) -> list[Effect]:
        """Send own envelopes again until they are committed or expired: `SPREAD_AGAIN_TIMER` has fired."""
        for envelope in [envelope for envelope in self._own if envelope not in self.pool]:
            del self._own[envelope]
        if not self._own:
            return []
        again: list[Effect] = [Broadcast(batch.encode()) for batch in _batches(list(self._own.values()))]
        return [*again, SetTimer(SPREAD_AGAIN_TIMER, now_ms + self._spread_again_ms)]

    def forget(self, block: PreparedBlock) -> None:
        """Forget what a block has brought onto the ledger, and what can never be accepted after it.

        The latter has expired, or is behind a window that the block has moved.
        """
        for envelope in block.envelopes:
            self.pool.discard(envelope.id)
            self._own.pop(envelope.id, None)
            self._expiries.discard(envelope.id)
        state = self._history.state
        for key in sorted({(e.envelope.header.department, e.envelope.header.key_id) for e in block.envelopes}):
            self.pool.discard_of_key(key, lambda pooled: not is_unused(pooled.envelope.header, state))
        self.pool.discard_expired(state.height)

    def valid_until(self, envelope: EnvelopeId) -> int | None:
        """Return the height that an envelope admitted here lately was valid until; None if it is on the ledger."""
        return self._expiries.get(envelope)


def _batches(raws: Sequence[bytes]) -> Iterator[EnvelopeBatch]:
    """Yield all of `raws` in as few messages as frames allow."""
    batch: list[bytes] = []
    size = 0
    for raw in raws:
        if batch and (len(batch) == ENVELOPES_PER_BATCH_MAX or size + len(raw) > _BATCH_BYTES_MAX):
            yield EnvelopeBatch(envelopes=tuple(batch))
            batch, size = [], 0
        batch.append(raw)
        size += len(raw)
    if batch:
        yield EnvelopeBatch(envelopes=tuple(batch))
