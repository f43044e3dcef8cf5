"""What the registers hold, under the names that people use, and what happened to each value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from ledger.encoding import Canonical, encode
from ledger.members.departments import department_key
from ledger.registers.catalogue import DATA_ITEMS, TABLES
from ledger.registers.certificates.identifier import ROOT, check_type_code, parse_identifier
from ledger.registers.certificates.values import CERTIFICATES, TYPES
from ledger.registers.directories.values import SYSTEMS
from ledger.registers.members.values import REORGANISATIONS, SUCCESSIONS
from ledger.registers.shared import RESPONSIBILITIES
from ledger.registers.sharing.values import GRANTS, OBJECTIONS, REQUESTS
from nodes.gateway import forms, schemas
from nodes.gateway.asking import Limit, Node, ask, credit_code_of
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.index import queries

router = APIRouter(tags=["registers"])

INDEX_PROBLEMS = ("invalid_parameter", "index_behind", "index_unavailable")
Name = Annotated[str, Path(max_length=100, description="the id of the value")]
Cursor = Annotated[str, Query(max_length=200, description="from `next`")]


@dataclass(frozen=True, slots=True)
class Subject:
    """One sort of value of a register, and what it is called in paths."""

    plural: str
    """In paths, for example `data-items`."""
    singular: str
    prefix: bytes
    """What its state keys begin with; the id follows."""
    id_example: str
    check: Callable[[str], object] = str
    """Raises `CheckCharacterError` for an id that nothing can have."""

    def key(self, name: str) -> bytes:
        """Return the state key of the value with this id."""
        return self.prefix + name.encode()

    def name(self, key: bytes) -> str:
        """Return the id in a state key."""
        return key[len(self.prefix) :].decode()


DEPARTMENTS = Subject("departments", "department", department_key(""), "AY")
SUBJECTS = (
    DEPARTMENTS,
    Subject("reorganisations", "reorganisation", REORGANISATIONS, "2018-R1"),
    Subject("responsibilities", "responsibility", RESPONSIBILITIES, "AY-01"),
    Subject("successions", "responsibility that passed on", SUCCESSIONS, "AY-01"),
    Subject("data-items", "data item", DATA_ITEMS, "AY-01-D1"),
    Subject("systems", "system", SYSTEMS, "AY-S1"),
    Subject("tables", "table", TABLES, "AY-01-D1-T1"),
    Subject("requests", "request for data", REQUESTS, "AF-R1"),
    Subject("grants", "grant", GRANTS, "AF-R1"),
    Subject("objections", "objection", OBJECTIONS, "AF-O1"),
    Subject("types", "type of certificates", TYPES, "11100000C00000016E001", check_type_code),
    Subject("certificates", "certificate", CERTIFICATES, f"{ROOT}.TYPE.ISSUER.SERIAL.001.C", parse_identifier),
)


def key_of(node: NodeView, subject: Subject, name: str) -> bytes:
    """Return the state key for an id in a path; a department may also be named by its short code.

    Raises:
        CheckCharacterError: Nothing can have this id: it is mistyped.
    """
    if subject is DEPARTMENTS:
        name = credit_code_of(node, name)
    subject.check(name)
    return subject.key(name)


def value_of(node: NodeView, subject: Subject, name: str) -> tuple[bytes, Canonical]:
    """Return key and value for an id in a path.

    Raises:
        CheckCharacterError: As for `key_of`.
        ProblemError: `not_found`.
    """
    key = key_of(node, subject, name)
    value = node.state.values.get(key)
    if value is None:
        raise ProblemError("not_found", f"there is no {subject.singular} {name!r} as of block {node.state.height}")
    return key, value


def _value_form(node: NodeView, subject: Subject, key: bytes, value: Canonical) -> schemas.ValueForm:
    return schemas.ValueForm(
        id=subject.name(key),
        kind=str(value.__struct_config__.tag),
        value=forms.readable(value),
        as_of=forms.head(node),
    )


def _add_routes(subject: Subject) -> None:
    """Describe list, value and history of one sort of value; each has its own place in the API's description."""
    word = subject.plural.replace("-", "_")

    async def list_values(
        request: Request,
        node: Node,
        cursor: Cursor = "",
        limit: Limit = 50,
        begins_with: Annotated[str, Query(max_length=100, description="only ids that begin so")] = "",
    ) -> schemas.ValuePage:
        prefix = subject.key(begins_with)
        keys = await ask(node, queries.keys, prefix, subject.key(cursor), limit + 1)
        if subject is DEPARTMENTS:
            founders = (subject.key(founder.credit_code) for founder in node.genesis.founders)
            later = [key for key in founders if key.startswith(prefix) and key > subject.key(cursor)]
            keys = sorted({*keys, *later})[: limit + 1]
        page = [(key, node.state.values[key]) for key in keys[:limit]]
        return schemas.ValuePage(
            items=[_value_form(node, subject, *item) for item in page],
            next=_next(request, subject.name(page[-1][0]), limit, begins_with) if len(keys) > limit else None,
            as_of=forms.head(node),
        )

    async def get_value(request: Request, name: Name, node: Node) -> Response:
        key, value = value_of(node, subject, name)
        etag = etag_of(encode(value))
        if (response := not_modified(request, etag)) is not None:
            return response
        return JSONResponse(_value_form(node, subject, key, value).model_dump(), headers={"ETag": etag})

    async def get_history(
        request: Request,
        name: Name,
        node: Node,
        cursor: Annotated[str, Query(pattern=r"^[0-9]{1,18}:-?[0-9]{1,9}:-?[0-9]{1,9}$")] = "0:0:0",
        limit: Limit = 50,
    ) -> schemas.HistoryPage:
        key, _ = value_of(node, subject, name)
        height, position, number = map(int, cursor.split(":"))
        changes = await ask(node, queries.history, key, (height, position, number), limit + 1)
        page, last = changes[:limit], changes[:limit][-1:]
        return schemas.HistoryPage(
            id=subject.name(key),
            items=[schemas.ChangeForm(**forms.change(node, change)) for change in page],
            next=f"{request.url.path}?cursor={last[0].height}:{last[0].position}:{last[0].number}&limit={limit}"
            if len(changes) > limit
            else None,
        )

    router.add_api_route(
        f"/state/{subject.plural}",
        list_values,
        operation_id=f"list_{word}",
        summary=f"{subject.plural.replace('-', ' ').capitalize()}, ascending by id",
        description="As of the last executed block. What appears between two pages is on neither, or on the second.",
        response_model=schemas.ValuePage,
        responses=problems(*INDEX_PROBLEMS),
    )
    router.add_api_route(
        f"/state/{subject.plural}/{{name}}",
        get_value,
        operation_id=f"get_{word}_value",
        summary=f"One {subject.singular}, for example `{subject.id_example}`",
        description="As of the last executed block. The ETag follows from the value alone.",
        response_model=schemas.ValueForm,
        responses={
            304: {"description": "It is as it was"},
            **problems("not_found", "bad_check_character", "invalid_parameter"),
        },
    )
    router.add_api_route(
        f"/state/{subject.plural}/{{name}}/history",
        get_history,
        operation_id=f"list_{word}_history",
        summary=f"What happened to one {subject.singular}, oldest first",
        description="Every accepted record that set the value, and every deadline that did. Genesis is not among them.",
        response_model=schemas.HistoryPage,
        responses=problems("not_found", "bad_check_character", *INDEX_PROBLEMS),
    )


def _next(request: Request, cursor: str, limit: int, begins_with: str) -> str:
    return str(request.url.include_query_params(cursor=cursor, limit=limit, begins_with=begins_with).path) + (
        "?" + request.url.include_query_params(cursor=cursor, limit=limit, begins_with=begins_with).query
    )


for _subject in SUBJECTS:
    _add_routes(_subject)
