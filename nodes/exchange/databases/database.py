"""What the exchange asks of a department's database, whichever it is."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from ledger.content import Row
from ledger.registers.catalogue import Column
from nodes.exchange.databases.errors import ColumnNotGrantedError

CONDITION_VALUES_MAX = 10_000
"""Values in one condition. SQLite takes 32,766 parameters in a statement, PostgreSQL 65,535."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Only rows whose `column` is one of `values`. Rows without a value in that column never are."""

    column: str
    values: tuple[str, ...]
    """In the text form that the database reads as a value of the column's type; at least one."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= CONDITION_VALUES_MAX:
            raise ValueError(f"a condition has 1 to {CONDITION_VALUES_MAX} values, not {len(self.values)}")
        if any("\0" in value for value in self.values):
            raise ValueError("a value has U+0000, which PostgreSQL cannot hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedAccess:
    """The part of one physical table that a grant opens. `nodes.exchange.databases.access` makes it."""

    grant: str
    """Id of the grant on the ledger."""
    table: str
    """Name of the physical table, as the binding gives it."""
    schema: tuple[Column, ...]
    """The table's columns as the catalogue has them. Nothing is read from a table that has others."""
    columns: tuple[str, ...]
    """Names of the granted ones among them."""
    conditions: tuple[Condition, ...] = ()
    """Every one must hold of a row. Their columns need not be granted."""

    def __post_init__(self) -> None:
        known = {column.name for column in self.schema}
        _check_distinct(self.columns)
        if unknown := [name for name in (*self.columns, *_columns_of(self.conditions)) if name not in known]:
            raise ValueError(f"{self.table!r} has no columns {unknown}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedQuery:
    """A question within a grant: some of its columns, and of its rows those that `selection` leaves.

    Raises:
        ColumnNotGrantedError: A column to be delivered, or one that the selection compares, is not granted. What
            cannot be read must not be asked about either: the rows that come back would tell.
    """

    access: GrantedAccess
    columns: tuple[str, ...]
    """In the order of delivery."""
    selection: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        _check_distinct(self.columns)
        asked = dict.fromkeys((*self.columns, *_columns_of(self.selection)))
        if beyond := tuple(name for name in asked if name not in self.access.columns):
            raise ColumnNotGrantedError(self.access.grant, beyond)


def _columns_of(conditions: Iterable[Condition]) -> list[str]:
    return [condition.column for condition in conditions]


def _check_distinct(columns: tuple[str, ...]) -> None:
    if not columns or len(set(columns)) != len(columns):
        raise ValueError(f"at least one column, and none twice: {columns}")


class Database(Protocol):
    """One department's database. Every call blocks, may be made from any thread, and opens and ends its own session.

    Besides what a method names, all of them raise `DatabaseUnavailableError` and `DatabaseBusyError`, and those that
    take a table, an access or a query `TableMissingError`.
    """

    def describe(self, table: str) -> tuple[Column, ...]:
        """Return the columns of a physical table, in its order, with no information items.

        `nodes.exchange.databases.drift` compares them with the catalogue.
        """

    def enforce(self, access: GrantedAccess) -> None:
        """Have the database itself hold the limits of a grant. Doing it again changes nothing.

        Raises:
            SchemaDriftedError: The table is not as the catalogue says.
            NotEnforcedError: Something in the database would let a session for this grant see more or less.
            BadConditionError: A condition of the grant has a value that is none of its column's type.
        """

    def release(self, grant: str) -> None:
        """Take from the database what `enforce` put there for a grant. Doing it again changes nothing.

        When it returns no new session can read under the grant, and the same holds if it raises `DatabaseBusyError`:
        something without any right is left then, and the next call takes it away. A stream that already runs goes on;
        whoever reads it ends it.
        """

    def stream(self, query: GrantedQuery) -> Generator[list[Row], None, None]:
        """Yield the rows of a query in batches of about a mebibyte, all as of one moment, in bounded memory.

        The order is that of the primary key if the grant covers it, otherwise that in which the table lies on the
        disk, so that nothing is sorted by what is not granted; the same rows at the same places come in the same
        order. Close the generator, or read it to its end.

        Raises:
            SchemaDriftedError: The table is not as the catalogue says. Before the first row.
            NotEnforcedError: The database does not hold the limits of the grant: `enforce` it first. Before the first
                row.
            BadConditionError: The selection has a value that is none of its column's type.
            QueryFailedError: The database gave up; the batches so far are valid, the delivery is not.
        """

    def exists(self, query: GrantedQuery) -> bool:
        """Return whether `query` has any row. No value of a row leaves the database.

        Raises:
            As `stream`.
        """

    def close(self) -> None:
        """Give up what is held. No call comes after it."""
