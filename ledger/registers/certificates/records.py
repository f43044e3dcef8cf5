"""What departments state about certificates.

Reasons and purposes go on the ledger as they are written and stay there: they name grounds, never persons.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ledger.blocks.record import Record
from ledger.encoding import Digest32, ShortText
from ledger.registers.certificates.values import DayText, HolderKind, IdentifierText, TypeCode
from ledger.registers.shared import ResponsibilityId

Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Ending = Literal["withdrawn", "cancelled", "revoked"]


class DefineType(Record, tag="certificates.define_type", kw_only=True):
    """The signing department issues certificates of this kind, under this responsibility of its own."""

    code: TypeCode
    responsibility: ResponsibilityId
    name_zh: Annotated[str, Meta(min_length=1, max_length=200)]
    name_en: ShortText
    holder: HolderKind
    term: Annotated[str, Meta(min_length=1, max_length=10)]
    handling_working_days: Annotated[int, Meta(ge=0, le=1_000)]


class RetireType(Record, tag="certificates.retire_type", kw_only=True):
    """The signing department issues no more certificates of this kind; those issued stay what they are."""

    code: TypeCode
    reason: Reason


class IssueCertificate(Record, tag="certificates.issue", kw_only=True):
    """The signing department vouches for a certificate. Its last day follows from the type's term."""

    identifier: IdentifierText
    """Names type and issuer; its version is 001, or one more than that of the certificate it replaces."""
    holder: Digest32
    content: Digest32
    """Keyed commitments, as in `values.Certificate`."""
    valid_from: DayText
    replaces: IdentifierText | None
    """A certificate of the same type, which lapses; the signing department answers for it."""


class ChangeCertificate(Record, tag="certificates.change", kw_only=True):
    """The content of a certificate is now another one; identifier and term stay."""

    certificate: IdentifierText
    revision: Annotated[int, Meta(ge=2, lt=1 << 31)]
    """One more than before the change."""
    content: Digest32
    reason: Reason


class SuspendCertificate(Record, tag="certificates.suspend", kw_only=True):
    """A certificate is not valid for the time being."""

    certificate: IdentifierText
    reason: Reason


class LiftSuspension(Record, tag="certificates.lift", kw_only=True):
    """A suspended certificate is valid again, within its term."""

    certificate: IdentifierText
    reason: Reason


class RevokeCertificate(Record, tag="certificates.revoke", kw_only=True):
    """A certificate ends for good before its term does."""

    certificate: IdentifierText
    kind: Ending
    reason: Reason


class RecordCopy(Record, tag="certificates.copy", kw_only=True):
    """The signing department drew an annotated copy (加注件), which is good for the stated use alone."""

    certificate: IdentifierText
    reason: Reason
    valid_until: DayText | None
    """Last day on which the copy may be used."""


class RecordVerification(Record, tag="certificates.verify", kw_only=True):
    """The signing department looked the certificate up, for this purpose."""

    certificate: IdentifierText
    purpose: Reason
