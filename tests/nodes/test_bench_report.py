"""`mulu bench --report`: one page that stands alone and says what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import html5lib
import pytest

from ledger.crypto.backend import active_backend
from nodes import cli
from nodes.measurements import sweep as sweeping
from nodes.measurements.charts import Bar, Series, bar_chart, line_chart
from nodes.measurements.page import PEERS, page
from nodes.measurements.slowing import Slowing
from nodes.measurements.stages import STAGES
from nodes.measurements.sweep import SweepSettings, sweep
from nodes.measurements.targets import TARGETS, Row
from scenarios.beijing.corpus import make_corpus

STEP = {"k": 16, "in_flight": 8, "nodes": 4, "records_per_second": 1_460.4, "p50_ms": 341.0, "p99_ms": 538.7}


def document() -> dict[str, Any]:
    """A report with rows that are met, missed and open, and one network."""
    figures = {"1": 89.0, "3": 5.6, "10": 0.0, "11a": 1_460.0}
    more: dict[str, dict[str, Any]] = {
        "11a": {"steps": [STEP], "k=1": {**STEP, "k": 1}, "one_down": STEP, "p99_ms": 539, "node_us": 114.0}
    }
    rows = [
        Row(
            target,
            figures.get(name),
            rounds=7,
            binding="execute",
            why="" if name in figures else "no <core>",
            more=more.get(name, {}),
        )
        for name, target in TARGETS.items()
    ]
    return {
        "schema": "mulu.targets/1",
        "cpu": "A & B processor",
        "backend": "native-portable",
        "backend_reason": "the only one",
        "machine": {
            "cores": 2,
            "cpu_features": ["avx2"],
            "memory_bytes": 8 << 30,
            "file_system": "ext4",
            "python": "CPython 3.11",
            "openssl": "OpenSSL 3",
            "packages": {"msgspec": "0.19", "mulu": None},
        },
        "commit": "0123456789ab",
        "date": "2026-01-02",
        "seed": 1,
        "slow": {},
        "cpu_share": 0.5,
        "rows": [row.document() for row in rows],
    }


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Really measured, once, on two departments with 40 records each."""
    corpus = make_corpus(5, departments=2, records_per_department=40, state_keys=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "BATCHES", (8, 64))
        patch.setattr(sweeping, "STATE_KEYS", 300)
        return sweep(SweepSettings(corpus, tmp_path_factory.mktemp("sweep"), rounds=1, keys=(300, 600)))


def test_the_page_stands_alone_and_names_everything(plots: dict[str, Any]) -> None:
    """Valid HTML without a script or an address; every row, every peer, the machine, and what disturbed the run."""
    text = page(document(), plots)
    html5lib.HTMLParser(strict=True).parse(text)
    assert not re.search(r"<script|https?://|src=|url\(", text)
    for target in TARGETS.values():
        assert target.what.replace("<", "&lt;").replace(">", "&gt;") in text
    for name, rate, hardware in PEERS:
        assert name in text
        assert rate in text
        assert hardware in text
    for said in ("A &amp; B processor", "0123456789ab", "no &lt;core&gt;", "50% of a core", "1,460", "one node killed"):
        assert said in text
    assert text.count("<svg") == 4 + (active_backend().library is not None)
    assert 'class="mark no"' in text
    assert 'class="mark yes"' in text
    assert 'class="mark open"' in text


def test_the_plots_have_every_backend_envelope_and_state(plots: dict[str, Any]) -> None:
    """Each point with its figures; where stages were taken apart, the binding one is named."""
    assert {point["batch"] for point in plots["batches"]} == {8, 64}
    assert {point["k"] for point in plots["whole"]} == {1, 16, 256}
    assert [point["keys"] for point in plots["keys"]] == [300, 600]
    for point in (*plots["whole"], *plots["keys"]):
        assert point["per_second"] > 0
        if "stages_us" in point:
            assert set(point["stages_us"]) == set(STAGES)
            assert point["binding"] == max(point["stages_us"], key=point["stages_us"].__getitem__)


def test_a_slowed_stage_binds_in_the_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook reaches what is drawn."""
    corpus = make_corpus(5, departments=2, records_per_department=20, state_keys=100)
    monkeypatch.setattr(sweeping, "BATCHES", (8,))
    slowing = Slowing({"journal": 50_000.0}, lambda seconds: None)
    plots = sweep(SweepSettings(corpus, tmp_path, rounds=1, keys=(300,), slowing=slowing))
    assert {point["binding"] for point in (*plots["whole"], *plots["keys"]) if "binding" in point} == {"journal"}


def test_the_command_writes_the_page_and_its_figures(
    tmp_path: Path, plots: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From targets that were measured before; the path is the result."""
    targets = tmp_path / "targets.json"
    targets.write_text(json.dumps(document()))
    monkeypatch.setattr("nodes.measurements.targets_report.measure_plots", lambda **_: plots)
    assert cli.main(["bench", "--report", str(tmp_path / "out"), "--targets", str(targets)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "report.html")
    assert (tmp_path / "out" / "report.html").read_text() == page(document(), plots)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["plots"] == plots


def test_another_file_than_the_targets_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With one line that says how to make the right one."""
    other = tmp_path / "other.json"
    other.write_text("[]")
    assert cli.main(["bench", "--report", str(tmp_path / "out"), "--targets", str(other)]) != 0
    assert "mulu bench targets --json" in capsys.readouterr().err


def test_bench_alone_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what there is to measure."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench"])
    assert ended.value.code == 2
    assert "--report" in capsys.readouterr().err


def test_plots_show_every_value() -> None:
    """One dot a point, one part a stage, longer for more."""
    lines = line_chart([Series("a & b", [(64, 1_000), (256, 9_000)])], x_label="batch", y_label="rate")
    assert lines.count("<circle") == 2
    assert "a &amp; b" in lines
    bars = bar_chart(
        [Bar("one", {"decode": 1.0, "roots": 3.0}, "4 us"), Bar("two", {"decode": 2.0}, "2 us")],
        {"decode": 0, "roots": 1},
        x_label="us",
    )
    first, second, third = (float(width) for width in re.findall(r'<rect[^>]* width="([0-9.]+)"', bars))
    assert second == pytest.approx(3 * first, abs=0.2)
    assert third == pytest.approx(2 * first, abs=0.2)
