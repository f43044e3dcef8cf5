"""What every route's description says of its problems."""

from __future__ import annotations

from typing import Any

from nodes.gateway import schemas
from nodes.gateway.problems import KINDS, MEDIA_TYPE


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these codes, besides what any route may."""
    by_status: dict[int | str, list[str]] = {}
    for code in (*codes, "internal_error"):
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {
        status: {
            "description": "Problem: " + ", ".join(f"`{code}`" for code in found),
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schemas.Problem.__name__}"}}},
        }
        for status, found in by_status.items()
    }
