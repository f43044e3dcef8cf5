"""The paths of the gateway, one module a subject."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from nodes.gateway.routes import (
    blocks,
    catalogue,
    certificate_page,
    certificates,
    entry_proofs,
    envelopes,
    events,
    harvest,
    health,
    pages,
    proofs,
    reference,
    registers,
    scores,
    search,
    sharing,
    sharing_receipts,
    status_lists,
    tiles,
)

API = "/api/v1"


def include_all(app: FastAPI) -> None:
    """Give `app` all the paths."""
    api = APIRouter(prefix=API)
    for module in (
        envelopes,
        blocks,
        registers,
        certificates,
        catalogue,
        search,
        sharing,
        sharing_receipts,
        scores,
        proofs,
        entry_proofs,
        events,
        reference,
    ):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(tiles.router)
    app.include_router(status_lists.router)
    app.include_router(harvest.router)
    app.include_router(pages.router)
    app.include_router(certificate_page.router)
