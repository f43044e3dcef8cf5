"""Proofs that leave the network: of log entries, in the forms of C2SP and of COSE; and this node's own cosignatures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import PlainTextResponse

from ledger.identifiers import CertificateIdentifier
from ledger.limits import RECORDS_PER_ENVELOPE_MAX
from ledger.proofs.notes import note_for
from ledger.proofs.tlog_proof import TlogProof, prove_entry
from ledger.proofs.view import LedgerView
from ledger.registers.certificates.identifier import parse_identifier
from ledger.registers.certificates.values import certificate_key
from nodes.gateway import forms, schemas
from nodes.gateway.asking import Node
from nodes.gateway.cose_receipt import MEDIA_TYPE as COSE
from nodes.gateway.cose_receipt import make_receipt
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems

router = APIRouter(tags=["proofs"])

SIZE_MAX = (1 << 63) - 1

Index = Annotated[int, Path(ge=0, le=SIZE_MAX, description="position in the log, from 0")]

_TLOG_PROOF = {"description": "A C2SP tlog-proof", "content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get(
    "/entries/{index}/tlog-proof",
    operation_id="get_tlog_proof",
    summary="The C2SP proof of a log entry",
    response_class=PlainTextResponse,
    responses={200: _TLOG_PROOF, **problems("not_found", "invalid_parameter", "no_checkpoint", "not_yet")},
)
async def get_tlog_proof(
    index: Index,
    node: Node,
    record: Annotated[
        int | None,
        Query(ge=0, lt=RECORDS_PER_ENVELOPE_MAX, description="prove this record of the envelope too, from 0"),
    ] = None,
) -> Response:
    """Under the newest checkpoint, with exactly a quorum of cosignatures. `mulu verify` reads it, and tools of others.

    The entry itself is in `extra`, with the record and its path if one is asked for; other tools get the entry beside
    the proof.
    """
    return _text(_prove(_attested(node), index, record))


@router.get(
    "/certificates/{identifier}/tlog-proof",
    operation_id="get_certificate_tlog_proof",
    summary="The C2SP proof that a certificate was issued",
    response_class=PlainTextResponse,
    responses={
        200: _TLOG_PROOF,
        **problems("not_found", "bad_check_character", "invalid_parameter", "no_checkpoint", "not_yet"),
    },
)
async def get_certificate_tlog_proof(
    identifier: Annotated[str, Path(max_length=100, description="identifier of the certificate (GB/T 36904)")],
    node: Node,
) -> Response:
    """Of the record that issued it. What became of the certificate since is in its bundle, not here."""
    parse_identifier(identifier)
    attested = _attested(node)
    places = attested.history(certificate_key(CertificateIdentifier(identifier)))
    if not places:
        raise ProblemError(
            "not_found", f"there is no certificate {identifier} as of block {attested.checkpoint.height}"
        )
    return _text(_prove(attested, *places[0]))


@router.get(
    "/entries/{index}/cose-receipt",
    operation_id="get_cose_receipt",
    summary="The COSE Receipt of a log entry",
    response_class=Response,
    responses={
        200: {
            "description": "A COSE_Sign1 by this node's log key (RFC 9942)",
            "content": {"application/cose": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems("not_found", "invalid_parameter", "no_checkpoint"),
    },
)
async def get_cose_receipt(index: Index, node: Node) -> Response:
    """The word of this department alone, over the root of a checkpoint with a quorum. The payload is detached."""
    attested, signer = _attested(node), node.log_signer
    assert signer is not None, "who has a view to prove from has a log key"
    try:
        return Response(make_receipt(attested, index, signer), media_type=COSE)
    except ValueError as error:
        raise ProblemError("not_found", str(error)) from error


@router.get(
    "/cosignatures",
    operation_id="list_cosignatures",
    summary="Which sizes of the log this node has cosigned",
    response_model=schemas.CosignedSizes,
    responses=problems("not_yet"),
)
async def list_cosignatures(node: Node) -> schemas.CosignedSizes:
    """Of late, newest first. Under heavy load not every block is cosigned: a larger size covers it."""
    return schemas.CosignedSizes(department=forms.department(node, node.me), sizes=list(node.cosigned_sizes()))


@router.get(
    "/cosignatures/{size}",
    operation_id="get_cosignature",
    summary="What this node alone says of the log at a size",
    response_class=PlainTextResponse,
    responses={
        200: {"description": "A C2SP signed note", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems("not_found", "invalid_parameter", "not_yet"),
    },
)
async def get_cosignature(size: Annotated[int, Path(ge=1, le=SIZE_MAX)], node: Node) -> Response:
    """Its log line and its cosignature. Whose policy names some departments puts their notes of one size together."""
    if (note := node.own_note(size)) is None:
        raise ProblemError("not_found", f"this node has not cosigned the log at size {size}, or too long ago")
    return PlainTextResponse(note)


def _attested(node: NodeView) -> LedgerView:
    if (attested := node.attested) is None:
        raise ProblemError("no_checkpoint", "a proof rests on a checkpoint")
    return attested


def _prove(attested: LedgerView, index: int, record: int | None) -> TlogProof:
    try:
        return prove_entry(attested, index, note_for(attested), position=record)
    except ValueError as error:
        raise ProblemError("not_found", str(error)) from error


def _text(proof: TlogProof) -> Response:
    return PlainTextResponse(proof.text())
