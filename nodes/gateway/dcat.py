"""The catalogue in DCAT 3, as JSON-LD: what portals and harvesters of other makes read.

One data item is a dataset, each of its tables a distribution; a data item without a table has one distribution, of the
mode in which it is shared. Who or what has an identifier on the ledger has an IRI below the network's origin, the same
at every node and for good; addresses that lead somewhere are relative, and so lead to the node that was asked.

Source: W3C, Data Catalog Vocabulary (DCAT) version 3; access rights and frequencies are the codes of the EU's
Publications Office, which DCAT application profiles share.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from ledger.members.departments import Department
from ledger.proofs.statement import Moment
from ledger.registers.catalogue import DataItem, Table

MEDIA_TYPE = "application/ld+json"

_EU = "http://publications.europa.eu/resource/authority/"

CONTEXT: Mapping[str, Any] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dct:accessRights": {"@type": "@id"},
    "dct:accrualPeriodicity": {"@type": "@id"},
    "dct:modified": {"@type": "xsd:dateTime"},
    "dct:publisher": {"@type": "@id"},
    "dct:relation": {"@type": "@id"},
    "dcat:accessURL": {"@type": "@id"},
    "dcat:landingPage": {"@type": "@id"},
    "dcat:theme": {"@type": "@id"},
    "skos:inScheme": {"@type": "@id"},
}

FREQUENCIES: Mapping[str, str] = {
    "real-time": "UPDATE_CONT",
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "monthly": "MONTHLY",
    "quarterly": "QUARTERLY",
    "yearly": "ANNUAL",
    "irregular": "IRREG",
}
"""Codes of the EU's frequency list, by the update cycle of a data item."""

SHARING_TYPES: Mapping[int, tuple[str, str]] = {
    1: ("无条件共享", "shared unconditionally among departments"),
    2: ("有条件共享", "shared among departments on conditions"),
    3: ("不予共享", "not shared"),
}
CLASSIFICATIONS: Mapping[str, tuple[str, str]] = {
    "basic": ("基础信息资源", "basic information"),
    "theme": ("主题信息资源", "information by theme"),
    "department": ("部门信息资源", "information of departments"),
}
"""Names in Chinese, as the national guide of 2017 has them, and in English."""

_DATASETS_A_PIECE = 64


class Offer(NamedTuple):
    """A data item that counts, who owns it now, and its tables."""

    item: DataItem
    owner: str
    tables: Sequence[Table]


class Listing(NamedTuple):
    """All that the document says, read at one moment."""

    origin: str
    network: str
    publisher: str | None
    """Credit code of the directory authority; None in a network without one."""
    departments: Sequence[Department]
    """The owners and the publisher, each once."""
    offers: Sequence[Offer]
    modified_ms: int
    """Time of the newest publication."""
    utc_offset_hours: int

    def identity(self) -> bytes:
        """Return bytes that differ whenever the document does."""
        parts = [
            *(f"{member.credit_code} {member.name_zh} {member.name_en}" for member in self.departments),
            *(
                f"{offer.item.id} {offer.item.revision} {offer.owner} "
                + " ".join(f"{table.id} {table.revision}" for table in offer.tables)
                for offer in self.offers
            ),
        ]
        return "\n".join((self.origin, self.publisher or "", *parts)).encode()


def tables_by_item(tables: Iterable[Table]) -> Mapping[str, list[Table]]:
    """Return the tables that were not withdrawn, by their data item."""
    found: defaultdict[str, list[Table]] = defaultdict(list)
    for table in tables:
        if not table.withdrawn_height:
            found[table.data_item].append(table)
    return found


def document(listing: Listing) -> Iterator[str]:
    """Yield the document in pieces of some datasets each; joined, they are one JSON object."""
    write = _Writer(listing)
    head, tail = _text({"@context": CONTEXT, "@graph": [*write.vocabulary(), write.catalogue()]}).rsplit("[]", 1)
    yield head + "["
    for first in range(0, len(listing.offers), _DATASETS_A_PIECE):
        piece = listing.offers[first : first + _DATASETS_A_PIECE]
        yield ("," if first else "") + ",".join(_text(write.dataset(offer)) for offer in piece)
    yield "]" + tail


class _Writer:
    """Turns what is listed into nodes of JSON-LD."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._base = f"https://{listing.origin}/"

    def vocabulary(self) -> Iterator[dict[str, Any]]:
        """Yield the departments, sharing types and themes that the datasets name."""
        for member in self._listing.departments:
            yield {
                "@id": self._department(member.credit_code),
                "@type": "foaf:Organization",
                "dct:identifier": member.credit_code,
                "foaf:name": _names(member.name_zh, member.name_en),
            }
        for number, names in SHARING_TYPES.items():
            yield {"@id": self._sharing(number), "@type": "dct:RightsStatement", "rdfs:label": _names(*names)}
        for classification, names in CLASSIFICATIONS.items():
            yield {
                "@id": self._scheme(classification),
                "@type": "skos:ConceptScheme",
                "dct:title": _names(*names),
            }
        themes = {(item.metadata.classification, item.metadata.class_code) for item, _, _ in self._listing.offers}
        for classification, code in sorted(themes):
            yield {
                "@id": self._theme(classification, code),
                "@type": "skos:Concept",
                "skos:inScheme": self._scheme(classification),
                **({"skos:notation": code} if code else {}),
                "skos:prefLabel": _names(*(f"{name} {code}".rstrip() for name in CLASSIFICATIONS[classification])),
            }

    def catalogue(self) -> dict[str, Any]:
        """Return the catalogue, its list of datasets empty and last."""
        network, publisher = self._listing.network, self._listing.publisher
        return {
            "@id": self._base + "catalogue",
            "@type": "dcat:Catalog",
            "dct:identifier": self._listing.origin,
            "dct:title": _names(f"政务信息资源目录 {network}", f"Catalogue of the departments' data, {network}"),
            "dct:description": _names(
                "各部门数据项、共享方式及其数据表",
                "Data items of the departments, how they are shared, and their tables",
            ),
            **({"dct:publisher": self._department(publisher)} if publisher else {}),
            "dct:modified": self._time(self._listing.modified_ms),
            "dcat:landingPage": "/api/v1/catalogue/data-items",
            "dcat:dataset": [],
        }

    def dataset(self, offer: Offer) -> dict[str, Any]:
        """Return a data item."""
        item, metadata = offer.item, offer.item.metadata
        condition = metadata.sharing.condition
        return {
            "@id": self._item(item.id),
            "@type": "dcat:Dataset",
            "dct:identifier": item.id,
            "dct:title": _names(metadata.name_zh, metadata.name_en),
            **({"dct:description": metadata.abstract} if metadata.abstract else {}),
            "dct:publisher": self._department(offer.owner),
            "dct:accessRights": [_EU + f"access-right/{_access_right(item)}", self._sharing(metadata.sharing.type)],
            **({"dct:rights": _labelled("dct:RightsStatement", condition)} if condition else {}),
            "dct:accrualPeriodicity": _EU + f"frequency/{FREQUENCIES[metadata.update_cycle]}",
            "dct:modified": self._time(item.published_ms),
            "dcat:theme": self._theme(metadata.classification, metadata.class_code),
            "dcat:keyword": [field.name for field in metadata.information_items],
            "dcat:version": str(item.revision),
            **({"dct:relation": [self._item(name) for name in metadata.related]} if metadata.related else {}),
            "dcat:landingPage": f"/api/v1/state/data-items/{item.id}",
            "dcat:distribution": [self._table(item, table) for table in offer.tables] or [self._any_mode(item)],
        }

    def _table(self, item: DataItem, table: Table) -> dict[str, Any]:
        return {
            "@id": self._base + f"tables/{table.id}",
            "@type": "dcat:Distribution",
            "dct:identifier": table.id,
            "dct:title": table.name,
            "dct:description": f"{item.metadata.sharing.mode}: {', '.join(column.name for column in table.columns)}",
            "dct:format": _labelled("dct:MediaTypeOrExtent", item.metadata.format),
            "dcat:accessURL": f"/api/v1/state/tables/{table.id}",
        }

    def _any_mode(self, item: DataItem) -> dict[str, Any]:
        return {
            "@id": f"{self._item(item.id)}/{item.metadata.sharing.mode}",
            "@type": "dcat:Distribution",
            "dct:title": item.metadata.sharing.mode,
            "dct:format": _labelled("dct:MediaTypeOrExtent", item.metadata.format),
            "dcat:accessURL": f"/api/v1/state/data-items/{item.id}",
        }

    def _item(self, name: str) -> str:
        return self._base + f"data-items/{name}"

    def _department(self, credit_code: str) -> str:
        return self._base + f"departments/{credit_code}"

    def _sharing(self, number: int) -> str:
        return self._base + f"sharing-types/{number}"

    def _scheme(self, classification: str) -> str:
        return self._base + f"themes/{classification}"

    def _theme(self, classification: str, code: str) -> str:
        # Codes are free text; whatever is no letter or digit is escaped, so that the IRI is one.
        return self._scheme(classification) + f"/{quote(code, safe='')}"

    def _time(self, time_ms: int) -> str:
        return Moment(0, time_ms, self._listing.utc_offset_hours).iso()


def _access_right(item: DataItem) -> str:
    """Return who may have the data at all: of the public, not of departments alone."""
    if item.metadata.openness.open:
        return "PUBLIC"
    return "NON_PUBLIC" if item.metadata.sharing.type == 3 else "RESTRICTED"


def _labelled(kind: str, label: str) -> dict[str, Any]:
    """Return a node without a name of its own, in the words that the ledger has for it."""
    return {"@type": kind, "rdfs:label": label}


def _names(zh: str, en: str) -> list[dict[str, str]]:
    """Return a name in both languages; what has none in one of them says nothing in it."""
    return [{"@value": name, "@language": language} for name, language in ((zh, "zh"), (en, "en")) if name]


def _text(node: Mapping[str, Any]) -> str:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":"))
