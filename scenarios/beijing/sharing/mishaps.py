"""What goes wrong in a run that is long enough: who answers late, who is away, and whose deliveries are not as granted.

Shorter runs have none of it: there would be no time to see it mended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ledger.registers.catalogue import Column, schema_hash
from ledger.registers.directories.records import PublishTable
from ledger.registers.sharing.records import ReportDrift
from scenarios.beijing.catalogue import table_record
from scenarios.beijing.city import City, DataItemRow, DepartmentRow
from scenarios.beijing.drafts import Draft
from scenarios.beijing.sharing import habits
from scenarios.simulator.streams import Streams


class Spell(NamedTuple):
    """Some half-days that follow each other."""

    first: int
    last: int

    def holds(self, number: int) -> bool:
        """Return whether a half-day lies in it."""
        return self.first <= number <= self.last


class Drift(NamedTuple):
    """A table was changed in its database, and nobody had said so."""

    item: DataItemRow
    found: int
    """Half-day in which the provider's node notices."""
    published: int
    """Half-day in which the table is published as it is now."""


ABSENT_WORKING_DAYS = 2
DRIFT_WORKING_DAYS = 2
OVERDRAWN_MAX = 3
FRUITLESS_MAX = 2
BEYOND_MAX = 3


class Mishaps:
    """The mishaps of one run, drawn before it begins.

    Args:
        shifts: Half-days of the run.
    """

    def __init__(self, city: City, shifts: int, streams: Streams) -> None:
        draws = streams.named("mishaps")
        self._city = city
        self.absent: DepartmentRow | None = None
        """Whose node and databases are out of reach for two working days."""
        self.absence = Spell(-1, -1)
        self._late: frozenset[str] = frozenset()
        self._greedy = ""
        self._overdrawing = ""
        self._drift: Drift | None = None
        self._fruitless: set[int] = set()
        self._overdrawn = self._beyond = 0
        if shifts < habits.LONG_RUN:
            return
        quarter = shifts // 4 // habits.DAY * habits.DAY
        answering = _owners(city, [row for row in city.data_items if row.sharing_type == 2])
        self._late = frozenset(row.code for row in draws.shuffled(answering)[: habits.LATE_PROVIDERS])
        serving = _owners(city, city.data_items)
        # The directory authority's gateway speaks for those who have none, so it stays.
        staying = [row for row in serving if "directory_authority" not in row.roles]
        with_votes = len(city.validators)
        if with_votes - 1 >= with_votes * 2 // 3 + 1:
            self.absent = draws.choice(staying)
            self.absence = Spell(quarter, quarter + ABSENT_WORKING_DAYS * habits.DAY - 1)
        present = [row for row in staying if row is not self.absent]
        if len(present) >= 2:
            greedy, overdrawing = draws.shuffled(present)[:2]
            self._greedy, self._overdrawing = greedy.code, overdrawing.code
        popular = max(
            (row for row in city.data_items if row.sharing_type == 1),
            key=lambda row: city.owner_of(row.responsibility).data_sets,
            default=None,
        )
        if popular is not None:
            self._drift = Drift(popular, 2 * quarter, 2 * quarter + DRIFT_WORKING_DAYS * habits.DAY)

    def is_absent(self, code: str, number: int) -> bool:
        """Return whether a department is out of reach in a half-day."""
        return self.absent_in(number) == code

    def absent_in(self, number: int) -> str:
        """Return the short code of who is out of reach in a half-day, or nothing."""
        return self.absent.code if self.absent is not None and self.absence.holds(number) else ""

    def late_permille(self, code: str) -> int:
        """Return how many of a provider's answers in 1,000 come too late."""
        return habits.LATE_OF_LATE_PROVIDERS if code in self._late else habits.LATE

    def serves_beyond(self, code: str) -> bool:
        """Return whether a provider's next delivery has a column that was not granted, and count it."""
        if code != self._greedy or self._beyond >= BEYOND_MAX:
            return False
        self._beyond += 1
        return True

    def overdraws(self, code: str) -> bool:
        """Return whether a provider now states more rows than the grant has left, and count it."""
        if code != self._overdrawing or self._overdrawn >= OVERDRAWN_MAX:
            return False
        self._overdrawn += 1
        return True

    def blocks_delivery(self, item: DataItemRow, number: int) -> bool:
        """Return whether a data item's table is not as published."""
        drift = self._drift
        return drift is not None and drift.item is item and drift.found <= number <= drift.published

    def tries_in_vain(self, number: int) -> bool:
        """Return whether a provider states a delivery from the drifted table nevertheless: once in a half-day."""
        drift = self._drift
        assert drift is not None
        if not drift.found < number < drift.published or number in self._fruitless:
            return False
        if len(self._fruitless) >= FRUITLESS_MAX:
            return False
        self._fruitless.add(number)
        return True

    def table_of(self, item: DataItemRow, number: int) -> PublishTable:
        """Return how a data item's table is published in a half-day, or stands in the database if it has drifted."""
        table = table_record(self._city, item)
        drift = self._drift
        if drift is None or drift.item is not item or number <= drift.published:
            return table
        return _changed(table)

    def write(self, number: int, draft: Draft) -> None:
        """Write what a provider states of its own mishap."""
        drift = self._drift
        if drift is None:
            return
        owner = self._city.owner_of(drift.item.responsibility).code
        changed = _changed(table_record(self._city, drift.item))
        if number == drift.found:
            draft.add(owner, ReportDrift(table=changed.id, observed=changed.schema))
        elif number == drift.published:
            draft.add(owner, changed)


def _owners(city: City, items: Sequence[DataItemRow]) -> list[DepartmentRow]:
    """Return who has a node and owns one of the items, by rank."""
    owners = {city.owner_of(item.responsibility).code for item in items}
    return [row for row in city.validators if row.code in owners]


def _changed(table: PublishTable) -> PublishTable:
    """Return the table with a column more, in its next revision."""
    columns = (*table.columns, Column(name="c99_remark", type="VARCHAR", length=200, information_item=""))
    return replace(table, revision=table.revision + 1, columns=columns, schema=schema_hash(columns))
