"""What several members in one process may share: results that follow from bytes alone."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.consensus.cache import BoundedCache, SharedCache
from ledger.state.prepared import PreparedBlock, PreparedEnvelope, VerifyBatch

PREPARED_ENVELOPES_MAX = 16_384
PREPARED_BLOCKS_MAX = 256


class MemberCache(SharedCache):
    """Adds decoded envelopes and blocks to the decoded messages and verified signatures of consensus."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: BoundedCache[PreparedEnvelope] = BoundedCache(PREPARED_ENVELOPES_MAX)
        """By their full bytes."""
        self.blocks: BoundedCache[PreparedBlock] = BoundedCache(PREPARED_BLOCKS_MAX)
        """By block id, which commits to the payload."""


class RememberingVerifier:
    """A `VerifyBatch` that asks only for what it has not seen to be valid: what was admitted is not verified again."""

    def __init__(self, verify: VerifyBatch, cache: SharedCache) -> None:
        self._verify = verify
        self._cache = cache

    def __call__(self, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        """Return for each `(public, message, signature)` whether it is valid under ZIP-215."""
        valid = [self._cache.knows(("zip215", *item)) for item in items]
        open_items = [item for item, known in zip(items, valid, strict=True) if not known]
        answers = iter(self._verify(open_items) if open_items else [])
        for position, item in enumerate(items):
            if not valid[position]:
                valid[position] = next(answers)
                if valid[position]:
                    self._cache.learn(("zip215", *item))
        return valid
