"""Whether a certificate's records are its whole story: from its issue to how it stands, nothing more, nothing left out.

The state counts how often a certificate was changed. So whoever shows its records cannot leave one out, and taken
together they must lead to the status, content and successor that the state has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.encoding import decode_any
from ledger.errors import OversizeError, ProofError
from ledger.limits import RECORD_BYTES_MAX
from ledger.registers.certificates.records import (
    ChangeCertificate,
    IssueCertificate,
    LiftSuspension,
    RevokeCertificate,
    SuspendCertificate,
)
from ledger.registers.certificates.values import Certificate, Status

StoryRecord = IssueCertificate | ChangeCertificate | SuspendCertificate | LiftSuspension | RevokeCertificate
"""What sets a certificate's value: its own issue, changes, and the issue of the one that replaces it."""

_ENDINGS = {"withdrawn": Status.WITHDRAWN, "cancelled": Status.CANCELLED, "revoked": Status.REVOKED}


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the records make of a certificate."""

    status: Status
    reason: str
    content: bytes
    revision: int
    successor: str | None


def decode_story_record(raw: bytes) -> StoryRecord:
    """Return the record whose canonical bytes are `raw`.

    Raises:
        DecodeError: Not a record that sets a certificate, or longer than any record.
    """
    if len(raw) > RECORD_BYTES_MAX:
        raise OversizeError("record", size=len(raw), size_max=RECORD_BYTES_MAX)
    record: StoryRecord = decode_any(StoryRecord, raw)
    return record


def tag_of(record: StoryRecord) -> str:
    """Return the record's kind as people and logs call it, for example `certificates.suspend`."""
    return str(type(record).__struct_config__.tag)


def check_story(records: Sequence[StoryRecord], certificate: Certificate) -> None:
    """Check that `records`, in the order of the log and each accepted, are all that happened to `certificate`.

    Args:
        certificate: As the proven state has it.

    Raises:
        ProofError: The first is not its issue, another one is not about it, one is missing or too many, or they lead to
            something else than the state has.
    """
    if len(records) != certificate.changes + 1:
        raise ProofError(f"{len(records)} records are here; the ledger counts the issue and {certificate.changes} more")
    issue, *changes = records
    if not isinstance(issue, IssueCertificate):
        raise ProofError(f"the first record is {tag_of(issue)}, not the issue")
    _check_issue(issue, certificate)
    standing = _Standing(status=Status.VALID, reason="", content=issue.content, revision=1, successor=None)
    for record in changes:
        standing = _after(record, standing, certificate.identifier)
    reached = _Standing(
        status=certificate.status,
        reason=certificate.change_reason,
        content=certificate.content,
        revision=certificate.revision,
        successor=certificate.successor,
    )
    if standing != reached:
        raise ProofError(f"the records lead to {standing}, the ledger has {reached}")


def _check_issue(issue: IssueCertificate, certificate: Certificate) -> None:
    issued = (issue.identifier, issue.holder, issue.valid_from, issue.replaces)
    recorded = (certificate.identifier, certificate.holder, certificate.valid_from, certificate.predecessor)
    if issued != recorded:
        raise ProofError(f"the first record issues {issue.identifier} otherwise than the ledger has it")


def _after(record: StoryRecord, before: _Standing, identifier: str) -> _Standing:
    """Return what `record` makes of a certificate. That it was allowed is what the ledger's result says."""
    subject = record.replaces if isinstance(record, IssueCertificate) else record.certificate
    if subject != identifier:
        raise ProofError(f"a record is about {subject}, not about {identifier}")
    match record:
        case ChangeCertificate():
            return replace(
                before,
                status=Status.VALID,
                reason=record.reason,
                content=record.content,
                revision=record.revision,
            )
        case SuspendCertificate():
            return replace(before, status=Status.SUSPENDED, reason=record.reason)
        case LiftSuspension():
            return replace(before, status=Status.VALID, reason=record.reason)
        case RevokeCertificate():
            return replace(before, status=_ENDINGS[record.kind], reason=record.reason)
        case IssueCertificate():
            return replace(before, status=Status.LAPSED, reason="replaced", successor=record.identifier)
