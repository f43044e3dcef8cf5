"""What several members in one process may share: results that follow from bytes alone."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.consensus.cache import BoundedCache, SharedCache
from ledger.identifiers import BlockId
from ledger.state.prepared import PreparedBlock, PreparedEnvelope, VerifyBatch

PREPARED_ENVELOPES_MAX = 16_384
PREPARED_ENVELOPE_BYTES_MAX = 64 << 20
"""Bytes of all prepared envelopes together, as many as may wait in a pool: anybody may send what is refused later."""

PREPARED_BLOCKS_MAX = 256
RECORDS_IN_BLOCKS_MAX = 131_072
"""Records of all prepared blocks together, at about a kilobyte each: four of the fullest blocks, where three wait for
their quorum."""


class PreparedBlocks:
    """Prepared blocks by their id, which commits to the payload; the oldest are forgotten."""

    def __init__(self) -> None:
        self._blocks: dict[BlockId, PreparedBlock] = {}
        self._records = 0

    def get(self, block: BlockId) -> PreparedBlock | None:
        """Return the block with this id, or None if it was not put or is forgotten."""
        return self._blocks.get(block)

    def put(self, block: PreparedBlock) -> None:
        """Keep `block`, and at least this one."""
        self.discard(block.id)
        self._blocks[block.id] = block
        self._records += _records_in(block)
        while len(self._blocks) > 1 and (
            self._records > RECORDS_IN_BLOCKS_MAX or len(self._blocks) > PREPARED_BLOCKS_MAX
        ):
            self.discard(next(iter(self._blocks)))

    def discard(self, block: BlockId) -> None:
        """Forget a block, if it is there."""
        forgotten = self._blocks.pop(block, None)
        if forgotten is not None:
            self._records -= _records_in(forgotten)


def _records_in(block: PreparedBlock) -> int:
    return sum([len(envelope.records) for envelope in block.envelopes])


class MemberCache(SharedCache):
    """Adds decoded envelopes and blocks to the decoded messages and verified signatures of consensus."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: BoundedCache[PreparedEnvelope] = BoundedCache(
            PREPARED_ENVELOPES_MAX, size_max=PREPARED_ENVELOPE_BYTES_MAX
        )
        """By their full bytes."""
        self.blocks = PreparedBlocks()


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
