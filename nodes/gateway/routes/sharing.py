"""Who asked for which data, what was granted, delivered and acknowledged, and who is late."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from sqlite3 import Connection
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from ledger.registers.sharing import queries as sharing
from ledger.registers.sharing import values
from ledger.registers.sharing.duties import BREACHES, Breach
from nodes.gateway import forms, sharing_forms
from nodes.gateway import sharing_schemas as schemas
from nodes.gateway.asking import Limit, Node, ask, member_of, page_path
from nodes.gateway.narrowed import narrowed
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.index import Change, queries

router = APIRouter(prefix="/sharing", tags=["sharing"])

PAGE_PROBLEMS = problems("not_found", "invalid_parameter", "index_behind", "index_unavailable")
_ALL_OF_A_REQUEST = (1 << 31) - 1
"""In a cursor, where no receipt of the request is left; no delivery has a larger number."""
STATEMENTS_MAX = 20
"""Records about one delivery or refusal; there are two or three."""

Cursor = Annotated[str, Query(max_length=200, pattern="^[0-9A-Za-z/-]*$", description="from `next`")]
Department = Annotated[
    str | None, Query(max_length=40, description="requester, or owner then or now: `AY`, or its credit code")
]
DataItemId = Annotated[str | None, Query(max_length=80, description="id of a data item")]
Id = Annotated[str, Path(max_length=80)]


def _next(request: Request, cursor: str | None) -> str | None:
    return None if cursor is None else page_path(request, cursor)


def _whose(node: NodeView, department: str | None) -> str | None:
    return None if department is None else member_of(node, department)


def _concerns(node: NodeView, member: str | None, about: values.Request | values.Grant) -> bool:
    """Return whether a request or grant is of a department, in whatever part; any is if None was named."""
    return member is None or member in (
        about.requester,
        about.provider,
        sharing_forms.owner_now(node, about.data_item),
    )


@router.get(
    "/requests",
    operation_id="list_sharing_requests",
    summary="Requests for data, ascending by id",
    response_model=schemas.RequestPage,
    responses=PAGE_PROBLEMS,
)
async def list_requests(
    request: Request,
    node: Node,
    status: Annotated[schemas.RequestStatusName | None, Query()] = None,
    department: Department = None,
    data_item: DataItemId = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> schemas.RequestPage:
    """As of the last executed block. What waits has a `duty` with the deadline that runs."""
    member = _whose(node, department)

    def keep(found: values.Request) -> bool:
        return (
            status in (None, found.status.value)
            and data_item in (None, found.data_item)
            and _concerns(node, member, found)
        )

    page, last = await narrowed(node, values.Request, values.REQUESTS, keep, cursor=cursor, limit=limit)
    items = [sharing_forms.request(node, found) for found in page]
    return schemas.RequestPage(items=items, next=_next(request, last), as_of=forms.head(node))


@router.get(
    "/requests/{name}",
    operation_id="get_sharing_request",
    summary="One request, with the grant that came of it",
    response_model=schemas.RequestCase,
    responses=problems("not_found", "invalid_parameter"),
)
async def get_request(name: Id, node: Node) -> schemas.RequestCase:
    """As of the last executed block. `/api/v1/state/requests/{name}/history` says what happened to it."""
    found = node.state.get(values.request_key(name), values.Request)
    if found is None:
        raise ProblemError("not_found", f"there is no request {name!r} as of block {node.state.height}")
    given = node.state.get(values.grant_key(name), values.Grant)
    return schemas.RequestCase(
        request=sharing_forms.request(node, found),
        grant=None if given is None else sharing_forms.grant(node, given),
        as_of=forms.head(node),
    )


@router.get(
    "/grants",
    operation_id="list_sharing_grants",
    summary="Grants, ascending by id",
    response_model=schemas.GrantPage,
    responses=PAGE_PROBLEMS,
)
async def list_grants(
    request: Request,
    node: Node,
    status: Annotated[schemas.GrantStatusName | None, Query()] = None,
    department: Department = None,
    data_item: DataItemId = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> schemas.GrantPage:
    """As of the last executed block. A grant has expired once the block's day is later than its last day."""
    member = _whose(node, department)

    def keep(found: values.Grant) -> bool:
        return (
            status in (None, sharing_forms.grant_status(node, found))
            and data_item in (None, found.data_item)
            and _concerns(node, member, found)
        )

    page, last = await narrowed(node, values.Grant, values.GRANTS, keep, cursor=cursor, limit=limit)
    items = [sharing_forms.grant(node, found) for found in page]
    return schemas.GrantPage(items=items, next=_next(request, last), as_of=forms.head(node))


@router.get(
    "/deliveries",
    operation_id="list_sharing_deliveries",
    summary="Deliveries, ascending by grant and number",
    response_model=schemas.DeliveryPage,
    responses=PAGE_PROBLEMS,
)
async def list_deliveries(
    request: Request,
    node: Node,
    grant: Annotated[str | None, Query(max_length=80, pattern="^[0-9A-Z-]+$")] = None,
    status: Annotated[schemas.DeliveryStatusName | None, Query()] = None,
    department: Department = None,
    data_item: DataItemId = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> schemas.DeliveryPage:
    """As of the last executed block. The rows themselves are nowhere on the ledger."""
    member = _whose(node, department)

    def keep(found: values.Delivery) -> bool:
        under = sharing_forms.grant_of(node, found)
        return (
            status in (None, found.status.value)
            and data_item in (None, under.data_item)
            and _concerns(node, member, under)
        )

    within = "" if grant is None else f"{grant}/"
    page, last = await narrowed(
        node, values.Delivery, values.DELIVERIES, keep, cursor=cursor, limit=limit, within=within
    )
    items = [sharing_forms.delivery(node, found) for found in page]
    return schemas.DeliveryPage(items=items, next=_next(request, last), as_of=forms.head(node))


@router.get(
    "/objections",
    operation_id="list_sharing_objections",
    summary="Objections, ascending by id",
    response_model=schemas.ObjectionPage,
    responses=PAGE_PROBLEMS,
)
async def list_objections(
    request: Request,
    node: Node,
    status: Annotated[schemas.ObjectionStatusName | None, Query()] = None,
    department: Annotated[str | None, Query(max_length=40, description="who objected, or owns the data item")] = None,
    data_item: DataItemId = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> schemas.ObjectionPage:
    """As of the last executed block."""
    member = _whose(node, department)

    def keep(found: values.Objection) -> bool:
        return (
            status in (None, found.status.value)
            and data_item in (None, found.data_item)
            and member in (None, found.objector, sharing_forms.owner_now(node, found.data_item))
        )

    page, last = await narrowed(node, values.Objection, values.OBJECTIONS, keep, cursor=cursor, limit=limit)
    items = [sharing_forms.objection(node, found) for found in page]
    return schemas.ObjectionPage(items=items, next=_next(request, last), as_of=forms.head(node))


@router.get(
    "/breaches",
    operation_id="list_sharing_breaches",
    summary="Who did not do what in time, in the order of the deadlines",
    response_model=schemas.BreachPage,
    responses=PAGE_PROBLEMS,
)
async def list_breaches(
    request: Request,
    node: Node,
    open_only: Annotated[bool, Query(alias="open", description="only those that are not cured")] = False,
    department: Annotated[str | None, Query(max_length=40, description="who was late")] = None,
    data_item: DataItemId = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> schemas.BreachPage:
    """As of the last executed block: a deadline that has passed since is a breach in the next one."""
    member = _whose(node, department)

    def keep(found: Breach) -> bool:
        return (
            not (open_only and found.cured_height)
            and data_item in (None, found.data_item)
            and member in (None, found.holder)
        )

    page, last = await narrowed(node, Breach, BREACHES, keep, cursor=cursor, limit=limit)
    items = [sharing_forms.breach(node, found) for found in page]
    return schemas.BreachPage(items=items, next=_next(request, last), as_of=forms.head(node))


@router.get(
    "/receipts",
    operation_id="list_sharing_receipts",
    summary="What shows that data were shared, or refused: deliveries with their acknowledgements, and refusals",
    response_model=schemas.ReceiptPage,
    responses=PAGE_PROBLEMS,
)
async def list_receipts(
    request: Request,
    node: Node,
    grant: Annotated[str | None, Query(max_length=80, description="id of a request and its grant")] = None,
    department: Department = None,
    data_item: DataItemId = None,
    cursor: Annotated[str, Query(pattern="^[0-9A-Z-]{1,80}/[0-9]{1,10}$", description="from `next`")] = "",
    limit: Limit = 50,
) -> schemas.ReceiptPage:
    """As of the last executed block; those of one request are a refusal and its deliveries in their order."""
    member = _whose(node, department)

    def keep(found: values.Request) -> bool:
        return (
            data_item in (None, found.data_item)
            and _concerns(node, member, found)
            and any(True for _ in sharing.receipts_of(found, node.state))
        )

    # A page begins within the receipts of the request at which the one before it ended.
    name, _, number = cursor.partition("/")
    resumed = node.state.get(values.request_key(grant or name), values.Request)
    begun = [resumed] if resumed is not None and keep(resumed) else []
    others, last = (
        ([], None)
        if grant is not None
        else await narrowed(node, values.Request, values.REQUESTS, keep, cursor=name, limit=limit + 1)
    )
    receipts = chain(
        *(sharing.receipts_of(about, node.state, after=int(number or -1)) for about in begun),
        *(sharing.receipts_of(about, node.state) for about in others),
    )
    found = list(islice(receipts, limit + 1))
    page = found[:limit]
    if len(found) > limit:
        last = f"{page[-1].request.id}/{_number(page[-1])}"
    elif last is not None:
        last = f"{last}/{_ALL_OF_A_REQUEST}"
    statements = await ask(node, _statements, [_key(receipt) for receipt in page])
    return schemas.ReceiptPage(
        items=[
            sharing_forms.receipt(node, receipt, _about(receipt, changes))
            for receipt, changes in zip(page, statements, strict=True)
        ],
        next=_next(request, last),
        as_of=forms.head(node),
    )


def _number(receipt: sharing.Receipt) -> int:
    return receipt.delivery.number if receipt.delivery else 0


def _key(receipt: sharing.Receipt) -> bytes:
    delivery = receipt.delivery
    return values.delivery_key(delivery.grant, delivery.number) if delivery else values.request_key(receipt.request.id)


def _statements(connection: Connection, keys: Sequence[bytes]) -> list[list[Change]]:
    return [queries.history(connection, key, (0, 0, 0), STATEMENTS_MAX) for key in keys]


def _about(receipt: sharing.Receipt, changes: Sequence[Change]) -> list[Change]:
    """Return the records that make a receipt: all of a delivery, the newest of a request. No deadline is one."""
    said = [change for change in changes if change.kind is not None]
    return said if receipt.delivery else said[-1:]


@router.get(
    "/terms",
    operation_id="get_sharing_terms",
    summary="How long each step of sharing may take",
    response_model=schemas.TermsForm,
    responses=problems(),
)
async def get_terms(node: Node) -> schemas.TermsForm:
    """In working days of the network's calendar, but for days of idleness and months of a grant."""
    told: dict[str, Any] = forms.readable(sharing.terms(node.state))
    return schemas.TermsForm(**told)
