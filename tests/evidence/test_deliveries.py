"""Whether data fetched from node to node are those that were granted: every difference is found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from scenarios.evidence import deliveries
from scenarios.evidence.deliveries import Fetched, check_fetched
from scenarios.evidence.forms import EvidenceError
from scenarios.evidence.journal import Journal
from scenarios.evidence.records import RecordOnLedger

OWNER, REQUESTER = "11110000A00000230N", "11110000000021003G"
COMMITMENT, SEALED, SCHEMA = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
COLUMNS = (
    ("column", 1, "c01_number", "VARCHAR", 32, "number"),
    ("column", 1, "c02_name", "VARCHAR", 200, "name"),
    ("column", 1, "c03_code", "VARCHAR", 6, "district code"),
)
ROWS = [("P-1", "样例1", "110101"), ("P-2", "样例2", "110102"), ("P-3", "样例3", "110101")]
JOURNAL = cast("Journal", None)
"""The records are given beside it."""


def statement(department: str, kind: str, *fields: Any, code: int = 0) -> RecordOnLedger:
    """Return a record as it stands on the ledger."""
    return RecordOnLedger(1, 1, department, kind, code, (kind, 1, *fields))


def statements() -> dict[str, RecordOnLedger]:
    """Return what makes one delivery of two columns of one district's rows."""
    selection = (("sharing-condition", 1, "district code", ("110101",)),)
    fields = ("name", "number")
    return {
        "table": statement(
            OWNER, "directories.publish_table", "AY-01-D1-T1", 1, "AY-01-D1", None, "permits", COLUMNS, SCHEMA
        ),
        "request": statement(
            REQUESTER, "sharing.request", "AL-N1", "AY-01-D1", fields, selection, "", "", "file", 9, "", b"", None
        ),
        "deliver": statement(OWNER, "sharing.deliver", "AL-N1", 1, "AY-01-D1-T1", 2, 99, 1, COMMITMENT, SEALED, SCHEMA),
        "acknowledge": statement(REQUESTER, "sharing.acknowledge", "AL-N1", 1, COMMITMENT, SEALED),
    }


@pytest.fixture
def fetched(tmp_path: Path) -> Fetched:
    """A provider's database and what a requester has fetched from it."""
    with closing(sqlite3.connect(tmp_path / "department.db")) as database:
        database.execute("CREATE TABLE permits (c01_number, c02_name, c03_code)")
        database.executemany("INSERT INTO permits VALUES (?, ?, ?)", ROWS)
        database.commit()
    one = Fetched("AL-N1", 1, tmp_path / "AL-N1.jsonl", tmp_path / "department.db")
    write(one, [{"c02_name": "样例1", "c01_number": "P-1"}, {"c02_name": "样例3", "c01_number": "P-3"}])
    return one


def write(fetched: Fetched, rows: list[dict[str, str]]) -> None:
    """Write rows as the requester's node does."""
    fetched.output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def check(monkeypatch: pytest.MonkeyPatch, fetched: Fetched, records: dict[str, RecordOnLedger]) -> int:
    """Check a delivery on a ledger with these records."""
    monkeypatch.setattr(deliveries, "records_of", lambda _: iter(records.values()))
    return check_fetched(JOURNAL, [fetched])


def test_what_was_granted_is_what_came(monkeypatch: pytest.MonkeyPatch, fetched: Fetched) -> None:
    """Columns and rows of the grant, in the order of the provider's table."""
    assert check(monkeypatch, fetched, statements()) == 2


@pytest.mark.parametrize(
    "rows",
    [
        [{"c02_name": "样例1", "c01_number": "P-1"}],
        [{"c02_name": "样例1", "c01_number": "P-1"}, {"c02_name": "样例2", "c01_number": "P-2"}],
        [{"c02_name": "样例1", "c01_number": "P-1", "c03_code": "110101"}, {"c02_name": "样例3", "c01_number": "P-3"}],
        [{"c02_name": "样例1", "c01_number": "P-1"}] * 2,
    ],
    ids=["one lost", "of another district", "a column more", "one twice"],
)
def test_other_rows_are_found(monkeypatch: pytest.MonkeyPatch, fetched: Fetched, rows: list[dict[str, str]]) -> None:
    """Fewer, others, more of them, or one twice."""
    write(fetched, rows)
    with pytest.raises(EvidenceError, match="rows came that are not the 2 granted ones"):
        check(monkeypatch, fetched, statements())


SPOILT: dict[str, tuple[Callable[[dict[str, RecordOnLedger]], Any], str]] = {
    "nobody acknowledged": (lambda ledger: ledger.pop("acknowledge"), "is not on the ledger"),
    "the acknowledgement was refused": (
        lambda ledger: ledger.update(acknowledge=replace(ledger["acknowledge"], code=140)),
        "is not on the ledger",
    ),
    "another commitment": (
        lambda ledger: ledger.update(
            acknowledge=statement(REQUESTER, "sharing.acknowledge", "AL-N1", 1, SEALED, SEALED)
        ),
        "not what was stated",
    ),
    "somebody else acknowledged": (
        lambda ledger: ledger.update(acknowledge=replace(ledger["acknowledge"], department=OWNER)),
        "acknowledged what",
    ),
    "somebody else delivered": (
        lambda ledger: ledger.update(deliver=replace(ledger["deliver"], department=REQUESTER)),
        "which it has not published",
    ),
    "more rows stated than came": (
        lambda ledger: ledger.update(
            deliver=statement(OWNER, "sharing.deliver", "AL-N1", 1, "AY-01-D1-T1", 3, 99, 1, COMMITMENT, SEALED, SCHEMA)
        ),
        "3 rows were stated, 2 came",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_other_statements_are_found(monkeypatch: pytest.MonkeyPatch, fetched: Fetched, spoilt: str) -> None:
    """Whatever both departments have signed must be about this delivery."""
    spoil, message = SPOILT[spoilt]
    records = statements()
    spoil(records)
    with pytest.raises(EvidenceError, match=message):
        check(monkeypatch, fetched, records)
