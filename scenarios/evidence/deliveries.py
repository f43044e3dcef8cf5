"""Whether what one node has fetched from another is what was granted: read from files and the journal alone.

The grant's words are those of the request on the ledger, the columns those of the published table; the rows that should
have come are read from the provider's database by a plain query.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.evidence.forms import EvidenceError
from scenarios.evidence.journal import Journal
from scenarios.evidence.records import ACCEPTED, RecordOnLedger, records_of

_TAG_AND_VERSION = 2


@dataclass(frozen=True, slots=True)
class Fetched:
    """One delivery from node to node."""

    grant: str
    number: int
    output: Path
    """JSON lines, as the requester's node wrote them."""
    database: Path
    """SQLite, as the provider's node read it."""


def check_fetched(journal: Journal, fetched: Iterable[Fetched]) -> int:
    """Check all deliveries; return how many rows they have together.

    Raises:
        EvidenceError: Something was delivered that differs from what was granted, stated or acknowledged.
    """
    ledger = _Statements(journal)
    return sum(_check(ledger, one) for one in fetched)


class _Statements:
    """The accepted records about sharing, by what they are about."""

    def __init__(self, journal: Journal) -> None:
        accepted = [record for record in records_of(journal) if record.code == ACCEPTED]
        self.requests = {one.parts[2]: one for one in accepted if one.kind == "sharing.request"}
        self.tables = {one.parts[2]: one for one in accepted if one.kind == "directories.publish_table"}
        self.deliveries = {one.parts[2:4]: one for one in accepted if one.kind == "sharing.deliver"}
        self.acknowledgements = {one.parts[2:4]: one for one in accepted if one.kind == "sharing.acknowledge"}


def _check(ledger: _Statements, fetched: Fetched) -> int:
    name = f"delivery {fetched.number} under {fetched.grant}"
    place = (fetched.grant, fetched.number)
    request, delivery = ledger.requests.get(fetched.grant), ledger.deliveries.get(place)
    acknowledgement = ledger.acknowledgements.get(place)
    if request is None or delivery is None or acknowledgement is None:
        raise EvidenceError(f"{name}: request, statement or acknowledgement is not on the ledger")
    _, _, table, rows, _, _, commitment, sealed, _ = _fields(delivery)
    if _fields(acknowledgement)[2:] != (commitment, sealed):
        raise EvidenceError(f"{name}: what was acknowledged is not what was stated")
    if acknowledgement.department != request.department:
        raise EvidenceError(f"{name}: {acknowledgement.department} acknowledged what {request.department} asked for")
    if table not in ledger.tables or ledger.tables[table].department != delivery.department:
        raise EvidenceError(f"{name}: {delivery.department} delivered from {table}, which it has not published")
    received = [json.loads(line) for line in fetched.output.read_text(encoding="utf-8").splitlines()]
    granted = _granted_rows(request, ledger.tables[table], fetched.database)
    if received != granted:
        raise EvidenceError(f"{name}: {len(received)} rows came that are not the {len(granted)} granted ones")
    if rows != len(received):
        raise EvidenceError(f"{name}: {rows} rows were stated, {len(received)} came")
    return len(received)


def _granted_rows(request: RecordOnLedger, table: RecordOnLedger, database: Path) -> list[dict[str, Any]]:
    """Return what the provider's database has of the granted fields and rows, each row by the names of its columns."""
    _, _, fields, selection, *_ = _fields(request)
    _, _, _, _, physical, columns, _ = _fields(table)
    holding = {column[_TAG_AND_VERSION + 3]: column[_TAG_AND_VERSION] for column in columns}
    conditions = [condition[_TAG_AND_VERSION:] for condition in selection]
    names = [holding[field] for field in fields]
    where = " AND ".join(f'"{holding[item]}" IN ({", ".join("?" * len(values))})' for item, values in conditions)
    query = f'SELECT {", ".join(map(_quoted, names))} FROM "{physical}" WHERE {where or "1"} ORDER BY rowid'
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(query, [value for _, values in conditions for value in values]).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _quoted(name: str) -> str:
    return f'"{name}"'


def _fields(record: RecordOnLedger) -> Sequence[Any]:
    return record.parts[_TAG_AND_VERSION:]
