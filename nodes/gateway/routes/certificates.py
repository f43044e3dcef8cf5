"""What people ask of a certificate: the bundle that proves it, and the way it came."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from sqlite3 import Connection
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import StringConstraints

from ledger.identifiers import CertificateIdentifier
from ledger.members.departments import Department, department_key
from ledger.proofs.absence import build_absence
from ledger.proofs.bundle import build_bundle
from ledger.registers.certificates.identifier import parse_identifier
from ledger.registers.certificates.values import (
    Certificate,
    CertificateType,
    certificate_key,
    status_at,
    type_key,
    use_key,
)
from ledger.registers.members.values import Succession, succession_key
from ledger.registers.shared import Responsibility, responsibility_key
from nodes.gateway import forms, schemas
from nodes.gateway.asking import Node, ask
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.index import Change, queries

router = APIRouter(tags=["certificates"])

Identifier = Annotated[str, Path(max_length=100, description="identifier of the certificate (GB/T 36904)")]

Deliveries = Annotated[
    Sequence[Annotated[str, StringConstraints(pattern=r"^[0-9A-Z-]{1,80}/[1-9][0-9]{0,9}$")]],
    Query(max_length=16, description="grant and number of a delivery that fed the certificate, for example `AY-R7/1`"),
]

STEPS_MAX = 1_000
"""Steps of one subject in a trace; the registers' histories have pages and give all."""


@router.get(
    "/certificates/{identifier}/bundle",
    operation_id="get_bundle",
    summary="The file that proves a certificate",
    response_class=Response,
    responses={
        200: {
            "description": "The bundle, canonical JSON",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        304: {"description": "It is as it was"},
        **problems("not_found", "bad_check_character", "invalid_parameter", "no_checkpoint", "oversize"),
    },
)
async def get_bundle(identifier: Identifier, request: Request, node: Node, delivery: Deliveries = ()) -> Response:
    """As of the newest checkpoint with a quorum, all fields hidden: what a certificate says is not on the ledger.

    With `delivery=GRANT/NUMBER`, once for each in the order in which the data came, it shows these as hops. `mulu
    verify` checks it offline against the policy; the bytes are to be kept as they are.
    """
    parse_identifier(identifier)
    if (attested := node.attested) is None:
        raise ProblemError("no_checkpoint", "a bundle rests on a checkpoint")
    hops = [(grant, int(number)) for grant, _, number in (name.partition("/") for name in delivery)]
    return _unchanging(request, build_bundle(attested, CertificateIdentifier(identifier), deliveries=hops))


@router.get(
    "/certificates/{identifier}/absence",
    operation_id="get_absence",
    summary="The file that proves that there is no such certificate",
    response_class=Response,
    responses={
        200: {
            "description": "The absence, canonical JSON",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        304: {"description": "It is as it was"},
        **problems("present", "bad_check_character", "invalid_parameter", "no_checkpoint"),
    },
)
async def get_absence(identifier: Identifier, request: Request, node: Node) -> Response:
    """As of the newest checkpoint with a quorum. `mulu verify` checks it offline against the policy."""
    parse_identifier(identifier)
    if (attested := node.attested) is None:
        raise ProblemError("no_checkpoint", "an absence rests on a checkpoint")
    return _unchanging(request, build_absence(attested, identifier))


def _unchanging(request: Request, document: bytes) -> Response:
    etag = etag_of(document)
    if (response := not_modified(request, etag)) is not None:
        return response
    return Response(document, media_type="application/json", headers={"ETag": etag})


@router.get(
    "/certificates/{identifier}/trace",
    operation_id="trace_certificate",
    summary="Where a certificate comes from, and what became of it",
    response_model=schemas.Trace,
    responses=problems("not_found", "bad_check_character", "index_behind", "index_unavailable"),
)
async def trace_certificate(identifier: Identifier, node: Node) -> schemas.Trace:
    """Responsibility, approval, type, issue, changes and use, each with its block and time, as of the last block."""
    parse_identifier(identifier)
    certificate = node.state.get(certificate_key(identifier), Certificate)
    if certificate is None:
        raise ProblemError("not_found", f"there is no certificate {identifier} as of block {node.state.height}")
    kind = node.state.get(type_key(certificate.type_code), CertificateType)
    assert kind is not None, "a certificate is issued under a type"
    responsibility = node.state.get(responsibility_key(kind.responsibility), Responsibility)
    assert responsibility is not None, "a type is defined under a responsibility"
    issuer = node.state.get(department_key(certificate.issuer), Department)
    assert issuer is not None, "a certificate is issued by a member"
    status, as_of = status_at(certificate, node.state.calendar, node.state.time_ms), forms.head(node)
    keys = {
        "responsibility": responsibility_key(responsibility.id),
        "type": type_key(kind.code),
        "certificate": certificate_key(identifier),
        "use": use_key(identifier),
    }
    ids = {"responsibility": responsibility.id, "type": kind.code, "certificate": identifier, "use": identifier}
    found = await ask(node, partial(_histories, keys=keys))
    return schemas.Trace(
        certificate=identifier,
        status=status.value,
        issuer=forms.department(node, certificate.issuer),
        issuer_formerly=issuer.name_before,
        issuer_ended=issuer.valid_to,
        successor=_successor(node, responsibility, certificate),
        responsibility=_named(responsibility.id, responsibility),
        type=_named(kind.code, kind),
        valid_from=certificate.valid_from,
        valid_until=certificate.valid_until,
        replaces=certificate.predecessor,
        replaced_by=certificate.successor,
        steps=[
            schemas.TraceStep(subject=subject, id=ids[subject], **forms.change(node, change))  # type: ignore[arg-type]
            for subject, changes in found.items()
            for change in changes
        ],
        as_of=as_of,
    )


def _successor(node: NodeView, responsibility: Responsibility, certificate: Certificate) -> schemas.Successor | None:
    if responsibility.department == certificate.issuer:
        return None
    succession = node.state.get(succession_key(responsibility.id), Succession)
    assert succession is not None, "a responsibility passes on by a reorganisation"
    return schemas.Successor(
        department=forms.department(node, succession.department),
        height=succession.height,
        reorganisation=succession.reorganisation,
    )


def _histories(connection: Connection, *, keys: dict[str, bytes]) -> dict[str, list[Change]]:
    return {subject: queries.history(connection, key, (0, 0, 0), STEPS_MAX) for subject, key in keys.items()}


def _named(name: str, value: Responsibility | CertificateType) -> schemas.NamedThing:
    return schemas.NamedThing(id=name, name_en=value.name_en, name_zh=value.name_zh)
