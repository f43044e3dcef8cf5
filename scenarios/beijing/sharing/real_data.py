"""Departments' databases with made-up rows, and what some departments fetch from those of others by the real exchange.

The story's own deliveries are sealed by the driver, so that they can be late or wrong on purpose. Those here are made
by the nodes themselves: read from SQLite, sealed, stated, fetched over TLS, checked, acknowledged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ledger.members.departments import PROVIDER, REGISTRAR
from ledger.registers.sharing.records import RequestSharing
from ledger.registers.sharing.values import Condition
from scenarios.beijing.catalogue import data_item_record, table_record
from scenarios.beijing.city import City, DataItemRow, DepartmentRow
from scenarios.beijing.sharing.deliveries import KEY_BYTES
from scenarios.beijing.sharing.desk import PURPOSES
from scenarios.beijing.sharing.rows import MadeUpData
from scenarios.simulator.streams import Stream, Streams
from scenarios.story import PlannedFetch

FETCHES_MAX = 12
"""Enough to see departments of all kinds; each takes two rounds of consensus."""

GRANTED_DAYS = 30
VOLUME_MAX = 100_000
SELECTED, ASKED = 400, 700
"""In permille: fetches for some districts alone, and fields that are asked for beside the first."""
DISTRICTS = 4

_UNCONDITIONAL = 1


@dataclass(frozen=True)
class RealData:
    """The rows of every department, the same for the same seed, and who fetches which."""

    city: City
    seed: int

    def fill(self, code: str, path: Path) -> Mapping[str, str]:
        """Make a department's database at `path`; return the names of its tables there, by id in the catalogue."""
        data = MadeUpData(self.city, Streams(self.seed))
        tables = {}
        with closing(sqlite3.connect(path)) as database:
            # Readers and the department's own writer do not wait for each other then.
            database.execute("PRAGMA journal_mode = WAL")
            for item in self._items_of(code):
                table = table_record(self.city, item)
                columns = ", ".join(
                    f'"{column.name}" {column.type}' + ("" if column.length is None else f"({column.length})")
                    for column in table.columns
                )
                database.execute(f'CREATE TABLE "{table.name}" ({columns})')
                places = ", ".join("?" * len(table.columns))
                database.executemany(f'INSERT INTO "{table.name}" VALUES ({places})', data.rows(item.id))
                tables[table.id] = table.name
            database.commit()
        return tables

    def fetches(self, start_ms: int) -> Sequence[PlannedFetch]:
        """Return what is fetched in a run that starts at this Unix time: each item and each requester once at most."""
        draws = Streams(self.seed).named("real data")
        last_day = self._last_day(start_ms)
        requesters = draws.shuffled([row for row in self.city.validators if row.roles & _MAY_REQUEST])
        owners = {item: self.city.owner_of(item.responsibility) for item in self.city.data_items}
        left = [item for item, owner in owners.items() if item.sharing_type == _UNCONDITIONAL and owner in requesters]
        planned = []
        for requester in requesters[:FETCHES_MAX]:
            foreign = [item for item in left if owners[item] is not requester]
            if not foreign:
                continue
            item = draws.choice(foreign)
            left.remove(item)
            request = self._request(requester, item, last_day, draws)
            planned.append(PlannedFetch(requester=requester.code, provider=owners[item].code, request=request))
        return planned

    def _request(self, requester: DepartmentRow, item: DataItemRow, last_day: str, draws: Stream) -> RequestSharing:
        names = [one.name for one in data_item_record(self.city, item, 1).metadata.information_items]
        selection: tuple[Condition, ...] = ()
        if draws.chance(SELECTED):
            district = next(name for name in names if name.endswith("district code"))
            values = tuple(sorted(row.code for row in draws.shuffled(self.city.districts)[:DISTRICTS]))
            selection = (Condition(information_item=district, values=values),)
        return RequestSharing(
            id=f"{requester.code}-N1",
            data_item=item.id,
            fields=(names[0], *(name for name in names[1:] if draws.chance(ASKED))),
            selection=selection,
            purpose=draws.choice(PURPOSES),
            legal_basis="",
            mode=item.mode,
            volume_max=VOLUME_MAX,
            last_day=last_day,
            # Its requester's node tells the key once it runs.
            recipient_key=bytes(KEY_BYTES),
            renews=None,
        )

    def _last_day(self, start_ms: int) -> str:
        zone = timezone(timedelta(hours=self.city.workload.utc_offset_hours))
        return (datetime.fromtimestamp(start_ms / 1000, zone).date() + timedelta(days=GRANTED_DAYS)).isoformat()

    def _items_of(self, code: str) -> Iterator[DataItemRow]:
        return (row for row in self.city.data_items if self.city.owner_of(row.responsibility).code == code)


_MAY_REQUEST = frozenset({"department", PROVIDER, REGISTRAR})
