"""Departments' databases and what is fetched from them: tables as published, plans that can be carried out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scenarios.beijing.catalogue import table_record
from scenarios.beijing.city_files import load_city
from scenarios.beijing.sharing.real_data import FETCHES_MAX, RealData
from scenarios.beijing.sharing.rows import MadeUpData
from scenarios.simulator.streams import Streams

START_MS = int(datetime(2025, 9, 15, 17, tzinfo=UTC).timestamp() * 1000)
"""One in the morning of the next day, at UTC+8."""


def test_a_database_has_the_rows_of_every_table(tmp_path: Path) -> None:
    """Under the names that the catalogue has, as the virtual deliveries seal them."""
    city = load_city().first(4)
    tables = RealData(city, 5).fill("AY", tmp_path / "department.db")
    own = [item for item in city.data_items if city.owner_of(item.responsibility).code == "AY"]
    assert tables == {table_record(city, item).id: table_record(city, item).name for item in own}
    made_up = MadeUpData(city, Streams(5))
    with closing(sqlite3.connect(tmp_path / "department.db")) as database:
        for item in own:
            rows = database.execute(f'SELECT * FROM "{table_record(city, item).name}" ORDER BY rowid').fetchall()
            assert rows == list(made_up.rows(item.id))


@pytest.mark.parametrize("departments", [2, 4, 53])
def test_fetches_can_be_carried_out(departments: int) -> None:
    """Between departments with nodes, of unconditional items, each item and each requester once, nobody from itself."""
    city = load_city().first(departments)
    planned = RealData(city, 3).fetches(START_MS)
    nodes = {row.code for row in city.validators}
    items = {item.id: item for item in city.data_items}
    assert 0 < len(planned) <= FETCHES_MAX
    assert departments < 53 or len(planned) == FETCHES_MAX
    for fetch in planned:
        item = items[fetch.request.data_item]
        assert {fetch.requester, fetch.provider} <= nodes
        assert fetch.requester != fetch.provider == city.owner_of(item.responsibility).code
        assert item.sharing_type == 1
        assert fetch.request.last_day == "2025-10-16"
    assert len({fetch.requester for fetch in planned}) == len({fetch.request.data_item for fetch in planned})
    assert len({fetch.requester for fetch in planned}) == len(planned)


def test_the_seed_decides() -> None:
    """Who fetches what; another seed, another plan."""
    city = load_city()
    assert RealData(city, 3).fetches(START_MS) == RealData(city, 3).fetches(START_MS)
    assert RealData(city, 3).fetches(START_MS) != RealData(city, 4).fetches(START_MS)
