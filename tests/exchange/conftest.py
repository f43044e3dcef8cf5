"""Departments' databases for the tests of the exchange."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from nodes.exchange.databases import Binding, Row, SqliteBinding, open_database
from tests.exchange.departments_database import PERMITS, Department

CREATE = """CREATE TABLE permits (
    id INTEGER PRIMARY KEY, permit_no VARCHAR(20), holder VARCHAR(100), district VARCHAR(20), floors INTEGER, phone TEXT
)"""


@pytest.fixture
def sqlite_department(tmp_path: Path) -> Iterator[Department]:
    """A department with its permits in SQLite."""
    path = tmp_path / "permits.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as owner:

        def fill(table: str, rows: Iterable[Row]) -> None:
            owner.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(PERMITS[0]))})', rows)

        owner.execute("PRAGMA journal_mode = WAL")
        owner.execute(CREATE)
        fill("permits", PERMITS)
        binding = Binding(format=1, database=SqliteBinding(str(path)), tables={"AY-01-D1-T1": "permits"})
        yield Department(open_database(binding), owner.execute, fill)


@pytest.fixture
def department(sqlite_department: Department) -> Department:
    """A department with its permits in each product there is."""
    return sqlite_department
