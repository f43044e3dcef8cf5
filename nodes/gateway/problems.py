"""What goes wrong, as problem documents (RFC 9457) with stable codes, a cause and a next step.

The codes are those of the ledger: of its refusals and of its errors. A few belong to HTTP itself. Nothing that is not
in the table ever gets out: an error nobody foresaw is `internal_error`, and what it was stands in the log. And nothing
that was sent is repeated: it may name a person, and a message that echoes is a message that can be made to say things.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, NotYetError
from ledger.limits import ENVELOPE_BYTES_MAX
from ledger.registers import RULEBOOK

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
BASE = "/api/v1/problems/"

RETRY_AFTER_S = 1
"""Blocks come about this often under load; asking sooner gives the same answer."""


HEAD_BYTES_MAX = 16_384
"""Of path, query and headers. The longest that the API knows, a bundle with 16 deliveries, has some 2,000."""

_PHONE_DIGITS_MIN = 8
"""Fewer digits are a height, a limit or an index, and stay in what is said of them."""

_WHOLE_MAX = 40
"""Characters of a value that a message may have cut off behind them."""


class Kind(NamedTuple):
    """What is known of a code before it happens."""

    status: int
    cause: str
    next_step: str


_STATUS_OF_REFUSAL = {
    "unknown_department": 403,
    "unknown_key": 403,
    "revoked_key": 403,
    "bad_signature": 403,
    "not_authorised": 403,
    "replayed_envelope": 409,
}
"""All other refusals are 422: the request was understood, and what it says cannot be taken."""

_KINDS_OF_GATEWAY = {
    "not_canonical": Kind(422, "the bytes are not the one byte form of an envelope", "encode it as documented"),
    "records_mismatch": Kind(
        422,
        "the signed header commits to other records, or the signature suite is unknown",
        "compute the records root from the records that are sent, and sign again",
    ),
    "oversize": Kind(
        413,
        f"an envelope has at most {ENVELOPE_BYTES_MAX} bytes",
        "send fewer records in each envelope",
    ),
    "pool_full": Kind(503, "the node holds as many envelopes as it may", "send the same envelope again later"),
    "not_yet": Kind(503, "the node cannot do this now", "try again later"),
    "index_unavailable": Kind(503, "the node's query index cannot answer", "try again later, or ask another node"),
    "index_behind": Kind(503, "the node's query index is still taking in blocks", "try again later"),
    "present": Kind(409, "there is such a certificate, so that its absence cannot be proven", "ask for its bundle"),
    "no_checkpoint": Kind(503, "no quorum has cosigned a checkpoint yet", "try again after the first block"),
    "no_tools_policy": Kind(
        404,
        "the network has more than 96 departments, of whom no 32 can speak for all",
        "use a tool that knows more than 32 witnesses, and the policy at /policy",
    ),
    "not_ready": Kind(503, "the node cannot do its part in the network", "see `reasons`"),
    "not_found": Kind(404, "there is nothing under this name", "compare the name with the lists the gateway gives"),
    "unknown_envelope": Kind(
        404, "this node has no envelope with this id", "send it, or ask the node that it was sent to"
    ),
    "method_not_allowed": Kind(405, "the path does not know this method", "use one of those in the header `Allow`"),
    "request_timeout": Kind(408, "the body did not arrive in time", "send it without pauses"),
    "unsupported_media_type": Kind(
        415, "the body is of another type than this path takes", "send `application/vnd.mulu.envelope`"
    ),
    "invalid_parameter": Kind(422, "a parameter is missing or has no meaning", "see `errors`"),
    "bad_check_character": Kind(422, "the identifier or code is mistyped", "compare it with its source"),
    "invalid_input": Kind(422, "the request cannot be understood", "see the API's description at /openapi.json"),
    "two_lengths": Kind(
        400, "a request that says twice where its body ends can be read in two ways", "send one of the two headers"
    ),
    "head_too_large": Kind(
        431, f"path, query and headers have at most {HEAD_BYTES_MAX} bytes together", "send shorter ones"
    ),
    "bad_request": Kind(400, "this is not a request that the gateway understands", "see /openapi.json"),
    "internal_error": Kind(500, "the node failed", "report the request id to whoever runs the node"),
}

KINDS: Mapping[str, Kind] = {
    **{
        code.label: Kind(_STATUS_OF_REFUSAL.get(code.label, 422), code.cause, code.next_step)
        for code in RULEBOOK.codes.values()
    },
    **_KINDS_OF_GATEWAY,
}
"""Every code that can come out of the gateway."""


class ProblemError(Exception):
    """Ends a request with the problem of this code.

    Args:
        code: One of `KINDS`.
        detail: One sentence about this case.
        headers, extensions: What this case adds to the answer's headers and members.
    """

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: object
    ) -> None:
        super().__init__(detail)
        self.kind = KINDS[code]
        self.code, self.detail = code, detail
        self.headers, self.extensions = headers or {}, extensions


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(LedgerError, _on_ledger_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


def problem_of(error: LedgerError) -> ProblemError:
    """Return the problem that an error of the ledger is to a client."""
    match error:
        case InvalidInputError() | NotYetError() | NotFoundError() if error.code in KINDS:
            return ProblemError(error.code, str(error))
        case InvalidInputError():
            return ProblemError("invalid_input", str(error))
        case NotYetError():
            return ProblemError("not_yet", str(error))
        case NotFoundError():
            return ProblemError("not_found", str(error))
    # Our own troubles, of the disk for example, name paths and are nobody else's business.
    logger.error("a request failed: %s", error, extra={"code": error.code})
    return ProblemError("internal_error", "the node could not answer; its log says why")


def response_of(problem: ProblemError, request_id: str) -> JSONResponse:
    """Return the answer that tells of `problem`."""
    status, cause, next_step = problem.kind
    headers = dict(problem.headers)
    if status == 503:
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    body: dict[str, Any] = {
        "type": BASE + problem.code,
        "title": problem.code.replace("_", " ").capitalize(),
        "status": status,
        "detail": problem.detail,
        "code": problem.code,
        "cause": cause,
        "next_step": next_step,
        "request_id": request_id,
        **problem.extensions,
    }
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def request_id_of(request: Request) -> str:
    """Return the id that the gateway gave to a request."""
    return str(request.scope["request_id"])


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    error.detail = _without_echo(error.detail, request)
    return response_of(error, request_id_of(request))


async def _on_ledger_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LedgerError)
    return await _on_problem(request, problem_of(error))


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [{"where": "/".join(str(part) for part in entry["loc"]), "what": entry["msg"]} for entry in error.errors()]
    where = ", ".join(entry["where"] for entry in errors)
    return response_of(
        ProblemError("invalid_parameter", f"not understood: {where}", errors=errors), request_id_of(request)
    )


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    detail = {
        "not_found": "the gateway has no such path; /openapi.json describes those it has",
        "method_not_allowed": f"the path does not know the method {request.method[:20]}",
    }.get(code, "the request cannot be understood")
    return response_of(ProblemError(code, detail, headers=error.headers), request_id_of(request))


def _without_echo(detail: str, request: Request) -> str:
    """Return `detail` without the values that stood in the path or the query of a request; short numbers stay."""
    values = map(str, (*request.path_params.values(), *request.query_params.values()))
    sent = {value for value in values if value and not (value.isdecimal() and len(value) < _PHONE_DIGITS_MIN)}
    # The longest first: one value may be a part of another. A message has a value as it came or in Python's notation.
    for value in sorted(sent, key=len, reverse=True):
        for spelling in (value, repr(value)[1:-1]):
            detail = _without(detail, spelling)
    return detail


def _without(detail: str, text: str) -> str:
    """Return `detail` with an ellipsis for each `text`, and for the beginning of a long one that was cut off."""
    pattern = rf"(?<!\w){re.escape(text[:_WHOLE_MAX])}" + (r"(?!\w)" if len(text) <= _WHOLE_MAX else "")
    first, *others = re.split(pattern, detail)
    rest = text[_WHOLE_MAX:]
    kept = [first]
    for part in others:
        cut_off = takewhile(lambda pair: pair[0] == pair[1], zip(part, rest, strict=False))
        kept.append(part[sum(1 for _ in cut_off) :])
    return "\N{HORIZONTAL ELLIPSIS}".join(kept)
