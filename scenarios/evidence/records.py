"""The records in a journal's blocks, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scenarios.evidence.forms import EvidenceError, Parts, unpack
from scenarios.evidence.journal import Journal

ACCEPTED = 0


@dataclass(frozen=True, slots=True)
class RecordOnLedger:
    """One record, where it stands and what became of it."""

    height: int
    time_ms: int
    department: str
    """Credit code of who signed."""
    kind: str
    """The record's tag, for example `certificates.issue`; `malformed` if it has none."""
    code: int
    """0 is accepted."""
    parts: Parts
    """Tag, version and fields."""


def records_of(journal: Journal) -> Iterator[RecordOnLedger]:
    """Yield every record of the executed blocks, in order."""
    for height in range(1, journal.height + 1):
        time_ms = journal.block_at(height).time_ms
        for envelope, results in journal.results_at(height):
            for record, code in zip(envelope.records, results, strict=True):
                parts = _parts_of(record)
                yield RecordOnLedger(height, time_ms, envelope.department, parts[0], code, parts)


def _parts_of(record: bytes) -> Parts:
    try:
        parts = unpack(record)
    except EvidenceError:
        parts = ()
    # What departments sign may be anything; a record without a tag is on the ledger too, refused.
    return parts if isinstance(parts, tuple) and parts and isinstance(parts[0], str) else ("malformed",)
