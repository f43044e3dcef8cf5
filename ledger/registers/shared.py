"""What registers read of each other.

Registers do not import each other. A value that a second register reads is declared here, or in `catalogue`, with its
key, and so is the refusal that follows from what it says. Only the register it belongs to writes it, with one
exception: a reorganisation in `members` sets the department of a responsibility, because only so all that rests on it
moves at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from ledger.blocks.refusals import RecordRefusal, RefusalCode, Refused
from ledger.encoding import Canonical, ShortText, UInt63
from ledger.members.departments import DEPARTMENT, PROVIDER, REGISTRAR, CreditCodeText
from ledger.registers.context import Context

ResponsibilityId = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[0-9A-Z]+(-[0-9A-Z]+)*$")]
"""Chosen by the department, for example `AY-01`; one over the whole network."""


LegalBasis = Annotated[str, Meta(max_length=2_000)]
"""The law or decision that gives a department its function, or empty."""


class ReferenceRefusal(RefusalCode):
    """Codes 18 to 31, and six of the directories: a record refers to something that is not there, or not so."""

    UNKNOWN_RESPONSIBILITY = (
        18,
        "the record names a responsibility that was never published",
        "publish the responsibility and have it approved, or name another",
    )
    RESPONSIBILITY_NOT_APPROVED = (
        19,
        "no revision of the responsibility was approved by the registrar, or it was withdrawn",
        "ask the registrar for approval, or name another responsibility",
    )
    NOT_OWN_RESPONSIBILITY = (
        20,
        "the responsibility belongs to another department",
        "name a responsibility of the signing department",
    )
    NOT_THE_OWNER = (64, "another department owns what the record names", "choose another id, or ask its owner")
    UNKNOWN_DATA_ITEM = (69, "the data item was never published", "publish the data item, or name another")
    DATA_ITEM_NOT_APPROVED = (
        70,
        "no revision of the data item was approved by the directory authority, or it was withdrawn",
        "ask the directory authority for approval",
    )
    UNKNOWN_TABLE = (72, "the table was never published", "name a published table")
    UNKNOWN_INFORMATION_ITEM = (
        74,
        "a column or a field names an information item that the data item does not have",
        "correct the name, or publish a revision of the data item first",
    )
    REPEATED_NAME = (75, "a list names the same thing twice", "leave out one of them")


class Responsibility(Canonical, tag="directories/responsibility", kw_only=True):
    """One statutory function of a department, as last published. Belongs to the register `directories`."""

    id: ResponsibilityId
    department: CreditCodeText
    """Credit code of the one department that owns it now."""
    office: ShortText
    """The office within the department, or empty."""
    name_zh: ShortText
    name_en: ShortText
    legal_basis: LegalBasis
    revision: UInt63
    """Counts its publications, from 1."""
    approved_revision: UInt63
    """Newest revision that the registrar approved; 0 if none. It goes on counting while a newer one waits."""
    published_height: UInt63
    """Of the newest revision."""
    approved_height: UInt63
    """Of the newest approval; 0 if none."""
    withdrawn_height: UInt63
    """0 unless it was withdrawn."""

    @property
    def counts(self) -> bool:
        """Whether other things may rest on it: approved in some revision and not withdrawn."""
        return self.approved_revision > 0 and not self.withdrawn_height


PUBLIC_BODIES = frozenset({DEPARTMENT, PROVIDER, REGISTRAR})
"""Roles of departments with functions of their own, as auditors alone have none."""


def require_role(context: Context, *roles: str) -> None:
    """Check that the signing department holds one of `roles`.

    Raises:
        Refused: NOT_AUTHORISED.
    """
    if context.roles.isdisjoint(roles):
        raise Refused(RecordRefusal.NOT_AUTHORISED)


def require_public_body(context: Context) -> None:
    """Check that the signing department has functions of its own.

    Raises:
        Refused: NOT_AUTHORISED.
    """
    if context.roles.isdisjoint(PUBLIC_BODIES):
        raise Refused(RecordRefusal.NOT_AUTHORISED)


RESPONSIBILITIES = b"directories/responsibility/"


@lru_cache(4_096)
def responsibility_key(name: str) -> bytes:
    """Return the state key of a responsibility: of few again and again, so that it is made and hashed once."""
    return RESPONSIBILITIES + name.encode()


def require_own_responsibility(name: str, context: Context) -> Responsibility:
    """Return the responsibility with the id `name`, which counts and belongs to the signing department.

    Raises:
        Refused: UNKNOWN_RESPONSIBILITY, NOT_OWN_RESPONSIBILITY, RESPONSIBILITY_NOT_APPROVED, in this order.
    """
    responsibility = context.get(responsibility_key(name), Responsibility)
    if responsibility is None:
        raise Refused(ReferenceRefusal.UNKNOWN_RESPONSIBILITY)
    if responsibility.department != context.department:
        raise Refused(ReferenceRefusal.NOT_OWN_RESPONSIBILITY)
    if not responsibility.counts:
        raise Refused(ReferenceRefusal.RESPONSIBILITY_NOT_APPROVED)
    return responsibility
