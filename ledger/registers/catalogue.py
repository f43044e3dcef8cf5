"""What registers read of the catalogue: data items, their tables, and the keys. Only `directories` writes them.

The metadata is that of the national guide to government resource catalogues, 政务信息资源目录编制指南, of 2017. What
the guide calls provider and its code is the owner; its publication date is the time of the block that published the
revision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from ledger.crypto.hashing import Tag, tagged_hash
from ledger.encoding import Canonical, Digest32, ShortText, UInt63, encode_all
from ledger.identifiers import Digest
from ledger.members.departments import CreditCodeText
from ledger.registers.shared import ResponsibilityId

DirectoryId = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[0-9A-Z]+(-[0-9A-Z]+)*$")]
"""Id of a data item, system or table, for example `AY-01-D1`; chosen by its owner, one of its kind over the network."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(max_length=2_000)]
Length = Annotated[int, Meta(ge=1, lt=1 << 31)]


class InformationItem(Canonical, tag="information-item", kw_only=True):
    """One field of what a data item offers."""

    name: Name
    type: Literal["C", "N", "D", "T", "L", "I", "F"]
    """C characters, N number, D date, T date and time, L logical, I integer, F floating point."""
    length: Length | None


class Sharing(Canonical, tag="sharing-attributes", kw_only=True):
    """Whether and how other departments get a data item."""

    type: Literal[1, 2, 3]
    """1 unconditional, 2 conditional, 3 not shared."""
    condition: LongText
    """Empty for type 1; for type 2 what a requester must fulfil, for type 3 the law that forbids sharing."""
    mode: Literal["database", "file", "service"]


class Openness(Canonical, tag="open-attributes", kw_only=True):
    """Whether the public gets a data item."""

    open: bool
    condition: LongText


class DataItemMetadata(Canonical, tag="data-item-metadata", kw_only=True):
    """What the catalogue says of a data item."""

    name_zh: Name
    name_en: ShortText
    classification: Literal["basic", "theme", "department"]
    class_code: ShortText
    """Code within the classification, or empty."""
    abstract: LongText
    format: Literal["e-file", "spreadsheet", "database", "image", "stream", "self-described", "interface"]
    information_items: Annotated[tuple[InformationItem, ...], Meta(min_length=1, max_length=500)]
    sharing: Sharing
    openness: Openness
    update_cycle: Literal["real-time", "daily", "weekly", "monthly", "quarterly", "yearly", "irregular"]
    related: Annotated[tuple[DirectoryId, ...], Meta(max_length=50)]
    """Ids of related data items, not checked to exist."""


class DataItem(Canonical, tag="directories/data-item", kw_only=True):
    """Data that comes of a responsibility, as last published."""

    id: DirectoryId
    owner: CreditCodeText
    """When it was published; now it is who `ownership.owner_of` says."""
    responsibilities: tuple[ResponsibilityId, ...]
    metadata: DataItemMetadata
    revision: UInt63
    """Counts its publications, from 1."""
    approved_revision: UInt63
    """Newest revision that the directory authority approved; 0 if none."""
    published_height: UInt63
    published_ms: UInt63
    """Height and time of the newest revision."""
    approved_height: UInt63
    """Of the newest approval; 0 if none."""
    withdrawn_height: UInt63
    """0 unless it was withdrawn."""

    @property
    def counts(self) -> bool:
        """Whether other things may rest on it: approved in some revision and not withdrawn."""
        return self.approved_revision > 0 and not self.withdrawn_height


class ApprovedMetadata(Canonical, tag="directories/approved-metadata", kw_only=True):
    """What the approved revision of a data item said, kept from the day on which another takes its place and waits."""

    data_item: DirectoryId
    revision: UInt63
    """The approved one. What is kept of an earlier one says nothing any more."""
    metadata: DataItemMetadata


class Column(Canonical, tag="column", kw_only=True):
    """One column of a table."""

    name: Name
    type: Name
    """As the database names it, for example `VARCHAR`."""
    length: Length | None
    information_item: ShortText
    """Name of the data item's information item that it holds, or empty."""


class Table(Canonical, tag="directories/table", kw_only=True):
    """A database table that holds a data item, as last published."""

    id: DirectoryId
    owner: CreditCodeText
    """When it was published; now it is who `ownership.owner_of_table` says."""
    data_item: DirectoryId
    system: DirectoryId | None
    name: Name
    columns: tuple[Column, ...]
    """In the order of the database."""
    schema: Digest32
    """`schema_hash(columns)`."""
    revision: UInt63
    published_height: UInt63
    withdrawn_height: UInt63


def schema_hash(columns: Iterable[Column]) -> Digest:
    """Return the 32-byte hash of a table's columns in their order.

    A connector computes it from the database itself, so that a silent change of the schema is noticed.
    """
    return tagged_hash(Tag.TABLE_SCHEMA, b"".join(encode_all(columns)))


DATA_ITEMS = b"directories/data-item/"
APPROVED = b"directories/approved-metadata/"
TABLES = b"directories/table/"


def data_item_key(name: str) -> bytes:
    """Return the state key of a data item."""
    return DATA_ITEMS + name.encode()


def approved_metadata_key(name: str) -> bytes:
    """Return the state key of what a data item's approved revision said."""
    return APPROVED + name.encode()


def table_key(name: str) -> bytes:
    """Return the state key of a table."""
    return TABLES + name.encode()
