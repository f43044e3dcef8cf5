"""Blocks, the envelopes in them, and the entries of the log."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from ledger.blocks.log import LogEntry
from ledger.crypto.merkle import leaf_hash
from ledger.encoding import decode_any
from nodes.gateway import forms, schemas
from nodes.gateway.asking import Limit, Node, ask
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.index import IndexedEnvelope, IndexedRecord, queries

router = APIRouter(tags=["blocks"])

INT63_MAX = (1 << 63) - 1
HeightPath = Annotated[int, Path(ge=1, le=INT63_MAX, description="height of a block; the first is 1")]

INDEX_PROBLEMS = ("invalid_parameter", "index_behind", "index_unavailable")


@router.get(
    "/blocks",
    operation_id="list_blocks",
    summary="Blocks, newest first",
    response_model=schemas.BlockPage,
    responses=problems(*INDEX_PROBLEMS),
)
async def list_blocks(
    request: Request,
    node: Node,
    cursor: Annotated[int, Query(ge=1, le=INT63_MAX, description="from `next`: blocks below this height")] = INT63_MAX,
    limit: Limit = 50,
) -> schemas.BlockPage:
    """A page of blocks. New blocks do not shift the pages that follow."""
    found = await ask(node, queries.blocks_before, cursor, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return schemas.BlockPage(
        items=[forms.block(node, block) for block in page],
        next=f"{request.url.path}?cursor={page[-1].height}&limit={limit}" if more else None,
    )


@router.get(
    "/blocks/{height}",
    operation_id="get_block",
    summary="One block",
    response_model=schemas.BlockForm,
    responses=problems("not_found", *INDEX_PROBLEMS),
)
async def get_block(height: HeightPath, node: Node) -> schemas.BlockForm:
    """A block in figures; what is in it is under `/envelopes`."""
    block = await ask(node, queries.block, height)
    if block is None:
        raise ProblemError("not_found", f"there is no block {height}; the newest is {node.state.height}")
    return forms.block(node, block)


@router.get(
    "/blocks/{height}/envelopes",
    operation_id="list_envelopes_of_block",
    summary="The envelopes of a block",
    response_model=schemas.EnvelopePage,
    responses=problems("not_found", *INDEX_PROBLEMS),
)
async def list_envelopes(
    request: Request,
    height: HeightPath,
    node: Node,
    cursor: Annotated[int, Query(ge=0, le=INT63_MAX, description="from `next`: envelopes from this position on")] = 0,
    limit: Limit = 50,
) -> schemas.EnvelopePage:
    """A page of the envelopes of a block, each with kind and result of its records."""
    if height > node.state.height:
        raise ProblemError("not_found", f"there is no block {height}; the newest is {node.state.height}")
    envelopes = await ask(node, queries.envelopes_of, height, cursor, limit + 1)
    page, more = envelopes[:limit], len(envelopes) > limit
    records: dict[int, list[IndexedRecord]] = {}
    if page:
        found = await ask(node, queries.records_of, height, page[0].position, page[-1].position)
        records = {position: list(group) for position, group in groupby(found, key=lambda record: record.position)}
    return schemas.EnvelopePage(
        items=[_envelope(node, envelope, records) for envelope in page],
        next=f"{request.url.path}?cursor={envelopes[limit].position}&limit={limit}" if more else None,
    )


@router.get(
    "/entries/{index}",
    operation_id="get_entry",
    summary="One entry of the log",
    response_model=schemas.EntryForm,
    responses=problems("not_found", "no_checkpoint", *INDEX_PROBLEMS),
)
async def get_entry(
    index: Annotated[int, Path(ge=0, le=INT63_MAX, description="position in the log, from 0")], node: Node
) -> schemas.EntryForm:
    """The bytes of an entry and what they say. Entry 0 is the block record of genesis."""
    found = _genesis_entry(node) if index == 0 else await ask(node, queries.entry, index)
    if found is None:
        raise ProblemError("not_found", f"the log has {node.log.size} entries; there is none at {index}")
    height, entry = found
    content = decode_any(LogEntry, entry)
    return schemas.EntryForm(
        index=index,
        height=height,
        leaf_hash=leaf_hash(entry).hex(),
        kind="envelope" if hasattr(content, "results") else "block",
        entry=forms.base64_of(entry),
        content=forms.readable(content),
    )


def _genesis_entry(node: NodeView) -> tuple[int, bytes]:
    """Return height and bytes of entry 0, which no block has put into the index."""
    if (attested := node.attested) is None:
        raise ProblemError("no_checkpoint", "the entry of genesis is given out once a checkpoint covers it")
    return 0, attested.entry(0)


def _envelope(
    node: NodeView, found: IndexedEnvelope, records: dict[int, list[IndexedRecord]]
) -> schemas.EnvelopeInBlock:
    return forms.envelope(node, found, records.get(found.position, []))
