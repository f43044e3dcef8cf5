"""Columns of a real table in the form of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ledger.registers.catalogue import Column


def described_column(name: str, kind: str) -> Column:
    """Return a column as the catalogue writes it, not yet said which information item it holds.

    Args:
        kind: Type as the database writes it. `VARCHAR(20)` becomes a type and a length. `DECIMAL(10,2)` and
            `timestamp(3) without time zone` stay as they are, so that a change of any figure in them is a drift.
    """
    length = None
    if sized := re.fullmatch(r"([^()]+?) ?\( ?([1-9][0-9]{0,8}) ?\)", kind):
        kind, length = sized[1], int(sized[2])
    return Column(name=name, type=kind, length=length, information_item="")


def columns_with_items(found: Iterable[Column], items: Mapping[str, str]) -> tuple[Column, ...]:
    """Return what `Database.describe` found as the columns of a table entry, ready to be published.

    Args:
        items: Name of the information item that a column holds, by the column's name.
    """
    return tuple(
        Column(name=column.name, type=column.type, length=column.length, information_item=items.get(column.name, ""))
        for column in found
    )
