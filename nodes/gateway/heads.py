"""Which heads of requests go on to a route: those that everybody reads the same way, and that are not too long.

The server below reads a head of any size that comes at once, and takes a request with two lengths for one of them.
"""

from __future__ import annotations

from starlette.types import Scope

from nodes.gateway.problems import HEAD_BYTES_MAX, ProblemError


def check_head(scope: Scope) -> None:
    """Check the head of an HTTP request. Either problem ends the connection: what comes next may be anybody's.

    Raises:
        ProblemError: `two_lengths`, `head_too_large`.

    Source: RFC 9112, section 6.1, for two lengths; RFC 6585, section 5, for the status of a long head.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size = len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(name) + len(value) for name, value in headers)
    if size > HEAD_BYTES_MAX:
        raise ProblemError("head_too_large", f"it has {size} bytes", headers={"Connection": "close"})
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:
        # Whoever stands between may go by the other one, and would then send what is a body to it as a request to us.
        raise ProblemError(
            "two_lengths", "it has Content-Length and Transfer-Encoding", headers={"Connection": "close"}
        )
