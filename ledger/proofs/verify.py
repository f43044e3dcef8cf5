"""Verifying a bundle against a policy: is this certificate genuine, is it valid, is what we know recent?

The order of the steps is the order of trust. The policy is trusted; it makes the checkpoint count; the checkpoint makes
the last block record true; its state root makes the values true; and only then is anything read from them. What cannot
be read, or is not evidence for this reader, is "cannot say"; what can be read and does not hold together is a forgery
or was changed.

Offline and without a clock: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from msgspec import UnsetType

from ledger.blocks.log import BlockRecord
from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.commitments import Field, check_commitment, verify_disclosure
from ledger.crypto.hashing import Tag
from ledger.crypto.signatures import verify_signature, verify_strict
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import decode
from ledger.errors import DecodeError, ProofError, SignatureError
from ledger.identifiers import ChainId, CreditCode
from ledger.members.calendar import Calendar, format_day
from ledger.members.departments import Department, EnvelopeKey, department_key, envelope_key_key
from ledger.proofs.bundle import FORMAT, Bundle
from ledger.proofs.canonical_json import parse
from ledger.proofs.cosigned import NotEstablishedError, check_cosigned
from ledger.proofs.inclusion import LoggedRecord, check_last_block
from ledger.proofs.lifecycle import check_story, decode_story_record, tag_of
from ledger.proofs.notes import parse_note
from ledger.proofs.policy import Policy, parse_policy
from ledger.proofs.statement import (
    STATUS_WORDS,
    Event,
    Moment,
    Named,
    Provenance,
    ProvenResponsibility,
    ProvenSuccessor,
    Quorum,
    Requirement,
    Statement,
    exact,
    rounded,
)
from ledger.proofs.succession import PassedOn, check_succession
from ledger.registers.certificates.values import (
    Certificate,
    CertificateType,
    Status,
    certificate_key,
    status_at,
    type_key,
)
from ledger.registers.directories.records import ApproveResponsibility
from ledger.registers.shared import Responsibility, responsibility_key

MAX_AGE_S = 7 * 86_400
"""How old the newest block of a bundle may be: a week, so that a revocation is seen within one."""

CLOCK_SKEW_MS = 300_000
"""How far a block's time may lie ahead of the reader's clock before one of the two must be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """What was proven. Every value here was shown to follow from the policy's keys."""

    signers: tuple[CreditCode, ...]
    block: BlockRecord
    certificate: Certificate
    type: CertificateType
    responsibility: Responsibility
    issuer: Department
    passed_on: PassedOn | None
    """Who has the responsibility now, if that is no longer the issuer."""
    story: tuple[tuple[str, LoggedRecord], ...]
    """Each record's tag and place."""
    approval: LoggedRecord
    fields: tuple[Field, ...]
    holder: str | None


def verify_bundle(
    bundle: bytes,
    policy_text: str,
    *,
    now_ms: int,
    max_age_s: int = MAX_AGE_S,
    require: Requirement = "all",
) -> Statement:
    """Return what can be said of the certificate in `bundle`. Never raises for anything that the bundle may hold.

    Args:
        bundle: The file's bytes, from anywhere.
        policy_text: From somebody whom the reader trusts, never from where the bundle came from.
        now_ms: The reader's time, Unix milliseconds.
        max_age_s: A bundle whose newest block is older is not fresh.
        require: `genuine` asks only the first of the three questions.
    """
    try:
        policy = parse_policy(policy_text)
    except DecodeError as error:
        return Statement.without_evidence(None, f"the policy cannot be used: {error}", require)
    if policy.day_at(now_ms) > policy.valid_until:
        reason = f"the policy was to be used until {format_day(policy.valid_until)}; get a newer one"
        return Statement.without_evidence(None, reason, require)
    try:
        evidence = _establish(bundle, policy)
    except (DecodeError, NotEstablishedError) as error:
        return Statement.without_evidence(None, str(error), require)
    except (ProofError, SignatureError) as error:
        return Statement.without_evidence(False, f"forged or changed: {error}", require)
    return _statement(evidence, policy, now_ms=now_ms, max_age_s=max_age_s, require=require)


def _establish(data: bytes, policy: Policy) -> _Evidence:
    """Return what the bundle proves under the policy.

    Raises:
        DecodeError: It cannot be read.
        NotEstablishedError: It is not evidence under this policy.
        ProofError, SignatureError: It can be read, and does not hold together.
    """
    bundle = _read(data)
    note = parse_note(bundle.checkpoint)
    signers = check_cosigned(note, policy)
    block = check_last_block(bundle.block, size=note.size, root=note.root)
    if bundle.block.index != note.size - 1:
        raise NotEstablishedError(
            f"the block record is entry {bundle.block.index} of {note.size}: it is true, but says nothing about now"
        )
    root = block.state_root
    state = bundle.state
    certificate = state.certificate.check(Certificate, key=certificate_key(bundle.certificate), root=root)
    kind = state.type.check(CertificateType, key=type_key(certificate.type_code), root=root)
    responsibility = state.responsibility.check(Responsibility, key=responsibility_key(kind.responsibility), root=root)
    issuer = state.issuer.check(Department, key=department_key(certificate.issuer), root=root)
    passed_on = check_succession(state, responsibility, issuer, root=root)
    story = [decode_story_record(proof.record) for proof in bundle.records]
    approved = decode(ApproveResponsibility, bundle.approval.record)
    logged = [proof.check(size=note.size, root=note.root) for proof in bundle.records]
    approval = bundle.approval.check(size=note.size, root=note.root)
    _check_accepted((*logged, approval))
    _check_order(logged)
    check_story(story, certificate)
    _check_approval(approved, responsibility)
    fields = _shown_fields(bundle, certificate)
    holder = _opened_holder(bundle, certificate)
    # Signatures come last: one that only this ledger's rule accepts is worth saying once all else is proven.
    _check_signatures(bundle, (*logged, approval), policy, root)
    return _Evidence(
        signers=signers,
        block=block,
        certificate=certificate,
        type=kind,
        responsibility=responsibility,
        issuer=issuer,
        passed_on=passed_on,
        story=tuple((tag_of(record), each) for record, each in zip(story, logged, strict=True)),
        approval=approval,
        fields=fields,
        holder=holder,
    )


def _read(data: bytes) -> Bundle:
    try:
        return parse(Bundle, data)
    except DecodeError as error:
        if b'"format":"mulu.bundle/' in data and f'"format":"{FORMAT}"'.encode() not in data:
            raise DecodeError(f"the bundle has a version that is unknown here; this program reads {FORMAT}") from error
        raise


def _check_accepted(records: Iterable[LoggedRecord]) -> None:
    for record in records:
        if record.result != ACCEPTED:
            raise ProofError(f"the record at log entry {record.index} was refused, with code {record.result}")


def _check_order(records: list[LoggedRecord]) -> None:
    places = [(record.index, record.position) for record in records]
    for earlier, later in pairwise(places):
        if earlier >= later:
            raise ProofError(f"the record at {later} stands after that at {earlier}, not in the order of the log")


def _check_approval(approved: ApproveResponsibility, responsibility: Responsibility) -> None:
    if (approved.id, approved.revision) != (responsibility.id, responsibility.approved_revision):
        raise ProofError(
            f"the approval is of {approved.id}, revision {approved.revision}, "
            f"not of {responsibility.id}, revision {responsibility.approved_revision}"
        )


def _shown_fields(bundle: Bundle, certificate: Certificate) -> tuple[Field, ...]:
    if isinstance(bundle.content, UnsetType):
        return ()
    parts = [part.part() for part in bundle.content]
    if not any(isinstance(part, Field) for part in parts):
        raise DecodeError("the bundle has a content in which no field is shown")
    return verify_disclosure(parts, root=certificate.content)


def _opened_holder(bundle: Bundle, certificate: Certificate) -> str | None:
    if isinstance(bundle.holder, UnsetType):
        return None
    check_commitment(certificate.holder, Tag.HOLDER, bundle.holder.key, bundle.holder.holder.encode())
    return bundle.holder.holder


def _check_signatures(bundle: Bundle, records: tuple[LoggedRecord, ...], policy: Policy, root: bytes) -> None:
    """Check every envelope's signature under the key that the state has for it."""
    headers = [record.entry.header for record in records]
    signers = sorted({(header.department, header.key_id) for header in headers})
    if len(signers) != len(bundle.state.keys):
        raise ProofError(f"{len(bundle.state.keys)} envelope keys are here; {len(signers)} signed the records")
    keys = {
        signer: proof.check(EnvelopeKey, key=envelope_key_key(*signer), root=root).public
        for signer, proof in zip(signers, bundle.state.keys, strict=True)
    }
    for record in records:
        header = record.entry.header
        if ChainId(header.chain) != policy.chain:
            raise ProofError(f"the envelope at log entry {record.index} was signed for another network")
        if record.entry.suite != ED25519_SHA256:
            raise NotEstablishedError(f"the signature suite {record.entry.suite} is unknown here")
        _check_signature(keys[header.department, header.key_id], header.id, record)


def _check_signature(public: bytes, message: bytes, record: LoggedRecord) -> None:
    try:
        verify_strict(public, message, record.entry.signature)
    except SignatureError:
        verify_signature(public, message, record.entry.signature)
        raise NotEstablishedError(
            f"the envelope at log entry {record.index} is recorded, but not checkable by standard tools"
        ) from None


def _statement(evidence: _Evidence, policy: Policy, *, now_ms: int, max_age_s: int, require: Requirement) -> Statement:
    certificate, block = evidence.certificate, evidence.block
    as_of = Moment(block.height, block.time_ms, policy.utc_offset_hours)
    age_ms = now_ms - block.time_ms
    fresh = -CLOCK_SKEW_MS <= age_ms <= max_age_s * 1000
    # A term ends by its date alone, so that it is known beyond the newest block; everything else is known up to it.
    calendar = Calendar({}, utc_offset_hours=policy.utc_offset_hours)
    status = status_at(certificate, calendar, max(now_ms, block.time_ms))
    return Statement(
        genuine=True,
        status=status,
        fresh=fresh,
        as_of=as_of,
        age_s=age_ms // 1000,
        signers=tuple(policy.name_of(signer) for signer in evidence.signers),
        quorum=Quorum(signed=len(evidence.signers), needed=policy.quorum, of=len(policy.cosigners)),
        provenance=_provenance(evidence, policy),
        reasons=(*_why_not_valid(certificate, status, policy), *_why_not_fresh(as_of, age_ms, max_age_s)),
        not_checked=tuple(_not_checked(evidence, as_of)),
        require=require,
    )


def _provenance(evidence: _Evidence, policy: Policy) -> Provenance:
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
        fields=tuple((field.name, field.value) for field in evidence.fields),
        holder=evidence.holder,
    )


def _proven_successor(evidence: _Evidence) -> ProvenSuccessor | None:
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


def _not_checked(evidence: _Evidence, as_of: Moment) -> Iterator[str]:
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
