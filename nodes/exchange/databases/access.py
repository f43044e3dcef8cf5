"""From the catalogue's words to the database's: a grant speaks of information items, a query of columns."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.registers.catalogue import Table
from nodes.exchange.databases.database import Condition, GrantedAccess
from nodes.exchange.databases.errors import FieldNotHeldError

DeclaredCondition = tuple[str, tuple[str, ...]]
"""Name of an information item, and the values it may have, as a grant declares them."""


def granted_access(
    entry: Table, physical: str, *, grant: str, fields: Iterable[str], conditions: Iterable[DeclaredCondition] = ()
) -> GrantedAccess:
    """Return what a grant opens of a table.

    Args:
        entry: The table as the ledger has it.
        physical: Its name in the database, from `Binding.table`.
        fields: Names of the granted information items. Every column that holds one of them is granted.

    Raises:
        FieldNotHeldError: No column holds a field, or not exactly one a condition's item.
    """
    return GrantedAccess(
        grant=grant,
        table=physical,
        schema=entry.columns,
        columns=columns_of(entry, fields),
        conditions=conditions_of(entry, conditions),
    )


def columns_of(entry: Table, fields: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the columns that hold `fields`, in the order of the fields.

    Raises:
        FieldNotHeldError: No column holds one of them.
    """
    found: dict[str, None] = {}
    for field in fields:
        columns = _holding(entry, field)
        if not columns:
            raise FieldNotHeldError(entry.id, columns=0, held=_held(entry))
        found |= dict.fromkeys(columns)
    return tuple(found)


def conditions_of(entry: Table, declared: Iterable[DeclaredCondition]) -> tuple[Condition, ...]:
    """Return declared conditions as conditions on columns.

    Raises:
        FieldNotHeldError: An item is in no column, or in several, so that it does not say which one is meant.
    """
    conditions = []
    for item, values in declared:
        columns = _holding(entry, item)
        if len(columns) != 1:
            raise FieldNotHeldError(entry.id, columns=len(columns), held=_held(entry))
        conditions.append(Condition(columns[0], values))
    return tuple(conditions)


def _holding(entry: Table, item: str) -> list[str]:
    # Columns without an information item have an empty one, and nobody is granted those.
    return [column.name for column in entry.columns if item and column.information_item == item]


def _held(entry: Table) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.information_item for column in entry.columns if column.information_item))
