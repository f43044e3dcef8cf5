"""Bitstring status lists: how all certificates of a stretch of the log stand, a bit each, for readers of credentials.

A certificate's bit follows from where its issue stands in the log: 256 places for each entry, 512 entries a list. So
nobody hands out numbers, every node can serve every list, and a bundle says which bit is its certificate's.

There are two lists for each stretch. In `revocation` a bit says that the certificate has ended for good: withdrawn,
cancelled, revoked, or replaced. In `suspension` it says that the certificate is suspended. A term that is over is in
neither, because the credential says its days.

Source: W3C Bitstring Status List v1.0 (Recommendation, 15 May 2025).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ledger.limits import RECORDS_PER_ENVELOPE_MAX
from ledger.proofs.jose import base64url
from ledger.registers.certificates.values import Status

Purpose = Literal["revocation", "suspension"]

LIST_BITS = 131_072
"""The least that the specification allows, so that a list hides which of its certificates somebody asks for."""

ENTRIES_PER_LIST = LIST_BITS // RECORDS_PER_ENVELOPE_MAX

SET_IN: Mapping[Status, Purpose] = {
    Status.SUSPENDED: "suspension",
    Status.WITHDRAWN: "revocation",
    Status.CANCELLED: "revocation",
    Status.LAPSED: "revocation",
    Status.REVOKED: "revocation",
}
"""In which list a certificate of this status has its bit set; in none while it is valid, or only its days say no."""


@dataclass(frozen=True, slots=True)
class Place:
    """A certificate's place: the number of its list, and of its bit in it."""

    number: int
    bit: int


def place_of(log_index: int, position: int) -> Place:
    """Return the place of a certificate.

    Args:
        log_index, position: Of the envelope that issued it, and of the record in it.
    """
    number, entry = divmod(log_index, ENTRIES_PER_LIST)
    return Place(number, entry * RECORDS_PER_ENVELOPE_MAX + position)


def list_address(site: str, purpose: Purpose, number: int) -> str:
    """Return where a gateway serves a list."""
    return f"{site}/status-lists/{purpose}/{number}"


def encode_list(bits: Iterable[int]) -> str:
    """Return a list in which these bits are set: the first is the left-most; compressed; in multibase base64url."""
    raw = bytearray(LIST_BITS // 8)
    for bit in bits:
        raw[bit >> 3] |= 0x80 >> (bit & 7)
    return "u" + base64url(gzip.compress(bytes(raw), mtime=0))


def list_credential(
    bits: Iterable[int], purpose: Purpose, *, issuer: str, valid_from: str, valid_until: str
) -> dict[str, Any]:
    """Return the credential that carries a list, not signed yet.

    Args:
        issuer: A DID.
        valid_from, valid_until: RFC 3339: the time of the block whose state it is, and until when it may be used.
    """
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer,
        "validFrom": valid_from,
        "validUntil": valid_until,
        "credentialSubject": {
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "encodedList": encode_list(bits),
        },
    }
