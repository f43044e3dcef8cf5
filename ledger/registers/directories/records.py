"""What departments state about responsibilities, data items, systems and tables.

A publication names the revision it makes: one more than the newest. An approval names the revision that was read. So
neither can land on something that its sender has not seen.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.blocks.record import Record
from ledger.encoding import Digest32, ShortText
from ledger.registers.catalogue import Column, DataItemMetadata, DirectoryId, Name
from ledger.registers.shared import LegalBasis, ResponsibilityId

Revision = Annotated[int, Meta(ge=1, lt=1 << 31)]
Reason = Annotated[str, Meta(min_length=1, max_length=2_000)]


class PublishResponsibility(Record, tag="directories.publish_responsibility", kw_only=True):
    """The signing department has this function, in these words."""

    id: ResponsibilityId
    revision: Revision
    office: ShortText
    """The office within the department, or empty."""
    name_zh: Name
    name_en: ShortText
    legal_basis: LegalBasis


class ApproveResponsibility(Record, tag="directories.approve_responsibility", kw_only=True):
    """The registrar confirms the newest revision of a responsibility."""

    id: ResponsibilityId
    revision: Revision


class WithdrawResponsibility(Record, tag="directories.withdraw_responsibility", kw_only=True):
    """The department that owns it, or the registrar, ends a responsibility."""

    id: ResponsibilityId
    reason: Reason


class PublishDataItem(Record, tag="directories.publish_data_item", kw_only=True):
    """The signing department holds this data under these responsibilities of its own."""

    id: DirectoryId
    revision: Revision
    responsibilities: Annotated[tuple[ResponsibilityId, ...], Meta(min_length=1, max_length=16)]
    metadata: DataItemMetadata


class ApproveDataItem(Record, tag="directories.approve_data_item", kw_only=True):
    """The directory authority takes the newest revision of a data item into the catalogue."""

    id: DirectoryId
    revision: Revision


class WithdrawDataItem(Record, tag="directories.withdraw_data_item", kw_only=True):
    """Its owner ends a data item."""

    id: DirectoryId
    reason: Reason


class PublishSystem(Record, tag="directories.publish_system", kw_only=True):
    """The signing department runs this information system."""

    id: DirectoryId
    revision: Revision
    name_zh: Name
    name_en: ShortText
    location: ShortText
    protection_level: Annotated[int, Meta(ge=1, le=5)]


class PublishTable(Record, tag="directories.publish_table", kw_only=True):
    """A data item of the signing department lies in this table, perhaps in this system."""

    id: DirectoryId
    revision: Revision
    data_item: DirectoryId
    system: DirectoryId | None
    name: Name
    columns: Annotated[tuple[Column, ...], Meta(min_length=1, max_length=500)]
    schema: Digest32
    """`values.schema_hash(columns)`, so that the sender's and the ledger's reading of the columns agree."""


class WithdrawTable(Record, tag="directories.withdraw_table", kw_only=True):
    """Its owner no longer keeps this table."""

    id: DirectoryId
    reason: Reason
