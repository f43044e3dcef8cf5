"""Verifying a bundle against a policy: is this certificate genuine, is it valid, is what we know recent?

Offline and without a clock: the time is an argument. What is proven, and in which order, is in
`ledger.proofs.evidence`; what a reader is told of it, in `ledger.proofs.findings`.
"""

from __future__ import annotations

from ledger.errors import DecodeError, ProofError, SignatureError
from ledger.members.calendar import format_day
from ledger.proofs import absence, bundle
from ledger.proofs.absence import Absence
from ledger.proofs.bundle import Bundle
from ledger.proofs.canonical_json import parse
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.evidence import establish
from ledger.proofs.findings import absence_statement, certificate_statement
from ledger.proofs.head import check_head
from ledger.proofs.policy import parse_policy
from ledger.proofs.statement import Requirement, Statement
from ledger.registers.certificates.values import certificate_key

MAX_AGE_S = 7 * 86_400
"""How old the newest block of a bundle may be: a week, so that a revocation is seen within one."""


def verify_bundle(
    data: bytes,
    policy_text: str,
    *,
    now_ms: int,
    max_age_s: int = MAX_AGE_S,
    require: Requirement = "all",
) -> Statement:
    """Return what can be said of a certificate. Never raises for anything that the file may hold.

    Args:
        data: The bytes of a bundle or of an absence, from anywhere.
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
        match _read(data):
            case Bundle() as certificate:
                evidence = establish(certificate, policy)
                return certificate_statement(evidence, policy, now_ms=now_ms, max_age_s=max_age_s, require=require)
            case Absence(certificate=identifier) as nothing:
                head = check_head(nothing.checkpoint, nothing.block, policy)
                nothing.absence.check(key=certificate_key(identifier), root=head.block.state_root)
                return absence_statement(identifier, head, policy, now_ms=now_ms, max_age_s=max_age_s, require=require)
    except (DecodeError, NotEstablishedError) as error:
        return Statement.without_evidence(None, str(error), require)
    except (ProofError, SignatureError) as error:
        return Statement.without_evidence(False, f"forged or changed: {error}", require)


def _read(data: bytes) -> Bundle | Absence:
    # Inside a text of JSON each quote has a backslash before it, so that no text can say this.
    if f'"format":"{absence.FORMAT}"'.encode() in data:
        return parse(Absence, data)
    try:
        return parse(Bundle, data)
    except DecodeError as error:
        if b'"format":"mulu.' in data and f'"format":"{bundle.FORMAT}"'.encode() not in data:
            known = f"{bundle.FORMAT} and {absence.FORMAT}"
            raise DecodeError(f"the bundle has a version that is unknown here; this program reads {known}") from error
        raise
