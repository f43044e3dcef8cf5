"""What can be asked of the directories. Queries walk over a register; they are not for rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.registers.catalogue import DATA_ITEMS, TABLES, DataItem, Table, data_item_key
from ledger.registers.directories.values import SYSTEMS, System
from ledger.registers.ownership import ground, has_ended, owner_of
from ledger.registers.reader import Reader
from ledger.registers.shared import RESPONSIBILITIES, Responsibility


@dataclass(frozen=True, slots=True)
class Orphans:
    """What has lost what it rested on, and is still there. Ids in ascending order."""

    responsibilities: tuple[str, ...]
    """Not withdrawn, but their department has ended and none took them over."""
    data_items: tuple[str, ...]
    """Not withdrawn, but none of their responsibilities counts any more, or their owner has ended."""
    tables: tuple[str, ...]
    """Not withdrawn, but their data item is, or their owner has ended."""
    systems: tuple[str, ...]
    """Their owner has ended, and no successor has published them since."""


def orphans(reader: Reader) -> Orphans:
    """Return everything that must be published anew under something that counts, passed on, or withdrawn."""
    return Orphans(
        responsibilities=tuple(
            responsibility.id
            for responsibility in responsibilities(reader)
            if not responsibility.withdrawn_height and has_ended(responsibility.department, reader)
        ),
        data_items=tuple(
            item.id for item in data_items(reader) if not item.withdrawn_height and not _rests(item, reader)
        ),
        tables=tuple(table.id for table in tables(reader) if not table.withdrawn_height and _stranded(table, reader)),
        systems=tuple(system.id for system in systems(reader) if has_ended(system.owner, reader)),
    )


def responsibilities(reader: Reader) -> Iterator[Responsibility]:
    """Yield all responsibilities, ascending by id."""
    for _, value in reader.items(RESPONSIBILITIES):
        assert isinstance(value, Responsibility)
        yield value


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


def systems(reader: Reader) -> Iterator[System]:
    """Yield all systems, ascending by id."""
    for _, value in reader.items(SYSTEMS):
        assert isinstance(value, System)
        yield value


def _rests(item: DataItem, reader: Reader) -> bool:
    return any(ground(name, reader).counts for name in item.responsibilities) and not has_ended(
        owner_of(item, reader), reader
    )


def _stranded(table: Table, reader: Reader) -> bool:
    item = reader.get(data_item_key(table.data_item), DataItem)
    return item is None or bool(item.withdrawn_height) or has_ended(owner_of(item, reader), reader)
