"""Deliveries in a chain: what the issuer had received, as a bundle shows it.

No record ties a certificate to the data that its issuer looked at, so that a node cannot tell of them. The issuer names
the deliveries in the bundle that it gives out, and the bundle proves that they reached it before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ledger.errors import DecodeError, InvalidInputError, ProofError, SignatureError
from ledger.identifiers import CreditCode
from ledger.proofs.bundle import Bundle
from ledger.proofs.canonical_json import parse
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.evidence import establish
from ledger.proofs.hops import LoggedHop
from ledger.proofs.inclusion import LoggedRecord
from ledger.proofs.policy import Policy, parse_policy
from ledger.proofs.policy_terms import PolicyDepartment
from nodes.tracing.chain import PROVEN, Chain, Step


class UnprovenBundleError(InvalidInputError):
    """The bundle that should show deliveries proves nothing under the policy, or is about another certificate."""

    code = "unproven_bundle"


def with_deliveries(chain: Chain, data: bytes, policy_text: str) -> Chain:
    """Return the chain with the deliveries that the bundle `data` shows.

    Raises:
        UnprovenBundleError: It does not hold under the policy, or is of another certificate.
    """
    try:
        policy = parse_policy(policy_text)
        evidence = establish(parse(Bundle, data), policy)
    except (DecodeError, NotEstablishedError, ProofError, SignatureError) as error:
        raise UnprovenBundleError(f"the bundle proves nothing under this policy: {error}") from error
    if evidence.certificate.identifier != chain.trace["certificate"]:
        raise UnprovenBundleError(f"the bundle is that of {evidence.certificate.identifier}")
    shown = [step for hop in evidence.hops for step in _steps_of(hop, policy)]
    before = [step for step in chain.steps if step.subject in ("responsibility", "type")]
    return replace(chain, steps=[*before, *shown, *chain.steps[len(before) :]])


def _steps_of(hop: LoggedHop, policy: Policy) -> Iterator[Step]:
    name = f"{hop.records.delivery.grant}/{hop.records.delivery.number}"
    names = {department.credit_code: department for department in policy.departments}
    for kind, logged in (
        ("sharing.request", hop.request),
        ("sharing.deliver", hop.delivery),
        ("sharing.acknowledge", hop.acknowledgement),
    ):
        yield _step(name, kind, logged, names)


def _step(name: str, kind: str, logged: LoggedRecord, names: dict[CreditCode, PolicyDepartment]) -> Step:
    credit_code = CreditCode(logged.entry.header.department)
    known = names.get(credit_code)
    return Step(
        subject="delivery",
        id=name,
        kind=kind,
        department={
            "credit_code": credit_code,
            "code": known.code if known else "",
            "name_en": known.name_en if known else "",
            "name_zh": known.name_zh if known else "",
        },
        height=None,
        time=None,
        log_index=logged.index,
        position=logged.position,
        proof=PROVEN,
    )
