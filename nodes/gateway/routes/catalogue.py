"""The catalogue: all the directories together, in figures and line by line."""

from __future__ import annotations

from collections import defaultdict
from sqlite3 import Connection

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ledger.registers.catalogue import DATA_ITEMS, TABLES, DataItem
from ledger.registers.certificates.queries import orphaned_types
from ledger.registers.certificates.values import CERTIFICATES, TYPES
from ledger.registers.directories.queries import orphans
from ledger.registers.directories.values import SYSTEMS
from ledger.registers.shared import RESPONSIBILITIES, Responsibility
from nodes.gateway import catalogue_schemas as schemas
from nodes.gateway import forms
from nodes.gateway.asking import Node, ask
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.listed_reader import ListedReader, list_keys
from nodes.gateway.node_view import NodeView
from nodes.gateway.routes.documented import problems
from nodes.index import queries

router = APIRouter(tags=["catalogue"])

LISTED = (RESPONSIBILITIES, DATA_ITEMS, TABLES, SYSTEMS, TYPES)
"""What the catalogue reads value by value."""


@router.get(
    "/catalogue",
    operation_id="get_catalogue",
    summary="Responsibilities and the data that comes of them",
    response_model=schemas.Catalogue,
    responses={304: {"description": "It is as it was"}, **problems("index_behind", "index_unavailable")},
)
async def get_catalogue(request: Request, node: Node) -> Response:
    """Every responsibility with its data items, how many of them count, and what has lost what it rested on."""
    keys, counts = await ask(node, _listed)
    catalogue = _catalogue(node, ListedReader(node.state, keys), counts)
    # When it was read is not part of what it says.
    etag = etag_of(catalogue.model_dump_json(exclude={"as_of"}).encode())
    if (response := not_modified(request, etag)) is not None:
        return response
    return JSONResponse(catalogue.model_dump(), headers={"ETag": etag})


def _listed(connection: Connection) -> tuple[dict[bytes, list[bytes]], list[int]]:
    return list_keys(connection, LISTED), queries.count_keys(connection, (CERTIFICATES,))


def _catalogue(node: NodeView, reader: ListedReader, counts: list[int]) -> schemas.Catalogue:
    responsibilities = reader.values(RESPONSIBILITIES, Responsibility)
    items = reader.values(DATA_ITEMS, DataItem)
    items_of: defaultdict[str, list[schemas.CatalogueItem]] = defaultdict(list)
    for item in items:
        for name in item.responsibilities:
            items_of[name].append(_item(item))
    lost = orphans(reader)
    (certificates,) = counts
    return schemas.Catalogue(
        counts=schemas.CatalogueCounts(
            responsibilities=len(responsibilities),
            responsibilities_that_count=sum(responsibility.counts for responsibility in responsibilities),
            data_items=len(items),
            data_items_that_count=sum(item.counts for item in items),
            tables=len(reader.keys[TABLES]),
            systems=len(reader.keys[SYSTEMS]),
            certificate_types=len(reader.keys[TYPES]),
            certificates=certificates,
        ),
        responsibilities=[
            schemas.CatalogueResponsibility(
                id=responsibility.id,
                department=forms.department(node, responsibility.department),
                name_en=responsibility.name_en,
                name_zh=responsibility.name_zh,
                counts=responsibility.counts,
                revision=responsibility.revision,
                approved_revision=responsibility.approved_revision,
                data_items=items_of[responsibility.id],
            )
            for responsibility in responsibilities
        ],
        orphans=schemas.CatalogueOrphans(
            responsibilities=list(lost.responsibilities),
            data_items=list(lost.data_items),
            tables=list(lost.tables),
            systems=list(lost.systems),
            types=list(orphaned_types(reader)),
        ),
        as_of=forms.head(node),
    )


def _item(item: DataItem) -> schemas.CatalogueItem:
    return schemas.CatalogueItem(
        id=item.id,
        name_en=item.metadata.name_en,
        name_zh=item.metadata.name_zh,
        counts=item.counts,
        sharing=item.metadata.sharing.type,
    )
