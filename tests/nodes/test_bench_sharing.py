"""`mulu bench sharing`: what its report says, and that its figures come from what it claims to measure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import InvariantBrokenError
from nodes import cli
from nodes.measurements import deliveries, sharing
from nodes.measurements.deliveries import (
    POSTGRES,
    SQLITE,
    SQLITE_DRIVER,
    MeasuredDeliveries,
    sqlite_ways,
)
from nodes.measurements.granted_streams import COPY, CURSOR
from nodes.measurements.private_postgres import NoPostgresError
from nodes.measurements.sharing import as_text, measure_sharing
from scenarios.beijing.sharing.request_corpus import make_request_corpus

CORPUS = make_request_corpus(5, departments=2, requests=32)


def without_postgres() -> Path:
    """Stand for a machine that has no server."""
    raise NoPostgresError("the program `postgres` is not installed")


def test_every_way_has_its_figures(optional_tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Both databases with ratios to the plain ways, requests by stage, and nothing left in the directory."""
    optional_tool("postgres")
    document = measure_sharing(CORPUS, tmp_path, rows=300, rounds=2)
    assert [one["what"] for one in document["deliveries"]] == [SQLITE, POSTGRES]
    assert [one["what"] for one in document["plain"]] == [CURSOR, COPY, SQLITE_DRIVER]
    for delivery in document["deliveries"]:
        assert delivery["ratio_to_cursor"]["median"] > 0
        assert delivery["ratio_to_copy"]["median"] > 0
        assert set(delivery["stage_us"]) == {"provider", "requester"}
    assert document["requests"]["records"] == 64
    assert document["not_measured"] == ""
    assert document["machine"]["postgresql"]
    assert list(tmp_path.iterdir()) == []


def test_without_a_server_the_report_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SQLite has its figures beside those of its own driver, and the text says why there are no others."""
    monkeypatch.setattr(deliveries, "find_postgres", without_postgres)
    document = measure_sharing(CORPUS, tmp_path, rows=300, rounds=1)
    assert [one["what"] for one in document["deliveries"]] == [SQLITE]
    assert [one["what"] for one in document["plain"]] == [SQLITE_DRIVER]
    assert document["deliveries"][0]["ratio_to_driver"]["median"] > 0
    assert "no figures for PostgreSQL: the program `postgres` is not installed" in as_text(document)


def test_all_rows_arrive_every_time(tmp_path: Path) -> None:
    """Each run is a delivery of its own, and leaves no file behind."""
    deliver = sqlite_ways(tmp_path, 5_000)[SQLITE]
    assert [deliver().count, deliver().count] == [5_000, 5_000]
    assert list((tmp_path / "sqlite").iterdir()) == []


def test_a_delivery_that_loses_rows_is_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However fast it was."""
    deliver = sqlite_ways(tmp_path, 100)[SQLITE]
    monkeypatch.setattr(MeasuredDeliveries, "_receive", lambda *_: 99)
    with pytest.raises(InvariantBrokenError, match="99 rows arrived of 100"):
        deliver()


def test_all_requests_are_granted() -> None:
    """The corpus measures what it says: the first pass refuses none, and departments ask others alone."""
    assert CORPUS.refused_count == 0
    assert CORPUS.record_count == 64


def test_the_command_prints_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On standard output; progress goes to standard error."""
    monkeypatch.setattr(deliveries, "find_postgres", without_postgres)
    arguments = ["bench", "sharing", "--quick", "--rounds", "1", "--json", "--directory", str(tmp_path)]
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["schema"] == sharing.SCHEMA
    assert document["rows"] == 10_000
    assert "round 1 of 1 done" in err
