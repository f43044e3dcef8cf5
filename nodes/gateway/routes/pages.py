"""Pages for people. A reader who does not trust this node saves them, or takes them from somebody else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

import ledger
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.routes.documented import problems

router = APIRouter(tags=["pages"])


@router.get(
    "/verify.html",
    operation_id="get_verify_page",
    summary="A page that checks a bundle in the reader's browser",
    response_class=HTMLResponse,
    responses={
        200: {"description": "One file, without a library"},
        304: {"description": "It is as it was"},
        **problems(),
    },
)
async def get_verify_page(request: Request) -> Response:
    """It sends nothing anywhere, and works from the disk as well. A browser wants `https:` or `file:` for it."""
    page = _verify_page()
    etag = etag_of(page)
    return not_modified(request, etag) or HTMLResponse(page, headers={"ETag": etag, "Cache-Control": "no-cache"})


@cache
def _verify_page() -> bytes:
    return (Path(ledger.__path__[0]) / "verify.html").read_bytes()
