"""What the ledger holds of its members: departments, the keys they sign envelopes with, and who holds which key.

Only the register `members` writes these values; the transition reads them to decide who speaks, registers through the
context they are handed.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.blocks.genesis import ValidatorKeys
from ledger.encoding import Canonical, Key32, ShortText, UInt63
from ledger.identifiers import Height

AUDITOR = "auditor"
DEPARTMENT = "department"
DIRECTORY_AUTHORITY = "directory_authority"
PROVIDER = "provider"
REGISTRAR = "registrar"
"""What a member may do; each rule that needs a role names it."""

CreditCodeText = Annotated[str, Meta(min_length=18, max_length=18)]
"""A unified social credit code in a value; whether its check characters are right is decided where it enters."""

KeyNumber = Annotated[int, Meta(ge=1, lt=1 << 31)]
"""Number of one of a department's envelope keys."""


class Department(Canonical, tag="members/department", kw_only=True):
    """A member organisation. A reorganisation ends one and points to the next; none is ever removed."""

    credit_code: CreditCodeText
    code: Annotated[str, Meta(min_length=1, max_length=8)]
    """Short code by which people call it, for example `AY`."""
    name_zh: ShortText
    name_en: ShortText
    name_before: ShortText
    """Name before the last reorganisation, empty if it is unchanged."""
    roles: tuple[str, ...]
    """Of the five above, sorted."""
    predecessors: tuple[CreditCodeText, ...]
    successors: tuple[CreditCodeText, ...]
    valid_from: UInt63
    """First height at which it is a member; 0 for founders."""
    valid_to: UInt63 | None
    """Last height at which it is a member, or None."""
    current_keys: tuple[KeyNumber, ...]
    """Envelope keys that are not revoked, ascending."""
    validator: ValidatorKeys | None
    """Keys of its node, or None for a member without a vote."""


class EnvelopeKey(Canonical, tag="members/envelope-key", kw_only=True):
    """A public key under which a department signs envelopes."""

    department: CreditCodeText
    key_id: KeyNumber
    public: Key32
    valid_from: UInt63
    """First height at which it may sign."""
    valid_to: UInt63 | None
    """Last height at which it may sign, or None: a revocation in block h binds from h + 1."""
    revocation_reason: ShortText
    """Empty until it is revoked."""


class KeyOwner(Canonical, tag="members/key-owner", kw_only=True):
    """Who registered a public key, and for what: no key ever serves a second owner or a second purpose."""

    department: CreditCodeText
    purpose: ShortText
    """`envelope/<key id>`, `consensus`, `cosigner` or `log`, as in the proof of possession."""


def department_key(credit_code: str) -> bytes:
    """Return the state key of a department."""
    return b"members/department/" + credit_code.encode()


def envelope_key_key(credit_code: str, key_id: int) -> bytes:
    """Return the state key of one of a department's envelope keys."""
    return b"members/envelope-key/%b/%d" % (credit_code.encode(), key_id)


def key_owner_key(public: bytes) -> bytes:
    """Return the state key under which the owner of a public key is found."""
    return b"members/key-owner/" + public


def holds_at(height: Height | int, valid_from: int, valid_to: int | None) -> bool:
    """Return whether something with these two bounds, both inclusive, holds at `height`."""
    return valid_from <= height and (valid_to is None or height <= valid_to)
