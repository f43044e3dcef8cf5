"""The page that the QR code of a certificate leads to."""

from __future__ import annotations

import time
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import HTMLResponse

from ledger.errors import CheckCharacterError, NotFoundError
from ledger.identifiers import CertificateIdentifier
from ledger.proofs.bundle import Bundle, build_bundle
from ledger.proofs.canonical_json import parse
from ledger.proofs.evidence import establish
from ledger.proofs.findings import certificate_statement
from ledger.proofs.policy import parse_policy
from ledger.proofs.statement import Statement
from ledger.proofs.verify import MAX_AGE_S
from ledger.registers.certificates.identifier import parse_identifier
from nodes.gateway import forms
from nodes.gateway.asking import Node
from nodes.gateway.certificate_page import (
    HEADERS,
    Language,
    Problem,
    page_of,
    page_without_certificate,
    preferred_language,
)
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import RETRY_AFTER_S
from nodes.gateway.routes.documented import problems

router = APIRouter(tags=["pages"])

_PAGE = {"text/html": {"schema": {"type": "string"}}}


@router.get(
    "/certificates/{identifier}",
    operation_id="show_certificate",
    summary="The page of a certificate, for people",
    response_class=HTMLResponse,
    responses={
        200: {"description": "What this node can prove of it", "content": _PAGE},
        404: {"description": "There is none, or the identifier is mistyped", "content": _PAGE},
        **problems("invalid_parameter", "no_checkpoint"),
        503: {"description": "The node knows no checkpoint with a quorum yet", "content": _PAGE},
    },
)
async def show_certificate(
    identifier: Annotated[str, Path(description="identifier of the certificate (GB/T 36904)")],
    node: Node,
    lang: Annotated[Language | None, Query(description="language; by default what the browser prefers")] = None,
    accept_language: Annotated[str, Header(max_length=1_000)] = "",
) -> Response:
    """As of the newest checkpoint with a quorum. It has no script and loads nothing."""
    language = lang or preferred_language(accept_language)
    me = forms.department(node, node.me)
    name = (me.name_zh if language == "zh" else me.name_en) or me.name_zh
    try:
        parse_identifier(identifier)
        if (attested := node.attested) is None:
            return _without(identifier, "not_yet", 503, node, name, language)
        bundle = build_bundle(attested, CertificateIdentifier(identifier))
    except CheckCharacterError:
        return _without(identifier, "mistyped", 404, node, name, language)
    except NotFoundError:
        return _without(identifier, "unknown", 404, node, name, language)
    # On another thread: a quorum of signatures takes some milliseconds.
    statement = await run_sync(_statement_of, bundle, node.policy())
    return HTMLResponse(
        page_of(statement, node=name, language=language), headers={**HEADERS, "Content-Language": language}
    )


def _statement_of(bundle: bytes, policy_text: str) -> Statement:
    """Return what the bundle proves, whether or not the last day of the node's own policy is past."""
    policy = parse_policy(policy_text)
    evidence = establish(parse(Bundle, bundle), policy)
    return certificate_statement(evidence, policy, now_ms=_now_ms(), max_age_s=MAX_AGE_S, require="all")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _without(
    identifier: str, problem: Problem, status: int, node: NodeView, name: str, language: Language
) -> HTMLResponse:
    headers = {**HEADERS, "Content-Language": language}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    as_of = forms.head(node)
    page = page_without_certificate(
        # Somebody else wrote it, and it may be as long as a path: enough to see what is wrong with it.
        identifier[:120],
        problem,
        node=name,
        as_of=f"{as_of.time} (block {as_of.height})",
        language=language,
    )
    return HTMLResponse(page, status_code=status, headers=headers)
