"""The ledger as the exchange sees it, and what it says of a grant."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from ledger.blocks.record import Record
from ledger.errors import InvariantBrokenError
from ledger.identifiers import ChainId, CreditCode
from ledger.members.calendar import format_day
from ledger.registers.catalogue import DataItem, Table, data_item_key, table_key
from ledger.registers.ownership import owner_of
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.values import (
    Delivery,
    Drift,
    Grant,
    GrantStatus,
    delivery_key,
    drift_key,
    grant_key,
)
from ledger.state.store import State
from nodes.exchange.errors import StatementRefusedError

T = TypeVar("T")


class Ledger(Protocol):
    """A member of the network, seen by one department's exchange. Every call may be made from any thread of its own."""

    @property
    def me(self) -> CreditCode:
        """The department whose node this is."""

    @property
    def chain(self) -> ChainId:
        """The network's id."""

    def ask(self, question: Callable[[State], T]) -> T:
        """Return what `question` makes of the state as of the last executed block."""

    def tell(self, record: Record) -> None:
        """Put a record on the ledger, signed by this department, and return once it has its receipt.

        Raises:
            StatementRefusedError: It has, and was refused.
            OutcomeUnknownError: Nothing was heard of it in time; it may still come to be executed.
            NotYetError: This node cannot take it now.
        """

    def wait_until(self, condition: Callable[[State], bool]) -> bool:
        """Wait until `condition` holds of the state, within bounds; return whether it came to hold."""


class GrantView(NamedTuple):
    """A grant, and who owns its data item now."""

    grant: Grant
    owner: str


def usable_grant(state: State, name: str, *, requester: str) -> GrantView:
    """Return the grant, under which `requester` may be delivered to as of the last block.

    A successor of the requester, who may speak for it on the ledger, gets nothing here: what is delivered opens with
    the key that the grant names, and that one the successor has not.

    Raises:
        StatementRefusedError: Not so; with the code that the ledger has for it.
    """
    grant = state.get(grant_key(name), Grant)
    if grant is None:
        raise StatementRefusedError(SharingRefusal.UNKNOWN_GRANT)
    if grant.requester != requester:
        raise StatementRefusedError(SharingRefusal.NOT_THE_REQUESTER)
    if grant.status is not GrantStatus.LIVE:
        raise StatementRefusedError(SharingRefusal.GRANT_ENDED)
    if _is_over(state, grant):
        raise StatementRefusedError(SharingRefusal.GRANT_EXPIRED)
    return GrantView(grant, owner_of_grant(state, grant))


def has_ended(state: State, name: str) -> bool:
    """Return whether nothing can be delivered under a grant any more, whoever asks.

    A grant that is not in the state has not: no grant ever leaves it, so this node has not heard of it again yet.
    """
    grant = state.get(grant_key(name), Grant)
    return grant is not None and (grant.status is not GrantStatus.LIVE or _is_over(state, grant))


def _is_over(state: State, grant: Grant) -> bool:
    # Days in this spelling sort as they follow each other.
    return grant.last_day < format_day(state.calendar.day_at(state.time_ms))


def owner_of_grant(state: State, grant: Grant) -> str:
    """Return who delivers under a grant now: the owner of its data item."""
    item = state.get(data_item_key(grant.data_item), DataItem)
    if item is None:
        raise InvariantBrokenError(f"grant {grant.id} is of {grant.data_item}, which was never published")
    return owner_of(item, state)


def published_table(state: State, name: str) -> Table | None:
    """Return a table of the catalogue that was not withdrawn, or None."""
    table = state.get(table_key(name), Table)
    return None if table is None or table.withdrawn_height else table


def reported_drift(state: State, name: str) -> Drift | None:
    """Return what was last reported of a table's schema, or None."""
    return state.get(drift_key(name), Drift)


def delivery_of(state: State, grant: str, number: int) -> Delivery | None:
    """Return a delivery, or None."""
    return state.get(delivery_key(grant, number), Delivery)
