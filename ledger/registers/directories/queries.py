"""What can be asked of the directories. Queries walk over a register; they are not for rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.registers.catalogue import DATA_ITEMS, TABLES, DataItem, Table, data_item_key
from ledger.registers.reader import Reader
from ledger.registers.shared import Responsibility, responsibility_key


@dataclass(frozen=True, slots=True)
class Orphans:
    """What has lost what it rested on, and is still there. Ids in ascending order."""

    data_items: tuple[str, ...]
    """Not withdrawn, but none of their responsibilities counts any more."""
    tables: tuple[str, ...]
    """Not withdrawn, but their data item is."""


def orphans(reader: Reader) -> Orphans:
    """Return everything that must be published anew under something that counts, or withdrawn."""
    return Orphans(
        data_items=tuple(
            item.id for item in data_items(reader) if not item.withdrawn_height and not _rests(item, reader)
        ),
        tables=tuple(table.id for table in tables(reader) if not table.withdrawn_height and _stranded(table, reader)),
    )


def data_items(reader: Reader) -> Iterator[DataItem]:
    """Yield all data items, ascending by id."""
    for _, value in reader.items(DATA_ITEMS):
        assert isinstance(value, DataItem)
        yield value


def tables(reader: Reader) -> Iterator[Table]:
    """Yield all tables, ascending by id."""
    for _, value in reader.items(TABLES):
        assert isinstance(value, Table)
        yield value


def _rests(item: DataItem, reader: Reader) -> bool:
    found = (reader.get(responsibility_key(name), Responsibility) for name in item.responsibilities)
    return any(responsibility is not None and responsibility.counts for responsibility in found)


def _stranded(table: Table, reader: Reader) -> bool:
    item = reader.get(data_item_key(table.data_item), DataItem)
    return item is None or bool(item.withdrawn_height)
