"""Committed blocks by height, read back from the journal, so that a node keeps none of them in memory."""

from __future__ import annotations

from array import array

from ledger.blocks.block import Block
from ledger.blocks.log import ExecutedBlock
from ledger.encoding import decode
from ledger.identifiers import BlockId, Height
from nodes.journal import Journal

_ID_BYTES = 32


class JournalArchive:
    """A `ledger.replica.BlockArchive` over the journal: 40 bytes a block in memory."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ids = bytearray()
        self._offsets = array("q")
        """Where each block was found; -1 until somebody asks for it."""

    def add(self, raw: bytes, executed: ExecutedBlock) -> None:
        """Remember which of the blocks proposed at a height was committed; heights come in order."""
        if executed.record.height != len(self._offsets) + 1:
            raise ValueError(f"block {executed.record.height} archived after {len(self._offsets)}")
        self._ids += executed.record.block
        self._offsets.append(-1)

    def get(self, height: Height) -> bytes | None:
        """Return the encoded block; None if its frame cannot be read, for example because it is not synced yet."""
        if not 1 <= height <= len(self._offsets):
            return None
        offset = self._offsets[height - 1]
        if offset < 0:
            offset = self._offsets[height - 1] = self._find(height)
        return None if offset < 0 else self._journal.read(offset).payload

    def executed(self, height: Height) -> ExecutedBlock | None:
        """Return the block's results; None if their frame cannot be read, for example because it is not synced yet."""
        offset = self._journal.executed_at(height)
        if offset is None or offset >= self._journal.synced:
            return None
        return decode(ExecutedBlock, self._journal.read(offset).payload)

    def _find(self, height: Height) -> int:
        """Return the offset of the committed block among all that were proposed at its height, or -1."""
        committed = BlockId(bytes(self._ids[_ID_BYTES * (height - 1) : _ID_BYTES * height]))
        for offset in self._journal.blocks_at(height):
            if offset < self._journal.synced:
                payload = self._journal.read(offset).payload
                if decode(Block, payload).header.id == committed:
                    return offset
        return -1
