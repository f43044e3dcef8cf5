"""Verifying a bundle against a policy: is this certificate genuine, is it valid, is what we know recent?

Offline and without a clock: the time is an argument. What is proven, and in which order, is in
`ledger.proofs.evidence`; what a reader is told of it, in `ledger.proofs.findings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from ledger.crypto.signatures import StrictCheck, verify_strict, verify_strict_batch
from ledger.errors import DecodeError, ProofError, SignatureError
from ledger.proofs import absence, bundle
from ledger.proofs.absence import Absence
from ledger.proofs.bundle import Bundle
from ledger.proofs.canonical_json import parse
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.evidence import establish
from ledger.proofs.findings import absence_statement, certificate_statement
from ledger.proofs.head import check_head
from ledger.proofs.policy import Policy, parse_policy
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
    return Verifier(policy_text, now_ms=now_ms, max_age_s=max_age_s, require=require).verify(data)


class Verifier:
    """A reader with one policy, one clock and one question, for any number of bundles."""

    def __init__(
        self, policy_text: str, *, now_ms: int, max_age_s: int = MAX_AGE_S, require: Requirement = "all"
    ) -> None:
        """Read the policy; the arguments are those of `verify_bundle`. A policy that cannot be used raises nothing."""
        self._asked = _Asked(now_ms=now_ms, max_age_s=max_age_s, require=require)
        self._policy: Policy | None = None
        self._unusable = ""
        try:
            policy = parse_policy(policy_text)
        except DecodeError as error:
            self._unusable = f"the policy cannot be used: {error}"
            return
        if (reason := policy.unusable_at(now_ms)) is not None:
            self._unusable = reason
            return
        self._policy = policy

    def verify(self, data: bytes) -> Statement:
        """Return what `verify_bundle` returns."""
        require = self._asked["require"]
        if self._policy is None:
            return Statement.without_evidence(None, self._unusable, require)
        try:
            return self._statement(data, self._policy, verify_strict)
        except (DecodeError, NotEstablishedError) as error:
            return Statement.without_evidence(None, str(error), require)
        except (ProofError, SignatureError) as error:
            return Statement.without_evidence(False, f"forged or changed: {error}", require)

    def verify_all(self, datas: Sequence[bytes], entropy: bytes) -> list[Statement]:
        """Return what `verify` returns for each, in order, with the signatures of all of them checked at once.

        Args:
            entropy: 32 bytes from a secure source of randomness, drawn for these bundles once they were there.
        """
        signed: list[tuple[bytes, bytes, bytes]] = []
        promised = []
        for data in datas:
            first = len(signed)
            statement = self._promise(data, signed)
            promised.append((statement, slice(first, len(signed))))
        holds = verify_strict_batch(signed, entropy)
        # What does not hold is looked at again by itself: only in its own order does a failure have its reason.
        return [
            statement if statement is not None and all(holds[places]) else self.verify(data)
            for data, (statement, places) in zip(datas, promised, strict=True)
        ]

    def _promise(self, data: bytes, signed: list[tuple[bytes, bytes, bytes]]) -> Statement | None:
        """Return the statement if all that is appended to `signed` verifies, or None if it would be no good one."""

        def note(public: bytes, message: bytes, signature: bytes) -> None:
            signed.append((public, message, signature))

        if self._policy is None:
            return None
        try:
            return self._statement(data, self._policy, note)
        except (DecodeError, NotEstablishedError, ProofError, SignatureError):
            return None

    def _statement(self, data: bytes, policy: Policy, check: StrictCheck) -> Statement:
        match _read(data):
            case Bundle() as certificate:
                return certificate_statement(establish(certificate, policy, check), policy, **self._asked)
            case Absence(certificate=identifier) as nothing:
                head = check_head(nothing.checkpoint, nothing.block, policy, check)
                nothing.absence.check(key=certificate_key(identifier), root=head.block.state_root)
                return absence_statement(identifier, head, policy, **self._asked)


class _Asked(TypedDict):
    """What a reader asks, besides whom it trusts."""

    now_ms: int
    max_age_s: int
    require: Requirement


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
