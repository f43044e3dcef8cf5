"""Handing in envelopes, and learning what became of them."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from ledger.blocks.envelope import Envelope
from ledger.encoding import decode
from ledger.errors import LedgerError
from ledger.identifiers import EnvelopeId
from ledger.limits import ENVELOPE_BYTES_MAX
from ledger.replica import EnvelopeStatus, Receipt
from nodes.gateway import forms, schemas
from nodes.gateway.asking import Node, ask
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import RETRY_AFTER_S, ProblemError, problem_of
from nodes.gateway.routes.documented import problems
from nodes.index import queries

router = APIRouter(tags=["envelopes"])

MEDIA_TYPE = "application/vnd.mulu.envelope"

WAIT_MAX_S = 60
"""How long a request may wait for its receipt; longer is for the client to ask again."""

BODY_TIMEOUT_S = 30.0
"""A body of one envelope takes a second on a slow line; who takes longer holds a connection for nothing."""

_PREFERENCE = re.compile(r"\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:;.*)?", re.IGNORECASE)

EnvelopeIdText = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="envelope id, 64 lower-case hex digits")]
Wait = Annotated[
    int | None,
    Query(ge=0, le=WAIT_MAX_S, description="seconds to wait for the receipt; takes the place of `Prefer: wait=`"),
]
Prefer = Annotated[str | None, Header(description=f"RFC 7240; `wait=SECONDS`, {WAIT_MAX_S} at the most")]

_BODY = {
    "requestBody": {
        "required": True,
        "description": f"The canonical bytes of one envelope, at most {ENVELOPE_BYTES_MAX}",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary", "maxLength": ENVELOPE_BYTES_MAX}}},
    }
}


@router.post(
    "/envelopes",
    operation_id="submit_envelope",
    summary="Hand in an envelope",
    status_code=202,
    response_model=schemas.EnvelopeForm,
    openapi_extra=_BODY,
    responses={
        200: {"model": schemas.ReceiptForm, "description": "The receipt, if it came within the time to wait"},
        202: {"description": "Pooled at this node; nothing is promised. `Location` says where to ask"},
        **problems(
            "not_canonical",
            "records_mismatch",
            "malformed_record",
            "wrong_chain",
            "expired_envelope",
            "valid_until_too_far",
            "invalid_parameter",
            "oversize",
            "unsupported_media_type",
            "request_timeout",
            "unknown_department",
            "unknown_key",
            "revoked_key",
            "bad_signature",
            "replayed_envelope",
            "pool_full",
            "not_yet",
        ),
    },
)
async def submit_envelope(request: Request, node: Node, wait: Wait = None, prefer: Prefer = None) -> Response:
    """Pool an envelope. `202` promises nothing: only a receipt is an acknowledgement.

    With `wait`, the answer is the receipt as soon as a checkpoint with a quorum covers the envelope, for refused
    records too. The same bytes may be handed in again as long as they are not in a block.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise ProblemError("unsupported_media_type", f"this path takes {MEDIA_TYPE}", headers={"Accept": MEDIA_TYPE})
    raw = await _read_body(request)
    try:
        envelope = node.submit(raw)
    except LedgerError as error:
        raise await _with_place(node, raw, error) from error
    location = f"{request.url.path}/{envelope.hex()}"
    headers = {"Location": location}
    seconds = wait
    if seconds is None and (seconds := preferred_wait_s(prefer)) is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
    if seconds and (receipt := await _wait_for_receipt(node, envelope, seconds)) is not None:
        return JSONResponse(receipt.model_dump(), 200, headers={**headers, "Content-Location": f"{location}/receipt"})
    status = node.status_of(envelope)
    pooled = schemas.EnvelopeForm(envelope=envelope.hex(), stage=status.stage, height=status.height)
    return JSONResponse(pooled.model_dump(exclude={"receipt"}), 202, headers=headers)


@router.get(
    "/envelopes/{envelope}",
    operation_id="get_envelope",
    summary="How far an envelope has come",
    response_model=schemas.EnvelopeForm,
    responses=problems("unknown_envelope", "invalid_parameter", "index_behind", "index_unavailable"),
)
async def get_envelope(envelope: EnvelopeIdText, node: Node) -> schemas.EnvelopeForm:
    """`pooled`, `committed`, `receipt` with the receipt, or `expired`: a quorum attests that its time is over."""
    return await _status_form(node, EnvelopeId(bytes.fromhex(envelope)))


@router.get(
    "/envelopes/{envelope}/receipt",
    operation_id="get_receipt",
    summary="The receipt of an envelope",
    response_model=schemas.ReceiptForm,
    responses={
        202: {"model": schemas.EnvelopeForm, "description": "There is none yet; this is how far the envelope has come"},
        **problems("unknown_envelope", "invalid_parameter", "index_behind", "index_unavailable"),
    },
)
async def get_receipt(envelope: EnvelopeIdText, node: Node, wait: Wait = None) -> schemas.ReceiptForm | JSONResponse:
    """Results, entry, inclusion proof and checkpoint. It does not change but for newer checkpoints."""
    envelope_id = EnvelopeId(bytes.fromhex(envelope))
    status = await _status_form(node, envelope_id)
    receipt = status.receipt or await _wait_for_receipt(node, envelope_id, wait or 0)
    if receipt is None:
        return JSONResponse(status.model_dump(exclude={"receipt"}), 202, headers={"Retry-After": str(RETRY_AFTER_S)})
    return receipt


def preferred_wait_s(prefer: str | None) -> int | None:
    """Return the seconds of `wait=` in a `Prefer` header, bounded, or None. What is not understood is ignored."""
    for preference in (prefer or "").split(","):
        if match := _PREFERENCE.fullmatch(preference):
            return min(int(match[1]), WAIT_MAX_S)
    return None


async def _read_body(request: Request) -> bytes:
    """Return the body, reading not more of it than an envelope may have."""
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > ENVELOPE_BYTES_MAX:
        raise _oversize()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > ENVELOPE_BYTES_MAX:
                    raise _oversize()
    except TimeoutError:
        detail = f"the body took longer than {BODY_TIMEOUT_S:g} s"
        # What still comes would be read for as long as it does.
        raise ProblemError("request_timeout", detail, headers={"Connection": "close"}) from None
    return bytes(body)


def _oversize() -> ProblemError:
    # The connection ends with the answer: whatever else is on its way is not read.
    detail = f"the body has more than {ENVELOPE_BYTES_MAX} bytes"
    return ProblemError("oversize", detail, headers={"Connection": "close"})


async def _with_place(node: NodeView, raw: bytes, error: LedgerError) -> ProblemError:
    """Return the problem; for an envelope that is in a block already it says where to ask for the receipt.

    So a client whose connection broke after it handed in an envelope sends the same again and learns what became of it.
    """
    problem = problem_of(error)
    if problem.code != "replayed_envelope":
        return problem
    envelope = decode(Envelope, raw).header.id
    if (await _find(node, envelope))[0].stage == "unknown":
        return problem
    return ProblemError(problem.code, problem.detail, envelope=envelope.hex())


async def _wait_for_receipt(node: NodeView, envelope: EnvelopeId, seconds: int) -> schemas.ReceiptForm | None:
    await node.progress.wait_until(lambda: node.receipt(envelope) is not None, seconds)
    receipt = node.receipt(envelope)
    return None if receipt is None else forms.receipt(node, receipt)


async def _status_form(node: NodeView, envelope: EnvelopeId) -> schemas.EnvelopeForm:
    status, receipt = await _find(node, envelope)
    if status.stage == "unknown":
        raise ProblemError("unknown_envelope", f"no envelope {envelope.hex()} was handed in here, nor is it in a block")
    return schemas.EnvelopeForm(
        envelope=envelope.hex(),
        stage=status.stage,
        height=status.height,
        receipt=None if receipt is None else forms.receipt(node, receipt),
    )


async def _find(node: NodeView, envelope: EnvelopeId) -> tuple[EnvelopeStatus, Receipt | None]:
    """Return how far an envelope has come, and its receipt: from the member, or for older ones from the index."""
    status = node.status_of(envelope)
    if status.stage != "unknown":
        return status, node.receipt(envelope)
    places = await ask(node, queries.envelopes_with_id, envelope, 1)
    if not places:
        return status, None
    place, checkpoint, note = places[0], node.checkpoint, node.log_note()
    if checkpoint is None or note is None or place.log_index >= checkpoint.size:
        return EnvelopeStatus("committed", place.height), None
    found = await ask(node, queries.entry, place.log_index)
    assert found is not None, "an envelope is indexed with its entry"
    return EnvelopeStatus("receipt", place.height), Receipt(
        envelope=envelope,
        height=place.height,
        time_ms=place.time_ms,
        index=place.log_index,
        results=place.results,
        entry=found[1],
        path=node.log.inclusion_path(place.log_index, checkpoint.size),
        checkpoint=checkpoint,
        note=note,
    )
