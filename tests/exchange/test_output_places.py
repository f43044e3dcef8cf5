"""Places for rows that others prepared, that two fetches want, or that a file system does not lend."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.registers.sharing.values import DeliveryStatus
from nodes.exchange.errors import DeliveryBusyError
from nodes.exchange.outputs import Output, OutputError, open_output
from nodes.exchange.requester import Progress
from tests.exchange.departments_database import ITEMS, Department
from tests.exchange.test_deliveries import GRANTED, lines
from tests.exchange.two_departments import TwoDepartments, two_departments

FORMS = ["rows.db", "rows.jsonl", "rows.csv"]


@pytest.fixture
def two(sqlite_department: Department, tmp_path: Path) -> Iterator[TwoDepartments]:
    """Two departments, and the permits of one of them."""
    both = two_departments(sqlite_department.database, sqlite_department.table, ITEMS, tmp_path)
    both.grant()
    yield both
    both.close()


def write_all(output: Output) -> None:
    """Write one row."""
    output.begin(("name",))
    output.write([("王芳",)])
    output.complete()
    output.publish()


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("how", ["link", "open file"])
def test_what_others_put_in_the_way_gets_no_row(tmp_path: Path, name: str, how: str) -> None:
    """Neither a file that they hold open or may read, nor one that a link of theirs leads to."""
    partial, elsewhere = tmp_path / f".{name}.partial", tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    if how == "link":
        partial.symlink_to(elsewhere)
    else:
        os.link(elsewhere, partial)
    elsewhere.chmod(0o666)
    write_all(open_output(tmp_path / name))
    assert elsewhere.read_text() == "theirs"
    assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["elsewhere", name]


def test_two_fetches_to_one_place_do_not_mix_their_rows(two: TwoDepartments, tmp_path: Path) -> None:
    """Who comes second is told so while the first writes, and its delivery is not lost."""
    two.grant("AY-R2")
    path, refused = tmp_path / "rows.jsonl", []

    def fetch_too(progress: Progress) -> None:
        if progress.stage == "writing":
            with pytest.raises(DeliveryBusyError, match=r"rows\.jsonl"):
                two.fetch(tmp_path / "provider" / ".." / "rows.jsonl", grant="AY-R2")
            refused.append(progress)

    two.fetch(path, report=fetch_too)
    assert refused
    assert lines(path) == GRANTED
    assert two.fetch(tmp_path / "others.jsonl", grant="AY-R2").rows == len(GRANTED)


def test_a_file_system_that_gives_no_second_name_is_named(
    two: TwoDepartments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of memory cards do; nothing is left there, and the rows can go to another place."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        with pytest.raises(OutputError, match=r"rows\.jsonl .*Operation not permitted"):
            two.fetch(tmp_path / "rows.jsonl")
    assert not list(tmp_path.glob("*rows.jsonl*"))
    assert two.fetch(tmp_path / "elsewhere.jsonl").number == 1
    assert two.delivery().status is DeliveryStatus.ACKNOWLEDGED


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "rows.csv/rows.csv", "link.csv"])
def test_a_name_that_cannot_be_is_named_before_anything_is_fetched(tmp_path: Path, name: str) -> None:
    """One too long for the file system, below a file, or of a link that leads nowhere."""
    (tmp_path / "rows.csv").write_text("a file")
    (tmp_path / "link.csv").symlink_to("nowhere")
    with pytest.raises(OutputError):
        open_output(tmp_path / name)
