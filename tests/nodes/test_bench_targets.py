"""`mulu bench targets`: the form of the report, and that its rows come from what they claim to measure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ledger.crypto.backend import active_backend, installed_library
from ledger.errors import InvariantBrokenError
from nodes import cli
from nodes.backend import choose_backend
from nodes.measurements import agreement, large_state, live, targets
from nodes.measurements.agreement import Agreement, compare_backends
from nodes.measurements.backends import using
from nodes.measurements.live import REST, live_rows
from nodes.measurements.slowing import Slowing
from nodes.measurements.stages import STAGES
from nodes.measurements.targets import TARGETS, Report, Row, Settings, measure_targets
from nodes.measurements.targets_report import as_text
from scenarios.beijing import load
from scenarios.beijing.corpus import make_corpus

ROW = {
    "type": "object",
    "properties": {
        "row": {"enum": list(TARGETS)},
        "measured": {"type": ["number", "null"]},
        "target": {"type": "number"},
        "moonshot": {"type": "number"},
        "met": {"type": ["boolean", "null"]},
        "rounds": {"type": "integer", "minimum": 0},
        "spread": {"type": "number", "minimum": 0},
        "binding": {"enum": [*STAGES, "take over", REST, None]},
        "why": {"type": "string", "minLength": 1},
    },
    "required": ["row", "measured", "target", "moonshot", "met", "rounds", "spread", "binding"],
    "if": {"properties": {"met": {"const": None}}},
    "then": {"required": ["why"]},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "schema": {"const": "mulu.targets/1"},
        "cpu": {"type": "string"},
        "backend": {"type": "string"},
        "rows": {"type": "array", "items": ROW, "minItems": 1},
    },
    "required": ["schema", "cpu", "backend", "machine", "commit", "date", "quick", "cpu_share", "seconds", "rows"],
}

needs_native = pytest.mark.skipif(active_backend().library is None, reason="needs the native core")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """States and samples of a size that takes no time; the process has its backend again afterwards."""
    monkeypatch.setattr(targets, "CRAFTED", 40)
    for name in ("LARGE_KEYS", "SMALL_KEYS"):
        monkeypatch.setattr(targets, name, 3_000 if name == "LARGE_KEYS" else 500)
    monkeypatch.setattr(large_state, "BATCH", 100)
    yield
    choose_backend()


def measured(tmp_path: Path, *rows: str, rounds: int = 1, slowing: Slowing | None = None) -> Report:
    """Measure rows on two departments with 30 records each."""
    return measure_targets(
        Settings(
            rows=rows,
            directory=tmp_path,
            make_corpus=partial(make_corpus, 5, departments=2, records_per_department=30, state_keys=100),
            rounds=rounds,
            slowing=slowing or Slowing(),
        )
    )


def row_of(report: Report, name: str) -> Row:
    return next(row for row in report.rows if row.target.row == name)


def test_every_row_but_the_network_comes_from_one_run(tmp_path: Path) -> None:
    """In the order of the targets, with figures; nothing is left on the disk."""
    report = measured(tmp_path, *map(str, range(1, 11)), rounds=2)
    assert [row.target.row for row in report.rows] == [name for name in TARGETS if not name.startswith("11")]
    for row in report.rows:
        assert row.met is None or (row.measured is not None and row.measured >= 0)
        jsonschema.validate(json.loads(json.dumps(row.document())), ROW)
    differences = row_of(report, "10")
    if installed_library()[0] is None:
        assert (differences.measured, differences.met) == (None, None)
        assert "one backend" in str(differences.why)
    else:
        assert differences.measured == 0
    assert row_of(report, "9").more["named"]["index"] == 40
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_its_published_form(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One JSON object, or the same as a table, of the rows that were asked for."""
    monkeypatch.setattr("nodes.measurements.targets_report.RECORDS_PER_DEPARTMENT", 4)
    arguments = ["bench", "targets", "--rows", "4,3", "--rounds", "1", "--directory", str(tmp_path)]
    assert cli.main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    document: dict[str, Any] = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert [row["row"] for row in document["rows"]] == ["3", "4"]
    assert "round 1 of 1 done" in err
    table = as_text(document)
    for row in document["rows"]:
        assert row["what"] in table
        assert row["binding"] in table


@pytest.mark.parametrize(
    "arguments", [["--rows", "12"], ["--rows", "3a"], ["--slow", "nap=2"], ["--slow", "execute=0.5"]]
)
def test_what_cannot_be_measured_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A row or a stage that there is not, a stage that would become faster."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "targets", *arguments])
    assert ended.value.code == 2
    assert "[usage]" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["decode", "state root", "journal"])
def test_slowing_a_stage_changes_the_stage_that_the_rows_name(tmp_path: Path, stage: str) -> None:
    """Of whole validation, native and in Python, at both numbers of records an envelope."""
    report = measured(tmp_path, "3", "4", "5", "6", slowing=Slowing({stage: 50_000.0}, lambda seconds: None))
    for name in ("3", "4", "5a", "6b"):
        assert row_of(report, name).binding == stage


def test_a_machine_without_the_native_core_says_so(tmp_path: Path) -> None:
    """The rows that need it are neither met nor missed."""
    with using("python"):
        report = measured(tmp_path, "1", "2", "3", "8")
    for name in ("1", "2", "8"):
        row = row_of(report, name)
        assert (row.measured, row.met) == (None, None)
        assert "native" in row.why
    assert row_of(report, "3").met is not None


@needs_native
def test_a_processor_without_wide_vectors_leaves_the_first_row_open(tmp_path: Path) -> None:
    """Its target is one of AVX-512 IFMA; the second row is for everybody else."""
    with using("native-portable"):
        report = measured(tmp_path, "1", "2")
    assert row_of(report, "1").met is None
    assert "IFMA" in row_of(report, "1").why
    assert row_of(report, "2").met is not None


@needs_native
def test_a_verifier_that_names_another_signature_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fast and wrong gives no figure."""
    monkeypatch.setattr(targets, "verify_batch", lambda items: [False, *[True] * (len(items) - 1)])
    with pytest.raises(InvariantBrokenError):
        measured(tmp_path, "9")


def test_all_backends_judge_the_same_signatures() -> None:
    """The vectors, published ones included, and as many crafted ones as were asked for; every pair is compared."""
    found = compare_backends(30, processes=1)
    library = active_backend().library
    native = [f"native-{name}" for name in library.signature_backends()] if library is not None else []
    assert found == Agreement(
        backends=("python", *native), vectors=196 + 12 + 5, crafted=30, differences=0, unexpected=0
    )


@needs_native
def test_a_backend_that_disagrees_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against each other backend, and against what the signatures were made to be."""
    monkeypatch.setattr(agreement, "_in_python", lambda items: [True] * len(items))
    found = compare_backends(30, processes=1)
    assert found.differences > 0
    assert found.unexpected > 0


def test_targets_are_met_from_the_right_side() -> None:
    """More is better in a rate, less in a cost; the target itself is enough."""
    assert TARGETS["3"].is_met(10)
    assert not TARGETS["3"].is_met(9.9)
    assert TARGETS["7"].is_met(2.5)
    assert not TARGETS["7"].is_met(2.6)


def step(in_flight: int, rate: float, p99_ms: float) -> load.Step:
    """A step of a network of four nodes."""
    return load.Step(
        k=16,
        in_flight=in_flight,
        nodes=4,
        records_per_second=rate,
        p50_ms=p99_ms / 2,
        p99_ms=p99_ms,
        envelopes=100,
        refused=0,
        node_us=400.0,
        client_us=20.0,
    )


def test_the_row_on_the_network_is_its_fastest_step_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose receipts come too late does not count; the rest of a node's time has a name too."""
    steps = (step(2, 600.0, 200.0), step(8, 6_000.0, 900.0), step(24, 9_000.0, 1_500.0))
    figures = load.LoadFigures(departments=4, steps=steps, single=None, one_down=steps[0], seconds=1.0)
    monkeypatch.setattr(load, "measure", lambda *_, **__: figures)
    small = partial(make_corpus, records_per_department=30)
    (row,) = live_rows(tmp_path, small, lambda text: None, networks=live.NETWORKS[:1])
    assert (row.measured, row.met, row.more["p99_ms"]) == (6_000.0, True, 900)
    assert row.more["one_down"]["records_per_second"] == 600.0
    assert row.binding == max(row.more["stages_us"], key=row.more["stages_us"].__getitem__)
    jsonschema.validate(json.loads(json.dumps(row.document())), ROW)


def test_a_network_that_is_always_late_misses_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many records a second it commits: receipts that come too late miss the target."""
    figures = load.LoadFigures(
        departments=4, steps=(step(2, 9_000.0, 1_001.0),), single=None, one_down=None, seconds=1.0
    )
    monkeypatch.setattr(load, "measure", lambda *_, **__: figures)
    small = partial(make_corpus, records_per_department=30)
    (row,) = live_rows(tmp_path, small, lambda text: None, networks=live.NETWORKS[:1])
    assert (row.measured, row.met) == (9_000.0, False)
    assert "1000 ms" in row.more["missed"]


@pytest.mark.live
def test_a_small_network_is_driven_through_its_gateways(tmp_path: Path) -> None:
    """Four real nodes: every record accepted, more in flight is more a second, and one killed node stops nobody."""
    plan = load.Plan((1, 2), warm_s=0.2, window_s=1.0, budget_s=600)
    figures = load.measure(tmp_path / "network", departments=4, p99_ms=20_000, say=lambda text: None, plan=plan)
    assert [one.in_flight for one in figures.steps] == [1, 2]
    assert figures.single is not None
    assert figures.one_down is not None
    assert figures.one_down.nodes == 3
    for one in (*figures.steps, figures.single, figures.one_down):
        assert one.refused == 0
        assert one.records_per_second > 0
        assert one.p50_ms <= one.p99_ms
