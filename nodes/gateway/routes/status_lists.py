"""Bitstring status lists, for readers of credentials: how certificates stand by this node's newest block."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from ledger.proofs.credential import CONTENT_TYPE, MEDIA_TYPE
from ledger.proofs.jose import did_of, sign_compact
from ledger.proofs.status_list import ENTRIES_PER_LIST, SET_IN, Purpose, list_credential, place_of
from ledger.proofs.verify import MAX_AGE_S
from ledger.registers.certificates.values import CERTIFICATES, Certificate
from nodes.gateway import forms
from nodes.gateway.asking import Node, ask
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.index import queries

router = APIRouter(tags=["proofs"])

CACHE_S = 60
"""How long a reader may go on with a list: a revocation should not take longer to be seen."""

NUMBER_MAX = (1 << 63) // ENTRIES_PER_LIST - 1


@router.get(
    "/status-lists/{purpose}/{number}",
    operation_id="get_status_list",
    summary="A bitstring status list (W3C) of certificates",
    response_class=Response,
    responses={
        200: {
            "description": "A BitstringStatusListCredential as a JWT, by this node's log key",
            "content": {f"application/{MEDIA_TYPE}": {"schema": {"type": "string"}}},
        },
        304: {"description": "It is as it was"},
        **problems("not_found", "invalid_parameter", "not_ready", "index_behind", "index_unavailable"),
    },
)
async def get_status_list(
    purpose: Purpose,
    number: Annotated[int, Path(ge=0, le=NUMBER_MAX, description="512 entries of the log have a list")],
    request: Request,
    node: Node,
) -> Response:
    """The word of this department, by its newest block. The bundle of a certificate proves the same by a quorum."""
    if (signer := node.log_signer) is None:
        raise ProblemError("not_ready", "a node without a log key signs no lists")
    time_ms, height = node.state.time_ms, node.state.height
    first = number * ENTRIES_PER_LIST
    if first >= node.log.size:
        raise ProblemError("not_found", f"the log of {node.log.size} entries does not reach to list {number}")
    issued = await ask(node, queries.first_set_in_log, CERTIFICATES, first, first + ENTRIES_PER_LIST)
    bits = []
    for key, log_index, position in issued:
        certificate = node.state.get(key, Certificate)
        if certificate is not None and SET_IN.get(certificate.status) == purpose:
            bits.append(place_of(log_index, position).bit)
    credential = list_credential(
        bits,
        purpose,
        issuer=did_of(signer.public),
        valid_from=forms.moment(node, height, time_ms).time,
        valid_until=forms.moment(node, height, time_ms + MAX_AGE_S * 1000).time,
    )
    jwt = sign_compact(credential, MEDIA_TYPE, CONTENT_TYPE, signer).encode()
    headers = {"ETag": etag_of(jwt), "Cache-Control": f"public, max-age={CACHE_S}"}
    return not_modified(request, headers["ETag"]) or Response(
        jwt, media_type=f"application/{MEDIA_TYPE}", headers=headers
    )
