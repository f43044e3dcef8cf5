"""What a bundle proves under a policy.

The order of the steps is the order of trust. The policy is trusted; it makes the checkpoint count; the checkpoint makes
the last block record true; its state root makes the values true; and only then is anything read from them: bytes that
do not lead to what is trusted are a forgery, whatever they look like. What cannot be read, or is not evidence for this
reader, is "cannot say"; what can be read and does not hold together is a forgery or was changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise

from msgspec import UnsetType

from ledger.crypto.commitments import Field, check_commitment, verify_disclosure
from ledger.crypto.hashing import Tag
from ledger.crypto.signatures import StrictCheck, verify_strict
from ledger.encoding import decode
from ledger.errors import DecodeError, ProofError
from ledger.members.departments import Department, department_key
from ledger.proofs.bundle import Bundle
from ledger.proofs.head import Head, check_head
from ledger.proofs.hops import LoggedHop, check_hops, log_hop
from ledger.proofs.inclusion import LoggedRecord
from ledger.proofs.lifecycle import check_story, decode_story_record, tag_of
from ledger.proofs.policy import Policy
from ledger.proofs.signed import check_signatures
from ledger.proofs.succession import PassedOn, check_succession
from ledger.registers.certificates.values import (
    Certificate,
    CertificateType,
    certificate_key,
    type_key,
)
from ledger.registers.directories.records import ApproveResponsibility
from ledger.registers.shared import Responsibility, responsibility_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was proven. Every value here was shown to follow from the policy's keys."""

    head: Head
    certificate: Certificate
    type: CertificateType
    responsibility: Responsibility
    issuer: Department
    passed_on: PassedOn | None
    """Who has the responsibility now, if that is no longer the issuer."""
    story: tuple[tuple[str, LoggedRecord], ...]
    """Each record's tag and place."""
    approval: LoggedRecord
    hops: tuple[LoggedHop, ...]
    fields: tuple[Field, ...]
    holder: str | None


def establish(bundle: Bundle, policy: Policy, check: StrictCheck = verify_strict) -> Evidence:
    """Return what the bundle proves under the policy.

    Args:
        check: Checks each signature, or takes note of it for later.

    Raises:
        DecodeError: A value, record or entry in it cannot be read.
        NotEstablishedError: It is not evidence under this policy.
        ProofError, SignatureError: It can be read, and does not hold together.
    """
    head = check_head(bundle.checkpoint, bundle.block, policy, check)
    log, root, state = head.log, head.block.state_root, bundle.state
    certificate = state.certificate.check(Certificate, key=certificate_key(bundle.certificate), root=root)
    kind = state.type.check(CertificateType, key=type_key(certificate.type_code), root=root)
    responsibility = state.responsibility.check(Responsibility, key=responsibility_key(kind.responsibility), root=root)
    issuer = state.issuer.check(Department, key=department_key(certificate.issuer), root=root)
    passed_on = check_succession(state, responsibility, issuer, root=root)
    logged = [proof.check(size=log.size, root=log.root) for proof in bundle.records]
    story = [decode_story_record(each.record) for each in logged]
    approval = bundle.approval.check(size=log.size, root=log.root)
    approved = decode(ApproveResponsibility, approval.record)
    shown_hops = () if isinstance(bundle.hops, UnsetType) else bundle.hops
    hops = [log_hop(hop, size=log.size, root=log.root) for hop in shown_hops]
    _check_order(logged)
    check_story(story, certificate)
    _check_approval(approved, responsibility)
    check_hops(hops, issuer=certificate.issuer, issue=logged[0])
    fields = _shown_fields(bundle, certificate)
    holder = _opened_holder(bundle, certificate)
    # Signatures come last: one that only this ledger's rule accepts is worth saying once all else is proven.
    everything = (*logged, approval, *chain.from_iterable(hop.logged() for hop in hops))
    check_signatures(everything, bundle.state.keys, policy, root, check)
    return Evidence(
        head=head,
        certificate=certificate,
        type=kind,
        responsibility=responsibility,
        issuer=issuer,
        passed_on=passed_on,
        story=tuple((tag_of(record), each) for record, each in zip(story, logged, strict=True)),
        approval=approval,
        hops=tuple(hops),
        fields=fields,
        holder=holder,
    )


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
