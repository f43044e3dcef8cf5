"""Who asked for which data, what was granted and delivered, who objected, and who is late."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request

from ledger.encoding import Canonical
from ledger.registers.sharing import values
from ledger.registers.sharing.duties import BREACHES, Breach
from ledger.registers.sharing.queries import terms
from nodes.gateway import forms, sharing_forms
from nodes.gateway import sharing_schemas as schemas
from nodes.gateway.asking import Limit, Node, member_of, page_path
from nodes.gateway.narrowed import narrowed
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems
from nodes.gateway.sharing_forms import grant_of, grant_status, owner_now, parties

router = APIRouter(prefix="/sharing", tags=["sharing"])

T = TypeVar("T", bound=Canonical)
P = TypeVar("P")

LIST_PROBLEMS = problems("not_found", "invalid_parameter", "index_behind", "index_unavailable")

Cursor = Annotated[str, Query(max_length=200, pattern="^[0-9A-Za-z/-]*$", description="from `next`")]
Department = Annotated[
    str | None, Query(max_length=40, description="requester, or owner then or now: `AY`, or its credit code")
]
DataItemId = Annotated[str | None, Query(max_length=80, description="id of a data item")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T, P]):
    """One list: which values it has, what they can be narrowed by, and how a page shows them."""

    kind: type[T]
    prefix: bytes
    """Of the state keys."""
    data_item: Callable[[NodeView, T], str]
    parties: Callable[[NodeView, T], Collection[str]]
    """Credit codes of the departments by which a value is found."""
    form: Callable[[NodeView, T], object]
    page: Callable[..., P]


REQUESTS = Listing(
    kind=values.Request,
    prefix=values.REQUESTS,
    data_item=lambda _, found: found.data_item,
    parties=parties,
    form=sharing_forms.request,
    page=schemas.RequestPage,
)
GRANTS = Listing(
    kind=values.Grant,
    prefix=values.GRANTS,
    data_item=lambda _, found: found.data_item,
    parties=parties,
    form=sharing_forms.grant,
    page=schemas.GrantPage,
)
DELIVERIES = Listing(
    kind=values.Delivery,
    prefix=values.DELIVERIES,
    data_item=lambda node, found: grant_of(node, found).data_item,
    parties=lambda node, found: parties(node, grant_of(node, found)),
    form=sharing_forms.delivery,
    page=schemas.DeliveryPage,
)
OBJECTIONS = Listing(
    kind=values.Objection,
    prefix=values.OBJECTIONS,
    data_item=lambda _, found: found.data_item,
    parties=lambda node, found: (found.objector, owner_now(node, found.data_item)),
    form=sharing_forms.objection,
    page=schemas.ObjectionPage,
)
LATE = Listing(
    kind=Breach,
    prefix=BREACHES,
    data_item=lambda _, found: found.data_item,
    parties=lambda _, found: (found.holder,),
    form=sharing_forms.breach,
    page=schemas.BreachPage,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What any list is asked: which page, and for which data item."""

    request: Request
    node: NodeView
    data_item: str | None
    cursor: str
    limit: int

    async def page(
        self, listing: Listing[T, P], department: str | None, keep: Callable[[T], bool], *, within: str = ""
    ) -> P:
        """Return the page with the values that are of the data item and the department and are kept.

        Args:
            within: As for `narrowed`.

        Raises:
            ProblemError: `not_found`: there is no such department; or as `ask`.
        """
        node = self.node
        member = None if department is None else member_of(node, department)

        def fits(value: T) -> bool:
            return (
                keep(value)
                and self.data_item in (None, listing.data_item(node, value))
                and (member is None or member in listing.parties(node, value))
            )

        found, last = await narrowed(
            node, listing.kind, listing.prefix, fits, cursor=self.cursor, limit=self.limit, within=within
        )
        return listing.page(
            items=[listing.form(node, value) for value in found],
            next=None if last is None else page_path(self.request, last),
            as_of=forms.head(node),
        )


def _asked(request: Request, node: Node, data_item: DataItemId = None, cursor: Cursor = "", limit: Limit = 50) -> Asked:
    return Asked(request, node, data_item, cursor, limit)


Listed = Annotated[Asked, Depends(_asked)]


@router.get(
    "/requests",
    operation_id="list_sharing_requests",
    summary="Requests for data, ascending by id",
    response_model=schemas.RequestPage,
    responses=LIST_PROBLEMS,
)
async def list_requests(
    asked: Listed,
    status: Annotated[schemas.RequestStatusName | None, Query()] = None,
    department: Department = None,
) -> schemas.RequestPage:
    """As of the last executed block. What waits has a `duty` with the deadline that runs."""
    return await asked.page(REQUESTS, department, lambda found: status in (None, found.status.value))


@router.get(
    "/requests/{name}",
    operation_id="get_sharing_request",
    summary="One request, with the grant that came of it",
    response_model=schemas.RequestCase,
    responses=problems("not_found", "invalid_parameter"),
)
async def get_request(name: Annotated[str, Path(max_length=80)], node: Node) -> schemas.RequestCase:
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
    responses=LIST_PROBLEMS,
)
async def list_grants(
    asked: Listed,
    status: Annotated[schemas.GrantStatusName | None, Query()] = None,
    department: Department = None,
) -> schemas.GrantPage:
    """As of the last executed block. A grant has expired once the block's day is later than its last day."""
    return await asked.page(GRANTS, department, lambda found: status in (None, grant_status(asked.node, found)))


@router.get(
    "/deliveries",
    operation_id="list_sharing_deliveries",
    summary="Deliveries, ascending by grant and number",
    response_model=schemas.DeliveryPage,
    responses=LIST_PROBLEMS,
)
async def list_deliveries(
    asked: Listed,
    grant: Annotated[str | None, Query(max_length=80, pattern="^[0-9A-Z-]+$")] = None,
    status: Annotated[schemas.DeliveryStatusName | None, Query()] = None,
    department: Department = None,
) -> schemas.DeliveryPage:
    """As of the last executed block. The rows themselves are nowhere on the ledger."""
    within = "" if grant is None else f"{grant}/"
    return await asked.page(DELIVERIES, department, lambda found: status in (None, found.status.value), within=within)


@router.get(
    "/objections",
    operation_id="list_sharing_objections",
    summary="Objections, ascending by id",
    response_model=schemas.ObjectionPage,
    responses=LIST_PROBLEMS,
)
async def list_objections(
    asked: Listed,
    status: Annotated[schemas.ObjectionStatusName | None, Query()] = None,
    department: Annotated[str | None, Query(max_length=40, description="who objected, or owns the data item")] = None,
) -> schemas.ObjectionPage:
    """As of the last executed block."""
    return await asked.page(OBJECTIONS, department, lambda found: status in (None, found.status.value))


@router.get(
    "/breaches",
    operation_id="list_sharing_breaches",
    summary="Who did not do what in time, in the order of the deadlines",
    response_model=schemas.BreachPage,
    responses=LIST_PROBLEMS,
)
async def list_breaches(
    asked: Listed,
    open_only: Annotated[bool, Query(alias="open", description="only those that are not cured")] = False,
    department: Annotated[str | None, Query(max_length=40, description="who was late")] = None,
) -> schemas.BreachPage:
    """As of the last executed block: a deadline that has passed since is a breach in the next one."""
    return await asked.page(LATE, department, lambda found: not (open_only and found.cured_height))


@router.get(
    "/terms",
    operation_id="get_sharing_terms",
    summary="How long each step of sharing may take",
    response_model=schemas.TermsForm,
    responses=problems(),
)
async def get_terms(node: Node) -> schemas.TermsForm:
    """In working days of the network's calendar, but for days of idleness and months of a grant."""
    told: dict[str, Any] = forms.readable(terms(node.state))
    return schemas.TermsForm(**told)
