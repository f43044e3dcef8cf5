"""What the state holds of certificates, how their status follows from it, and the keys."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta

from ledger.encoding import Canonical, Digest32, ShortText, UInt63
from ledger.members.calendar import Calendar, format_day
from ledger.members.departments import CreditCodeText
from ledger.registers.shared import ResponsibilityId

TypeCode = Annotated[str, Meta(min_length=21, max_length=21)]
IdentifierText = Annotated[str, Meta(min_length=1, max_length=100)]
"""An identifier of GB/T 36904 in a value; `identifier.parse_identifier` says where it enters whether it is one."""
DayText = Annotated[str, Meta(min_length=10, max_length=10)]
"""A day, `2025-10-01`, at the network's offset from UTC."""
HolderKind = Literal["organ", "person", "thing"]


class Status(Enum):
    """Where a certificate stands at some time. The numbers are those of the national interface (certState)."""

    VALID = "valid"
    """01."""
    SUSPENDED = "suspended"
    """02 暂扣."""
    WITHDRAWN = "withdrawn"
    """03 撤销: it should not have been issued."""
    CANCELLED = "cancelled"
    """04 注销: what it certified has ended."""
    LAPSED = "lapsed"
    """05 失效: replaced by its successor."""
    REVOKED = "revoked"
    """07 吊销: taken away as a penalty."""
    EXPIRED = "expired"
    """Valid but for its date. Never stored."""
    NOT_YET_VALID = "not_yet_valid"
    """Valid from a later day on. Never stored."""

    # Members are compared by identity; the hash of `Enum` is that of the name, by a call into Python at each look-up.
    __hash__ = object.__hash__


class Operation(Enum):
    """What may happen to a certificate after its issue."""

    CHANGE = "change"
    SUSPEND = "suspend"
    LIFT = "lift"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"
    REVOKE = "revoke"
    REPLACE = "replace"
    COPY = "copy"

    __hash__ = object.__hash__


_ENDINGS = {
    Operation.WITHDRAW: Status.WITHDRAWN,
    Operation.CANCEL: Status.CANCELLED,
    Operation.REVOKE: Status.REVOKED,
}

TRANSITIONS: Mapping[Status, Mapping[Operation, Status]] = {
    Status.VALID: {
        Operation.CHANGE: Status.VALID,
        Operation.COPY: Status.VALID,
        Operation.SUSPEND: Status.SUSPENDED,
        Operation.REPLACE: Status.LAPSED,
        **_ENDINGS,
    },
    Status.NOT_YET_VALID: {
        Operation.CHANGE: Status.VALID,
        Operation.REPLACE: Status.LAPSED,
        **_ENDINGS,
    },
    Status.SUSPENDED: {
        Operation.LIFT: Status.VALID,
        **_ENDINGS,
    },
    Status.EXPIRED: {
        Operation.REPLACE: Status.LAPSED,
        **_ENDINGS,
    },
    Status.WITHDRAWN: {},
    Status.CANCELLED: {},
    Status.REVOKED: {},
    Status.LAPSED: {},
}
"""By the status at the time of the block: the operations allowed, and the status that is stored after each."""


class CertificateType(Canonical, tag="certificates/type", kw_only=True):
    """A kind of certificate and who may issue it."""

    code: TypeCode
    """Credit code of the body that defined the kind, nationwide, and three digits."""
    department: CreditCodeText
    """The department that defined it here."""
    responsibility: ResponsibilityId
    """Whoever has this responsibility issues it, and answers for what was issued."""
    name_zh: ShortText
    name_en: ShortText
    holder: HolderKind
    term: ShortText
    """As `ledger.members.calendar.add_term` reads it: `P5Y`, or `open`."""
    handling_working_days: UInt63
    """Working days from application to issue that the department promises."""
    defined_height: UInt63
    retired_height: UInt63
    """0 unless no more are issued."""


class Certificate(Canonical, tag="certificates/certificate", kw_only=True):
    """What a verifier must show of a certificate."""

    identifier: IdentifierText
    type_code: TypeCode
    issuer: CreditCodeText
    holder: Digest32
    """Keyed commitment to the holder (`ledger.crypto.commitments`)."""
    content: Digest32
    """Root over the keyed commitments to its fields."""
    status: Status
    """As last stored; `status_at` adds what follows from the dates."""
    change_reason: ShortText
    """Why it last changed, in the issuer's words; empty while nothing happened to it."""
    issued_ms: UInt63
    issued_height: UInt63
    """Time and height of the block that issued it."""
    valid_from: DayText
    valid_until: DayText | None
    """First and last day of its term; None for an open one."""
    revision: UInt63
    """Counts its contents, from 1."""
    predecessor: IdentifierText | None
    """The certificate that this one replaces."""
    successor: IdentifierText | None
    """The certificate that replaces this one."""
    changes: UInt63
    """How often content or status changed after issue."""
    changed_ms: UInt63
    changed_height: UInt63
    """Time and height of the last change; those of the issue while there is none."""


class CertificateUse(Canonical, tag="certificates/use", kw_only=True):
    """How often a certificate was copied and verified on record. Each record is in the log."""

    identifier: IdentifierText
    copies: UInt63
    verifications: UInt63
    last_ms: UInt63
    """Time of the last of either."""


def status_at(certificate: Certificate, calendar: Calendar, time_ms: int) -> Status:
    """Return the status of `certificate`, as it stands now, at a time that is not before its last change.

    Both days of its term belong to it whole, in the calendar's offset. Time in milliseconds since 1970.
    """
    if certificate.status is not Status.VALID:
        return certificate.status
    # Days in this spelling sort as they follow each other.
    today = format_day(calendar.day_at(time_ms))
    if today < certificate.valid_from:
        return Status.NOT_YET_VALID
    if certificate.valid_until is not None and certificate.valid_until < today:
        return Status.EXPIRED
    return certificate.status


TYPES = b"certificates/type/"
CERTIFICATES = b"certificates/certificate/"


@lru_cache(1_024)
def type_key(code: str) -> bytes:
    """Return the state key of a type of certificates: of few again and again, so that it is made and hashed once."""
    return TYPES + code.encode()


def certificate_key(identifier: str) -> bytes:
    """Return the state key of a certificate."""
    return CERTIFICATES + identifier.encode()


def use_key(identifier: str) -> bytes:
    """Return the state key of what is counted of a certificate's use."""
    return b"certificates/use/" + identifier.encode()
