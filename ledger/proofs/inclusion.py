"""From a record to the log: the record hangs from its envelope's header, the envelope's entry from the log's root."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.blocks.log import BlockRecord, EnvelopeEntry
from ledger.blocks.record import record_leaf
from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.merkle import leaf_hash, verify_inclusion
from ledger.encoding import Digest32, decode
from ledger.errors import ProofError
from ledger.proofs.canonical_json import Document, SafeIndex


class EntryProof(Document, frozen=True, kw_only=True):
    """An entry of the log with its inclusion proof."""

    entry: bytes
    """Canonical bytes of an `EnvelopeEntry` or a `BlockRecord`."""
    index: SafeIndex
    path: tuple[Digest32, ...]
    """Siblings in the log's tree, from the leaf upwards."""

    def check(self, *, size: int, root: bytes) -> None:
        """Check that the entry stands at `index` in the log of `size` entries under `root`, which is trusted already.

        Raises:
            ProofError: It does not.
        """
        verify_inclusion(leaf_hash(self.entry), index=self.index, size=size, path=self.path, root=root)


class RecordProof(Document, frozen=True, kw_only=True):
    """A record, its place in its envelope, and the envelope's entry in the log."""

    record: bytes
    """Canonical bytes."""
    position: SafeIndex
    """Zero-based, among the records of the envelope."""
    path: tuple[Digest32, ...]
    """Siblings in the envelope's tree of records, from the leaf upwards."""
    logged: EntryProof
    """The header, suite and signature of the envelope, and the result of each record in it."""

    def check(self, *, size: int, root: bytes) -> LoggedRecord:
        """Check that the log of `size` entries under `root`, which is trusted already, holds this record as accepted.

        The signature is not checked here: whose key it needs is on the ledger, not in the proof.

        Raises:
            ProofError: The entry is not in the log, the record not in the envelope, or it was refused.
            DecodeError: The entry is in the log, and not that of an envelope.
        """
        self.logged.check(size=size, root=root)
        entry = decode(EnvelopeEntry, self.logged.entry)
        header = entry.header
        if len(entry.results) != header.record_count:
            raise ProofError(f"{len(entry.results)} results for {header.record_count} records")
        verify_inclusion(
            record_leaf(self.record),
            index=self.position,
            size=header.record_count,
            path=self.path,
            root=header.records_root,
        )
        if (result := entry.results[self.position]) != ACCEPTED:
            raise ProofError(f"the record at log entry {self.logged.index} was refused, with code {result}")
        return LoggedRecord(record=self.record, position=self.position, entry=entry, index=self.logged.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRecord:
    """A record that was shown to be in the log, and accepted."""

    record: bytes
    position: int
    entry: EnvelopeEntry
    index: int
    """Of the envelope's entry in the log. A smaller one was executed earlier."""


def check_last_block(proof: EntryProof, *, size: int, root: bytes) -> BlockRecord:
    """Return the block record that `proof` shows to be in the log of `size` entries under `root`.

    That it is the last entry, so that its state is the checkpoint's and no older one, is for the caller to compare:
    an older one is a true entry too, it only says nothing about now.

    Raises:
        ProofError: The entry is not in the log.
        DecodeError: It is, and it is not a block record.
    """
    proof.check(size=size, root=root)
    return decode(BlockRecord, proof.entry)
