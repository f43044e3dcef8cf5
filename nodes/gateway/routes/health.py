"""What other programs ask of a node: is it up, is it ready, how is it doing, what does it attest."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from nodes.gateway.asking import Node
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems

router = APIRouter(tags=["node"])

_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get(
    "/checkpoint",
    operation_id="get_checkpoint",
    summary="The newest checkpoint with a quorum",
    response_class=PlainTextResponse,
    responses={
        200: {"description": "A C2SP signed note", **_TEXT},
        304: {"description": "It is as it was"},
        **problems("no_checkpoint"),
    },
)
async def get_checkpoint(request: Request, node: Node) -> Response:
    """Size and root of the log, the line of this node's log key, and cosignatures of departments."""
    if (note := node.log_note()) is None:
        raise ProblemError("no_checkpoint", "there is no checkpoint yet")
    etag = etag_of(note.encode())
    # Whatever stands between may keep it only if it asks each time whether there is a newer one.
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    return not_modified(request, etag) or PlainTextResponse(note, headers=headers)


@router.get(
    "/policy",
    operation_id="get_policy",
    summary="The policy that trusts this network",
    response_class=PlainTextResponse,
    responses={200: {"description": "A C2SP tlog-policy", **_TEXT}, **problems()},
)
async def get_policy(node: Node) -> Response:
    """For comparison only: a policy is trusted because of where it comes from, and this is whom it speaks about."""
    return PlainTextResponse(node.policy())


@router.get(
    "/policy/tools",
    operation_id="get_tools_policy",
    summary="The policy for tools that know at most 32 witnesses",
    response_class=PlainTextResponse,
    responses={200: {"description": "A C2SP tlog-policy", **_TEXT}, **problems("no_tools_policy")},
)
async def get_tools_policy(node: Node) -> Response:
    """For comparison only, like `/policy`. `mulu proof --for-tools` completes proofs for it."""
    return PlainTextResponse(node.tools_policy())


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Metrics in the text form of Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"description": "Metrics", **_TEXT}, **problems()},
)
async def get_metrics(node: Node) -> Response:
    """Measured at the time of asking."""
    return Response(node.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get(
    "/livez",
    operation_id="get_live",
    summary="Whether the process answers",
    response_class=PlainTextResponse,
    responses={200: {"description": "It does", **_TEXT}, **problems()},
)
async def get_live() -> Response:
    """A node that does not answer here should be started again."""
    return PlainTextResponse("ok\n")


@router.get(
    "/readyz",
    operation_id="get_ready",
    summary="Whether the node does its part in the network",
    response_class=PlainTextResponse,
    responses={200: {"description": "It does", **_TEXT}, **problems("not_ready")},
)
async def get_ready(node: Node) -> Response:
    """A node that is not ready may still answer questions; starting it again helps nothing."""
    if reasons := list(node.why_not_ready()):
        raise ProblemError("not_ready", "; ".join(reasons), reasons=reasons)
    return PlainTextResponse("ok\n")
