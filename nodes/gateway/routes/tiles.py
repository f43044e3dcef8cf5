"""The log as other people's tools read it: tiles of hashes and bundles of entries, up to the newest checkpoint."""

from __future__ import annotations

import gzip
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Path, Response

from ledger.errors import DecodeError
from ledger.proofs.tiles import Tile, bundle_entries, parse_tile_path, tile_hashes
from nodes.gateway.asking import Node, ask
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.index import queries

router = APIRouter(tags=["proofs"])

MEDIA_TYPE = "application/octet-stream"

FOR_EVER = "public, max-age=31536000, immutable"
"""What is in the log at a place stays there; a year is as good as for ever."""

_COMPRESSION_LEVEL = 1
"""Most of an entry is hashes and signatures, which no level makes shorter."""


@router.get(
    "/tile/{path:path}",
    operation_id="get_tile",
    summary="A tile of the log, or a bundle of its entries",
    response_class=Response,
    responses={
        200: {
            "description": "Hashes of 32 bytes; or entries, each behind its length in two bytes",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(
            "bad_request", "not_found", "no_checkpoint", "invalid_parameter", "index_behind", "index_unavailable"
        ),
    },
)
async def get_tile(
    path: Annotated[str, Path(description="`LEVEL/INDEX` or `entries/INDEX`, with `.p/WIDTH` if partial")],
    node: Node,
    accept_encoding: Annotated[str, Header(max_length=1_000)] = "",
) -> Response:
    """C2SP tlog-tiles: `tile/0/x001/234`, `tile/1/000.p/5`, `tile/entries/000`. All nodes give the same bytes."""
    try:
        tile = parse_tile_path(path)
    except DecodeError as error:
        raise ProblemError("bad_request", str(error)) from error
    if (checkpoint := node.checkpoint) is None:
        raise ProblemError("no_checkpoint", "tiles are given out once a checkpoint covers them")
    tile.check_within(checkpoint.size)
    headers = {"Cache-Control": FOR_EVER}
    if not tile.entries:
        return Response(tile_hashes(node.log, tile), media_type=MEDIA_TYPE, headers=headers)
    content = bundle_entries(await _entries(node, tile))
    headers["Vary"] = "Accept-Encoding"
    if "gzip" in accept_encoding.lower():
        headers["Content-Encoding"] = "gzip"
        # On another thread: 256 entries can be as long as 16 MiB.
        content = await run_sync(gzip.compress, content, _COMPRESSION_LEVEL)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


async def _entries(node: NodeView, tile: Tile) -> list[bytes]:
    found = await ask(node, queries.entries, tile.start, tile.width)
    if tile.start == 0:
        # No block has put the entry of genesis into the index.
        assert node.attested is not None, "there is a checkpoint"
        found = [node.attested.entry(0), *found]
    return found[: tile.width]
