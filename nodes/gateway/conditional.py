"""ETags: an answer that has not changed is not sent again (RFC 9110, section 13)."""

from __future__ import annotations

from fastapi import Request, Response

from ledger.crypto.hashing import sha256

_NOT_MODIFIED = 304


def etag_of(content: bytes) -> str:
    """Return a weak ETag that follows from what an answer says, whatever else stands beside it."""
    return f'W/"{sha256(content).hex()[:32]}"'


def not_modified(request: Request, etag: str) -> Response | None:
    """Return the answer for a client that has `etag` already, or None."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if "*" in known or etag.removeprefix("W/") in known:
        return Response(status_code=_NOT_MODIFIED, headers={"ETag": etag})
    return None
