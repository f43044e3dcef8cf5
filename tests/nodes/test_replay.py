"""A member comes back from its journal the same, whoever prepared its blocks and whoever hears of them."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from benchmarks.replay import NOTHING_WRITTEN, main, open_member, replay_journal, write_journal
from ledger.consensus.effects import Executed
from ledger.replica import Replica
from nodes.measurements.backends import using
from nodes.pipeline import Gauges
from nodes.replay import replay

RECORDS = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the journal of a member that has ordered some hundred records."""
    folder = tmp_path_factory.mktemp("written") / "journal"
    folder.mkdir()
    write_journal(folder, RECORDS, 2, turns=1)
    return folder


def replayed(folder: Path, workers: int) -> tuple[Replica, list[Executed], Gauges]:
    """Return the member, what it has said of each block, and the gauges."""
    member, journal = open_member(folder)
    said: list[Executed] = []
    gauges = Gauges.zero()
    rest = replay(member, journal, NOTHING_WRITTEN, said.append, workers=workers, gauges=gauges)
    assert rest == []
    for height in range(member.height + 1):
        member.history.outcome(height)
    journal.close()
    return member, said, gauges


@pytest.mark.parametrize("backend", ["auto", "python"])
def test_the_member_is_the_same_with_and_without_workers(folder: Path, backend: str) -> None:
    """State, log and results; every block was prepared ahead once; every record was accepted."""
    with using(backend):
        (alone, said_alone, _), (helped, said_helped, gauges) = replayed(folder, 0), replayed(folder, 2)
    assert alone.state.root == helped.state.root
    assert alone.log.root() == helped.log.root()
    assert said_alone == said_helped
    assert b"".join(codes for executed in said_alone for codes in executed.results) == bytes(RECORDS)
    assert gauges.examine.blocks == gauges.execute.blocks == helped.height == len(said_helped) == 5
    assert gauges.examine.queued == 0


def test_nobody_looks_for_cycles_while_blocks_are_executed_again(folder: Path) -> None:
    """There are none among the values of blocks; afterwards the collector is as it was."""
    member, journal = open_member(folder)
    looked: list[bool] = []
    gc.collect()
    replay(member, journal, NOTHING_WRITTEN, lambda executed: looked.append(gc.isenabled()), workers=0)
    assert gc.collect() < RECORDS // 10
    journal.close()
    assert looked == [False] * member.height
    assert gc.isenabled()


def test_what_nobody_hears_is_returned(folder: Path) -> None:
    """Without a listener the effects come back together, as a simulator wants them."""
    member, journal = open_member(folder)
    effects = replay(member, journal, NOTHING_WRITTEN, workers=0)
    assert effects == replayed(folder, 0)[1]
    journal.close()


def test_the_measurement_says_what_it_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It writes, replays in another process, compares the states, and leaves nothing behind."""
    monkeypatch.setattr("sys.argv", ["replay.py", "--records", "300", "-k", "2", "--directory", str(tmp_path)])
    assert main() in (0, 1)  # the rate of so few records says nothing
    report = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (report["schema"], report["records"], report["same_state"]) == ("mulu.replay/1", 300, True)
    assert list(tmp_path.iterdir()) == []


def test_another_state_than_the_one_written_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The root beside the journal decides."""
    root = folder.parent / f"{folder.name}.root"
    right = root.read_text()
    root.write_text("00" * 32)
    assert replay_journal(folder, RECORDS, 0) == 1
    assert '"same_state": false' in capsys.readouterr().out
    root.write_text(right)
