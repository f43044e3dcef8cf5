"""A certificate as a W3C Verifiable Credential, for wallets and verifiers that know nothing of this ledger.

It is the word of the department that answers for the certificate, under the key with which its node speaks for itself:
the log key, which every policy names. So a reader who has a policy knows whose word it is, and one who has not takes
the `did:key` from the department's own publication. What the ledger proves beyond that, by a quorum of departments, is
in the bundle, to which the credential refers.

Source: W3C Verifiable Credentials Data Model v2.0; Securing Verifiable Credentials using JOSE and COSE (both
Recommendations of 15 May 2025).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from ledger.errors import InvalidInputError
from ledger.identifiers import CreditCode
from ledger.members.departments import Department
from ledger.proofs.evidence import Evidence
from ledger.proofs.jose import did_of
from ledger.proofs.policy import Policy
from ledger.proofs.statement import Moment
from ledger.proofs.status_list import Purpose, list_address, place_of

MEDIA_TYPE = "vc+jwt"
CONTENT_TYPE = "vc"

CONTEXTS = ("https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/undefined-terms/v2")
"""The second gives the terms of the subject, which are this ledger's own, a meaning for readers of JSON-LD."""


class NotTheIssuersKeyError(InvalidInputError):
    """The key is not that of a department which answers for the certificate, by the policy."""

    code = "not_the_issuers_key"


def signing_department(evidence: Evidence, policy: Policy, public: bytes) -> Department:
    """Return the department whose log key this is, which answers for the certificate.

    Args:
        public: 32-byte log key.

    Raises:
        NotTheIssuersKeyError: The policy names no such key, or it is that of somebody else.
    """
    owners: dict[bytes, CreditCode] = {
        key: credit_code for key, (credit_code, _) in zip(policy.logs, policy.cosigners, strict=True)
    }
    # A successor answers for what those before it have issued.
    answers = evidence.issuer if evidence.passed_on is None else evidence.passed_on.department
    if (owner := owners.get(public)) != answers.credit_code:
        whose = "no department's" if owner is None else f"that of {policy.name_of(owner)}"
        wanted = policy.name_of(CreditCode(answers.credit_code))
        raise NotTheIssuersKeyError(f"by the policy the key is {whose}; this takes the log key of {wanted}")
    return answers


def make_credential(
    evidence: Evidence, policy: Policy, *, site: str, department: Department, public: bytes
) -> dict[str, Any]:
    """Return the credential of a certificate, not signed yet: the fields and the holder that the bundle shows.

    Args:
        site: Address under which others reach the gateway of the department's node.
        department, public: Whose word it is, as `signing_department` found it.
    """
    certificate, issue = evidence.certificate, evidence.story[0][1]
    page = f"{site}/certificates/{certificate.identifier}"
    offset = _offset(policy.utc_offset_hours)
    place = place_of(issue.index, issue.position)
    as_of = Moment(evidence.head.block.height, evidence.head.block.time_ms, policy.utc_offset_hours)
    until = {} if certificate.valid_until is None else {"validUntil": f"{certificate.valid_until}T23:59:59{offset}"}
    return {
        "@context": list(CONTEXTS),
        "id": page,
        "type": ["VerifiableCredential", "ElectronicCertificate"],
        "issuer": {"id": did_of(public), "name": _named(department.name_zh, department.name_en)},
        "name": _named(evidence.type.name_zh, evidence.type.name_en),
        "validFrom": f"{certificate.valid_from}T00:00:00{offset}",
        **until,
        "credentialStatus": [
            {
                "type": "BitstringStatusListEntry",
                "statusPurpose": purpose,
                "statusListIndex": str(place.bit),
                "statusListCredential": list_address(site, purpose, place.number),
            }
            for purpose in get_args(Purpose)
        ],
        "credentialSubject": {
            "type": "ElectronicCertificate",
            "certificateIdentifier": certificate.identifier,
            "certificateType": certificate.type_code,
            "issuerCreditCode": certificate.issuer,
            "responsibility": evidence.responsibility.id,
            **({} if evidence.holder is None else {"holder": evidence.holder}),
            "fields": [{"fieldName": field.name, "fieldValue": field.value} for field in evidence.fields],
        },
        "evidence": [
            {
                "type": "LedgerRecord",
                "ledger": policy.origin,
                "logIndex": issue.index,
                "recordPosition": issue.position,
                "asOf": as_of.iso(),
                "bundle": f"{site}/api/v1/certificates/{certificate.identifier}/bundle",
            }
        ],
    }


def _named(chinese: str, english: str) -> list[dict[str, str]]:
    return [{"@value": value, "@language": language} for language, value in _languages(chinese, english)]


def _languages(chinese: str, english: str) -> Iterator[tuple[str, str]]:
    yield "zh", chinese
    if english:
        yield "en", english


def _offset(hours: int) -> str:
    return f"{'-' if hours < 0 else '+'}{abs(hours):02}:00"
