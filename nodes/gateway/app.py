"""The gateway as one application: what is not listed is refused, every error is a problem, every request has an id."""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodes.cli import program_version
from nodes.gateway import schemas
from nodes.gateway.heads import check_head
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError, install, response_of
from nodes.gateway.routes import API, include_all

logger = logging.getLogger(__name__)

DESCRIPTION = """\
The HTTP interface of one department's node. It serves what the node knows and takes envelopes to the pool; what it says
about the ledger can be checked with the proofs it gives, against a policy that comes from somewhere else.

Errors are problem documents (RFC 9457) with a stable `code`; `/api/v1/problems` lists them. Lists come in pages, `next`
is the path of the one that follows; a page before the last may have fewer items than its limit. The gateway stands on
loopback: reading needs no right, and what is written carries its own signature.
"""


def create_app(node: NodeView) -> FastAPI:
    """Return the gateway of `node`."""
    app = FastAPI(
        title="Mulu gateway",
        version=program_version(),
        description=DESCRIPTION,
        # The pages that draw the description load scripts from elsewhere; the description itself is enough.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.state.node = node
    install(app)
    include_all(app)
    app.add_middleware(RequestScope)
    # FastAPI asks the instance for its description, so that this is the way to add to it.
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


class RequestScope:
    """Gives every request an id, checks its head, counts and logs it, and turns what nobody foresaw into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, request_id, status = time.perf_counter(), secrets.token_hex(8), 0
        scope["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).extend(
                    [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                )
            await send(message)

        try:
            check_head(scope)
            await self._app(scope, receive, send_with_id)
        except ProblemError as refused:
            await response_of(refused, request_id)(scope, receive, send_with_id)
        except Exception:
            logger.exception("a request failed", extra={"request_id": request_id})
            if status:
                # The answer had begun; cutting it short is the only way left to say that it is not whole.
                raise
            problem = ProblemError("internal_error", "the node could not answer; its log says why")
            await response_of(problem, request_id)(scope, receive, send_with_id)
        finally:
            self._note(scope, status, time.perf_counter() - began, request_id)

    def _note(self, scope: Scope, status: int, took_s: float, request_id: str) -> None:
        """Log and count by the pattern of the path: what stands in it may be somebody's certificate."""
        route = getattr(scope.get("route"), "path", "unknown")
        if scope["path"].startswith(API) and route.startswith("/") and not route.startswith(API):
            # Some versions of the framework give the path below the router that it was included from.
            route = API + route
        method = scope["method"] if scope["method"] in _METHODS else "other"
        Request(scope).app.state.node.metrics.count_request(method, route, status)
        fields = {"method": method, "route": route, "status": status, "ms": round(took_s * 1000, 1)}
        logger.info("request", extra={**fields, "request_id": request_id})


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Anything else counts as one, or a client could make metrics without end."""


def _describe(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = described.setdefault("components", {}).setdefault("schemas", {})
        components[schemas.Problem.__name__] = schemas.Problem.model_json_schema()
        # The framework's own form of a 422 is never sent.
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        app.openapi_schema = described
    return app.openapi_schema
