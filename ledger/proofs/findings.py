"""From what was proven to a statement: the three answers, what they rest on, and what nobody looked at."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.members.calendar import Calendar
from ledger.proofs.evidence import Evidence
from ledger.proofs.head import Head
from ledger.proofs.hops import LoggedHop
from ledger.proofs.policy import Policy
from ledger.proofs.statement import (
    STATUS_WORDS,
    Event,
    Moment,
    Named,
    Provenance,
    ProvenResponsibility,
    ProvenSuccessor,
    Quorum,
    Received,
    Requirement,
    Statement,
    exact,
    rounded,
)
from ledger.registers.certificates.values import Certificate, Status, status_at

CLOCK_SKEW_MS = 300_000
"""How far a block's time may lie ahead of the reader's clock before one of the two must be wrong."""


def certificate_statement(
    evidence: Evidence, policy: Policy, *, now_ms: int, max_age_s: int, require: Requirement
) -> Statement:
    """Return the statement about a genuine certificate.

    Args:
        now_ms, max_age_s, require: As for `ledger.proofs.verify.verify_bundle`.
    """
    certificate, block = evidence.certificate, evidence.head.block
    as_of, age_ms = _as_of(evidence.head, policy), now_ms - block.time_ms
    # A term ends by its date alone, so that it is known beyond the newest block; everything else is known up to it.
    calendar = Calendar({}, utc_offset_hours=policy.utc_offset_hours)
    status = status_at(certificate, calendar, max(now_ms, block.time_ms))
    return Statement(
        genuine=True,
        status=status,
        fresh=_is_fresh(age_ms, max_age_s),
        as_of=as_of,
        age_s=age_ms // 1000,
        signers=tuple(map(policy.name_of, evidence.head.signers)),
        quorum=_quorum(evidence.head, policy),
        provenance=_provenance(evidence, policy),
        reasons=(*_why_not_valid(certificate, status, policy), *_why_not_fresh(as_of, age_ms, max_age_s)),
        not_checked=tuple(_not_checked(evidence, as_of)),
        require=require,
    )


def absence_statement(
    identifier: str, head: Head, policy: Policy, *, now_ms: int, max_age_s: int, require: Requirement
) -> Statement:
    """Return the statement about a certificate that the state of `head` does not have.

    It is a "no" only while the head is recent: it could have been issued since.
    """
    as_of, age_ms = _as_of(head, policy), now_ms - head.block.time_ms
    fresh = _is_fresh(age_ms, max_age_s)
    return Statement(
        genuine=False if fresh else None,
        status=None,
        fresh=fresh,
        as_of=as_of,
        age_s=age_ms // 1000,
        signers=tuple(map(policy.name_of, head.signers)),
        quorum=_quorum(head, policy),
        provenance=None,
        reasons=(
            f"the ledger has no certificate {identifier} as of {as_of.text()}",
            *_why_not_fresh(as_of, age_ms, max_age_s),
        ),
        not_checked=(f"what happened after {as_of.text()}",),
        require=require,
    )


def _as_of(head: Head, policy: Policy) -> Moment:
    return Moment(head.block.height, head.block.time_ms, policy.utc_offset_hours)


def _is_fresh(age_ms: int, max_age_s: int) -> bool:
    return -CLOCK_SKEW_MS <= age_ms <= max_age_s * 1000


def _quorum(head: Head, policy: Policy) -> Quorum:
    return Quorum(signed=len(head.signers), needed=policy.quorum, of=len(policy.cosigners))


def _provenance(evidence: Evidence, policy: Policy) -> Provenance:
    certificate, responsibility = evidence.certificate, evidence.responsibility
    return Provenance(
        certificate=certificate.identifier,
        issuer=Named(id=certificate.issuer, name=_both(evidence.issuer.name_en, evidence.issuer.name_zh)),
        issuer_formerly=evidence.issuer.name_before,
        issuer_ended=evidence.issuer.valid_to,
        successor=_proven_successor(evidence),
        type=Named(id=certificate.type_code, name=_both(evidence.type.name_en, evidence.type.name_zh)),
        responsibility=ProvenResponsibility(
            id=responsibility.id,
            name=_both(responsibility.name_en, responsibility.name_zh),
            approved_by=policy.name_of(evidence.approval.entry.header.department),
            approved_height=responsibility.approved_height,
        ),
        recorded=Moment(certificate.issued_height, certificate.issued_ms, policy.utc_offset_hours),
        valid_from=certificate.valid_from,
        valid_until=certificate.valid_until,
        replaced_by=certificate.successor,
        events=tuple(
            Event(what=tag, by=policy.name_of(logged.entry.header.department), index=logged.index)
            for tag, logged in evidence.story
        ),
        received=tuple(_received(hop, policy) for hop in evidence.hops),
        fields=tuple((field.name, field.value) for field in evidence.fields),
        holder=evidence.holder,
    )


def _received(hop: LoggedHop, policy: Policy) -> Received:
    return Received(
        data_item=hop.records.request.data_item,
        delivery=f"{hop.records.delivery.grant}/{hop.records.delivery.number}",
        provider=policy.name_of(hop.provider),
        requester=policy.name_of(hop.requester),
        purpose=hop.records.request.purpose,
        rows=hop.records.delivery.rows,
        index=hop.acknowledgement.index,
    )


def _proven_successor(evidence: Evidence) -> ProvenSuccessor | None:
    if evidence.passed_on is None:
        return None
    department = evidence.passed_on.department
    name = _both(department.name_en, department.name_zh)
    return ProvenSuccessor(id=department.credit_code, name=name, height=evidence.passed_on.succession.height)


def _why_not_valid(certificate: Certificate, status: Status, policy: Policy) -> Iterator[str]:
    changed = Moment(certificate.changed_height, certificate.changed_ms, policy.utc_offset_hours).text()
    match status:
        case Status.VALID:
            return
        case Status.EXPIRED:
            yield f"its term ended with {certificate.valid_until}"
        case Status.NOT_YET_VALID:
            yield f"its term begins with {certificate.valid_from}"
        case Status.LAPSED:
            yield f"it was replaced by {certificate.successor} at {changed}"
        case _:
            yield f"it was {STATUS_WORDS[status]} at {changed}: {certificate.change_reason}"


def _why_not_fresh(as_of: Moment, age_ms: int, max_age_s: int) -> Iterator[str]:
    if age_ms < -CLOCK_SKEW_MS:
        yield f"the newest block is of {as_of.text()}, {rounded(-age_ms // 1000)} ahead of this clock"
    elif age_ms > max_age_s * 1000:
        yield f"the newest block is of {as_of.text()}, older than {exact(max_age_s)}; ask for a newer bundle"


def _not_checked(evidence: Evidence, as_of: Moment) -> Iterator[str]:
    """Yield what a reader might take from the statement and must not."""
    yield f"what happened after {as_of.text()}"
    if evidence.holder is None:
        yield "who holds the certificate: the bundle does not open that"
    yield "that whoever shows the certificate is its holder"
    if not evidence.fields:
        yield "what the certificate says: the bundle shows none of its fields"
    else:
        yield "any field that is not shown above"
    yield "that what was certified is true: the ledger shows who vouched for it, when, and with which right"
    if evidence.hops:
        yield "that the certificate rests on the data above: the ledger shows that they reached its issuer before"
    responsibility, issuer = evidence.responsibility, evidence.issuer
    if evidence.passed_on is None and issuer.valid_to is not None:
        name = _both(issuer.name_en, issuer.name_zh)
        yield f"who answers for the certificate now: {name} has ended, and nobody took over {responsibility.id}"
    if responsibility.revision != responsibility.approved_revision:
        yield (
            f"the wording of {responsibility.id}: it is that of revision {responsibility.revision}, "
            f"approved was revision {responsibility.approved_revision}"
        )
    if responsibility.withdrawn_height:
        yield f"whether {responsibility.id} still stands: it was withdrawn in block {responsibility.withdrawn_height}"


def _both(english: str, chinese: str) -> str:
    return f"{english} ({chinese})" if english else chinese
