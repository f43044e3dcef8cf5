"""What shows that data were shared, or refused: deliveries with their acknowledgements, and refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from sqlite3 import Connection
from typing import Annotated

from fastapi import APIRouter, Query, Request

from ledger.registers.sharing.queries import Receipt, receipts_of
from ledger.registers.sharing.values import REQUESTS, delivery_key, request_key
from ledger.registers.sharing.values import Request as SharingRequest
from nodes.gateway import forms, sharing_forms
from nodes.gateway import sharing_schemas as schemas
from nodes.gateway.asking import Limit, Node, ask, member_of, page_path
from nodes.gateway.narrowed import narrowed
from nodes.gateway.routes.sharing import LIST_PROBLEMS, DataItemId, Department
from nodes.index import Change, queries

router = APIRouter(prefix="/sharing", tags=["sharing"])

STATEMENTS_MAX = 20
"""Records about one delivery or refusal; there are two or three."""

_ALL_OF_A_REQUEST = (1 << 31) - 1
"""In a cursor, after the last receipt of the request; no delivery has a larger number."""


@router.get(
    "/receipts",
    operation_id="list_sharing_receipts",
    summary="What shows that data were shared, or refused: deliveries with their acknowledgements, and refusals",
    response_model=schemas.ReceiptPage,
    responses=LIST_PROBLEMS,
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
    member = None if department is None else member_of(node, department)

    def keep(asked: SharingRequest) -> bool:
        return (
            data_item in (None, asked.data_item)
            and (member is None or member in sharing_forms.parties(node, asked))
            and any(True for _ in receipts_of(asked, node.state))
        )

    # A page begins within the receipts of the request at which the one before it ended.
    name, _, number = cursor.partition("/")
    begun = node.state.get(request_key(grant or name), SharingRequest)
    others: list[SharingRequest] = []
    last: str | None = None
    if grant is None:
        others, last = await narrowed(node, SharingRequest, REQUESTS, keep, cursor=name, limit=limit + 1)

    def following() -> Iterator[Receipt]:
        if begun is not None and keep(begun):
            yield from receipts_of(begun, node.state, after=int(number or -1))
        for asked in others:
            yield from receipts_of(asked, node.state)

    found = list(islice(following(), limit + 1))
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
        next=None if last is None else page_path(request, last),
        as_of=forms.head(node),
    )


def _number(receipt: Receipt) -> int:
    return receipt.delivery.number if receipt.delivery else 0


def _key(receipt: Receipt) -> bytes:
    delivery = receipt.delivery
    return delivery_key(delivery.grant, delivery.number) if delivery else request_key(receipt.request.id)


def _statements(connection: Connection, keys: Sequence[bytes]) -> list[list[Change]]:
    return [queries.history(connection, key, (0, 0, 0), STATEMENTS_MAX) for key in keys]


def _about(receipt: Receipt, changes: Sequence[Change]) -> list[Change]:
    """Return the records that make a receipt: all of a delivery, the newest of a request. No deadline is one."""
    said = [change for change in changes if change.kind is not None]
    return said if receipt.delivery else said[-1:]
