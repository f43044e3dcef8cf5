"""Made-up rows of the departments' tables, the same for the same seed.

Nobody is in them: a subject is a random reference, a name is a number with a word before it.
"""

from __future__ import annotations

from datetime import date, timedelta

from ledger.registers.catalogue import InformationItem
from ledger.registers.directories.records import PublishTable
from scenarios.beijing.catalogue import data_item_record, table_record
from scenarios.beijing.city import City, DataItemRow
from scenarios.simulator.streams import Stream, Streams

Value = str | int | bool
Row = tuple[Value, ...]

ROWS_MIN = 20
"""Rows of the smallest table. A department with many data sets has as many rows in each of its tables."""

EPOCH = date(2020, 1, 1)
DAYS = 2_000
"""Dates lie within so many days after the epoch."""

SUBJECT_BYTES = 32


class MadeUpData:
    """Every department's tables, filled when they are first looked at."""

    def __init__(self, city: City, streams: Streams) -> None:
        self._city = city
        self._streams = streams
        self._items = {row.id: row for row in city.data_items}
        self._rows: dict[str, tuple[Row, ...]] = {}

    def columns(self, item: str) -> tuple[str, ...]:
        """Return the names of a data item's information items: the columns of its rows, in their order."""
        return tuple(information_item.name for information_item in self._information_items(item))

    def table(self, item: str) -> PublishTable:
        """Return how the table of a data item is published."""
        return table_record(self._city, self._items[item])

    def rows(self, item: str) -> tuple[Row, ...]:
        """Return all rows of a data item's table."""
        if item not in self._rows:
            self._rows[item] = self._fill(self._items[item])
        return self._rows[item]

    def _information_items(self, item: str) -> tuple[InformationItem, ...]:
        return data_item_record(self._city, self._items[item], 1).metadata.information_items

    def _fill(self, item: DataItemRow) -> tuple[Row, ...]:
        draws = self._streams.named("rows", item.id)
        count = max(ROWS_MIN, self._city.owner_of(item.responsibility).data_sets)
        kinds = self._information_items(item.id)
        return tuple(tuple(self._value(item, kind, number, draws) for kind in kinds) for number in range(1, count + 1))

    def _value(self, item: DataItemRow, kind: InformationItem, number: int, draws: Stream) -> Value:
        match kind.name.rpartition(" ")[2]:
            case "number":
                return f"{item.id}-{number:06}"
            case "name":
                return f"样例{item.name_zh}{number}"
            case "code":
                return draws.choice(self._city.districts).code
            case "reference":
                return draws.bytes(SUBJECT_BYTES).hex()
        match kind.type:
            case "D":
                return (EPOCH + timedelta(days=draws.below(DAYS))).isoformat()
            case "T":
                return f"{(EPOCH + timedelta(days=draws.below(DAYS))).isoformat()}T{draws.below(24):02}:00:00"
            case "L":
                return draws.chance(900)
            case "I" | "N" | "F":
                return draws.below(10_000)
            case "C":
                return f"{kind.name} {draws.below(1_000)}"
