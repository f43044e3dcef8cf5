"""The catalogue for harvesters."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from ledger.identifiers import CreditCode
from ledger.members.departments import DIRECTORY_AUTHORITY, Department, department_key
from ledger.registers.catalogue import DATA_ITEMS, TABLES, DataItem, Table
from ledger.registers.ownership import owner_of
from nodes.gateway.asking import Node, ask
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.dcat import MEDIA_TYPE, Listing, Offer, document, tables_by_item
from nodes.gateway.listed_reader import ListedReader, list_keys
from nodes.gateway.node_view import NodeView
from nodes.gateway.routes.documented import problems

router = APIRouter(tags=["catalogue"])


@router.get(
    "/catalog.jsonld",
    operation_id="get_dcat",
    summary="The catalogue in DCAT 3, as JSON-LD",
    response_class=StreamingResponse,
    responses={
        200: {"description": "A `dcat:Catalog`", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
        304: {"description": "It is as it was"},
        **problems("index_behind", "index_unavailable"),
    },
)
async def get_dcat(request: Request, node: Node) -> Response:
    """Every data item that counts, as of the last executed block. It is sent in pieces, however large it is."""
    keys = await ask(node, list_keys, (DATA_ITEMS, TABLES))
    listing = _listing(node, ListedReader(node.state, keys))
    etag = etag_of(listing.identity())
    if (response := not_modified(request, etag)) is not None:
        return response
    return StreamingResponse(document(listing), media_type=MEDIA_TYPE, headers={"ETag": etag})


def _listing(node: NodeView, reader: ListedReader) -> Listing:
    """Return what the document says; what is in it stands still, so that pieces can be made of it later."""
    state, genesis = node.state, node.genesis
    tables = tables_by_item(reader.values(TABLES, Table))
    offers = [
        Offer(item, owner_of(item, state), tables.get(item.id, ()))
        for item in reader.values(DATA_ITEMS, DataItem)
        if item.counts
    ]
    publisher = _directory_authority(node)
    named = {*(offer.owner for offer in offers)} | ({publisher} if publisher else set())
    members = [member for code in sorted(named) if (member := state.get(department_key(code), Department))]
    return Listing(
        origin=genesis.origin,
        network=genesis.name,
        publisher=publisher,
        departments=members,
        offers=offers,
        modified_ms=max((offer.item.published_ms for offer in offers), default=genesis.created_ms),
        utc_offset_hours=genesis.parameters.utc_offset_hours,
    )


def _directory_authority(node: NodeView) -> str | None:
    """Return who keeps the catalogue: a founder, or who took its place in a reorganisation."""
    waiting, seen = [founder.credit_code for founder in node.genesis.founders], set[str]()
    while waiting:
        member = node.state.get(department_key(waiting.pop(0)), Department)
        if member is None or member.credit_code in seen:
            continue
        if member.valid_to is None and DIRECTORY_AUTHORITY in member.roles:
            return member.credit_code
        seen.add(member.credit_code)
        waiting += map(CreditCode, member.successors)
    return None
