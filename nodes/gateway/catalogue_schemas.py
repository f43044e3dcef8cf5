"""The forms of what the gateway tells of the catalogue; `schemas` says how all forms are written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nodes.gateway.schemas import DepartmentName, Form, Moment


class CatalogueItem(Form):
    """A data item in the catalogue."""

    id: str
    name_en: str
    name_zh: str
    counts: bool = Field(description="approved in some revision and not withdrawn")
    sharing: int = Field(description="1 unconditional, 2 conditional, 3 not shared")


class CatalogueResponsibility(Form):
    """A responsibility and the data that comes of it."""

    id: str
    department: DepartmentName
    name_en: str
    name_zh: str
    counts: bool
    revision: int
    approved_revision: int
    data_items: list[CatalogueItem]


class CatalogueCounts(Form):
    """The catalogue in figures."""

    responsibilities: int
    responsibilities_that_count: int
    data_items: int
    data_items_that_count: int
    tables: int
    systems: int
    certificate_types: int
    certificates: int


class CatalogueOrphans(Form):
    """What has lost what it rested on, or its department, and is still there."""

    responsibilities: list[str]
    data_items: list[str]
    tables: list[str]
    systems: list[str]
    types: list[str]


class Catalogue(Form):
    """All the directories together."""

    counts: CatalogueCounts
    responsibilities: list[CatalogueResponsibility]
    orphans: CatalogueOrphans
    as_of: Moment


class OfferedField(Form):
    """An information item of a data item: what a request can ask for."""

    name: str
    type: Literal["C", "N", "D", "T", "L", "I", "F"] = Field(
        description="characters, number, date, date and time, logical, integer, floating point"
    )
    length: int | None


class SharingTerms(Form):
    """Whether and how other departments get a data item."""

    type: Literal[1, 2, 3] = Field(description="1 unconditional, 2 conditional, 3 not shared")
    condition: str = Field(description="what a requester must fulfil, or the law that forbids sharing")
    mode: Literal["database", "file", "service"]


class FoundItem(Form):
    """A data item that can be asked for."""

    id: str
    name_en: str
    name_zh: str
    department: DepartmentName = Field(description="the owner, now")
    classification: Literal["basic", "theme", "department"]
    theme: str = Field(description="code within the classification, or empty")
    abstract: str
    sharing: SharingTerms
    open: bool = Field(description="whether the public gets it too")
    update_cycle: str
    fields: list[OfferedField]
    revision: int


class FoundPage(Form):
    """Data items that were found: those named so first, then those that have it inside, each ascending by id."""

    items: list[FoundItem]
    next: str | None
    as_of: Moment
