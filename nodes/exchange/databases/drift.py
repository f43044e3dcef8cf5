"""Whether a table of the database is still what the catalogue says it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.errors import NotYetError
from ledger.identifiers import Digest
from ledger.registers.catalogue import Column, schema_hash
from nodes.exchange.databases.columns import columns_with_items


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a table differs from its entry in the catalogue. A column that was renamed is one removed and one added."""

    expected: Digest
    """`schema_hash` of the catalogue's entry."""
    observed: Digest
    """`schema_hash` of what is there, with the information items of the columns that have kept their names."""
    added: tuple[Column, ...]
    removed: tuple[Column, ...]
    changed: tuple[tuple[Column, Column], ...]
    """Same name, another type or length: as in the catalogue, and as found."""
    reordered: bool
    """The columns that are in both stand in another order."""

    def __str__(self) -> str:
        parts = [
            *(f"{_written(column)} was added" for column in self.added),
            *(f"{_written(column)} was removed" for column in self.removed),
            *(f"{_written(was)} became {_type_of(found)}" for was, found in self.changed),
            *(["the order of the columns changed"] if self.reordered else []),
        ]
        return "; ".join(parts)


class SchemaDriftedError(NotYetError):
    """A table is not as the catalogue says: nothing is delivered from it until they agree again."""

    code = "schema_drifted"

    def __init__(self, table: str, drift: Drift) -> None:
        super().__init__(f"{table!r} differs from the catalogue: {drift}; publish the table anew, or change it back")
        self.table, self.drift = table, drift


def drift_between(entry: Iterable[Column], found: Iterable[Column]) -> Drift | None:
    """Return how `found`, from `Database.describe`, differs from the columns of the catalogue's entry, or None."""
    entry = tuple(entry)
    found = columns_with_items(found, {column.name: column.information_item for column in entry})
    expected, observed = schema_hash(entry), schema_hash(found)
    if expected == observed:
        return None
    was, now = {column.name: column for column in entry}, {column.name: column for column in found}
    return Drift(
        expected=expected,
        observed=observed,
        added=tuple(column for column in found if column.name not in was),
        removed=tuple(column for column in entry if column.name not in now),
        changed=tuple((was[name], now[name]) for name in was if name in now and was[name] != now[name]),
        reordered=[name for name in was if name in now] != [name for name in now if name in was],
    )


def check_schema(table: str, entry: Iterable[Column], found: Iterable[Column]) -> None:
    """Check that a table is what the catalogue says.

    Raises:
        SchemaDriftedError: It is not.
    """
    if (drift := drift_between(entry, found)) is not None:
        raise SchemaDriftedError(table, drift)


def _written(column: Column) -> str:
    return f"{column.name!r} {_type_of(column)}"


def _type_of(column: Column) -> str:
    return column.type if column.length is None else f"{column.type}({column.length})"
