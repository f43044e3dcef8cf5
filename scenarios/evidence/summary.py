"""What stands on the ledger at the end of a run, counted from a journal's bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ledger.registers import RULEBOOK
from scenarios.evidence.checks import Evidence, longest
from scenarios.evidence.forms import EvidenceError, read_envelope
from scenarios.evidence.journal import Journal
from scenarios.evidence.records import ACCEPTED, records_of


@dataclass(frozen=True, slots=True)
class BlockOnLedger:
    """One block and how much it holds."""

    height: int
    time_ms: int
    author: int
    """Position of the proposing validator."""
    envelopes: int
    records: int


def blocks_of(journal: Journal) -> Iterator[BlockOnLedger]:
    """Yield every executed block, in order."""
    for height in range(1, journal.height + 1):
        block = journal.block_at(height)
        records = sum(len(read_envelope(raw).records) for raw in block.payload)
        yield BlockOnLedger(height, block.time_ms, block.author, len(block.payload), records)


def accepted_by_kind(evidence: Evidence) -> dict[str, int]:
    """Return how many records of each kind were accepted, by kind."""
    counts = Counter(record.kind for record in records_of(longest(evidence)) if record.code == ACCEPTED)
    return dict(sorted(counts.items()))


def refused_by_code(evidence: Evidence) -> dict[str, int]:
    """Return how many records got each code: in execution as the ledger shows, and at gateways as they answered."""
    counts = Counter(label_of(r.code) for r in records_of(longest(evidence)) if r.code != ACCEPTED)
    counts.update(planted.answer for planted in evidence.planted if planted.answer)
    return dict(sorted(counts.items()))


@dataclass(slots=True)
class DepartmentFigures:
    """What one member did."""

    accepted: int = 0
    refused: int = 0
    blocks: int = 0
    """Executed blocks that its node proposed."""


def figures_by_department(evidence: Evidence) -> dict[str, DepartmentFigures]:
    """Return what each member that did anything did, by credit code; validators first, in their order."""
    journal = longest(evidence)
    codes = evidence.signers.credit_codes
    figures = {code: DepartmentFigures() for code in codes}
    for block in blocks_of(journal):
        # An author outside the set is for the checks to find; here it is not counted.
        if 0 <= block.author < len(codes):
            figures[codes[block.author]].blocks += 1
    for record in records_of(journal):
        figure = figures.setdefault(record.department, DepartmentFigures())
        if record.code == ACCEPTED:
            figure.accepted += 1
        else:
            figure.refused += 1
    return figures


def certificates_by_type(evidence: Evidence) -> dict[str, dict[str, int]]:
    """Return how many certificates of each type stand in which status, as the accepted records left them.

    A term that ended meanwhile is not looked at: it shows in each certificate's own bundle.
    """
    statuses: dict[str, str] = {}
    for record in records_of(longest(evidence)):
        if record.code != ACCEPTED or not record.kind.startswith("certificates."):
            continue
        match record.parts:
            case ("certificates.issue", 1, str(identifier), _, _, _, replaced):
                statuses[identifier] = "valid"
                if replaced is not None:
                    statuses[replaced] = "replaced"
            case ("certificates.suspend", 1, str(identifier), _):
                statuses[identifier] = "suspended"
            case ("certificates.lift", 1, str(identifier), _):
                statuses[identifier] = "valid"
            case ("certificates.revoke", 1, str(identifier), str(ending), _):
                statuses[identifier] = ending
    counts: dict[str, Counter[str]] = {}
    for identifier, status in statuses.items():
        counts.setdefault(_type_of(identifier), Counter())[status] += 1
    return {code: dict(sorted(by_status.items())) for code, by_status in sorted(counts.items())}


def _type_of(identifier: str) -> str:
    """Return the type code in an identifier: it follows the five numbers of the root."""
    match identifier.split("."):
        case [_, _, _, _, _, code, _, _, _, _]:
            return code
    raise EvidenceError(f"an accepted record names {identifier[:80]!r}, which is no certificate")


def label_of(number: int) -> str:
    """Return the name of a code in the log; a number that no register documents is shown as it is."""
    return RULEBOOK.codes[number].label if number in RULEBOOK.codes else f"code_{number}"
