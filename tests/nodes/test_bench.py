"""`mulu bench validation`: the report's form, and that its figures come from what it claims to measure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ledger.crypto.signatures import verify_batch
from ledger.errors import InvariantBrokenError
from nodes import cli
from nodes.measurements import stages
from nodes.measurements.rounds import Figure
from nodes.measurements.slowing import Slowing
from nodes.measurements.stages import STAGES
from nodes.measurements.validation import measure
from scenarios.beijing.corpus import Corpus, make_corpus

FIGURE = {
    "type": "object",
    "properties": {"median": {"type": "number", "exclusiveMinimum": 0}, "spread": {"type": "number", "minimum": 0}},
    "required": ["median", "spread"],
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "properties": {
        "k": {"enum": [1, 256]},
        "blocks": {"type": "integer", "minimum": 1},
        "records_per_second": FIGURE,
        "ratio_to_loop": FIGURE,
        "stages": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "stage": {"enum": list(STAGES)},
                    "us_per_record": {"type": "number", "minimum": 0},
                    "share": {"type": "number", "minimum": 0, "maximum": 1},
                },
                "required": ["stage", "us_per_record", "share"],
                "additionalProperties": False,
            },
            "minItems": len(STAGES),
            "maxItems": len(STAGES),
        },
        "binding": {"enum": list(STAGES)},
    },
    "required": ["k", "blocks", "records_per_second", "ratio_to_loop", "stages", "binding"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        "schema": {"const": "mulu.bench.validation/1"},
        "machine": {
            "type": "object",
            "required": [
                *("cpu", "cpu_features", "cores", "memory_bytes", "system"),
                *("file_system", "python", "openssl", "packages"),
            ],
        },
        "backend": {"type": "object", "required": ["name", "reason"]},
        "corpus": {"type": "object", "required": ["seed", "signers", "records", "refused", "state_keys"]},
        "quick": {"type": "boolean"},
        "rounds": {"type": "integer", "minimum": 1},
        "cpu_share": {"type": "number", "exclusiveMinimum": 0},
        "loop": {"type": "object", "properties": {"per_second": FIGURE}, "required": ["per_second"]},
        "results": {"type": "array", "items": RESULT, "minItems": 2, "maxItems": 2},
    },
    "required": ["schema", "machine", "backend", "corpus", "quick", "rounds", "cpu_share", "loop", "results"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Two departments with 256 records each."""
    return make_corpus(5, departments=2, state_keys=200)


def test_the_quick_report_has_its_published_form(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One JSON object on standard output, progress on standard error, nothing left in the directory."""
    arguments = ["bench", "validation", "--quick", "--rounds", "1", "--json", "--directory", str(tmp_path)]
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    document: dict[str, Any] = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert [result["k"] for result in document["results"]] == [1, 256]
    assert "round 1 of 1 done" in err
    assert list(tmp_path.iterdir()) == []


class Clock:
    """A clock that shows one second more each time it is read, so that no figure depends on the machine."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that measurements read."""
    clock = Clock()
    monkeypatch.setattr(stages.time, "perf_counter", clock)
    return clock


def test_a_slower_verifier_becomes_the_binding_stage(corpus: Corpus, tmp_path: Path, clock: Clock) -> None:
    """Time that signatures take is counted as signatures, at both sizes, and named."""

    def slow(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        clock.now_s += 1_000
        return verify_batch(items)

    for figures in measure(corpus, tmp_path, rounds=1, verify=slow).validation:
        assert figures.binding == "signatures"
        assert figures.stage_us["signatures"] * corpus.record_count / 1e6 == pytest.approx(1_001 * figures.blocks)


@pytest.mark.usefixtures("clock")
def test_the_stages_make_up_the_whole(corpus: Corpus, tmp_path: Path) -> None:
    """Nothing is left out of the breakdown, and nothing is counted twice."""
    for figures in measure(corpus, tmp_path, rounds=3).validation:
        assert tuple(figures.stage_us) == STAGES
        assert sum(figures.stage_us.values()) == pytest.approx(1e6 / figures.records_per_second.median)


@pytest.mark.parametrize("stage", STAGES)
def test_slowing_a_stage_makes_it_the_binding_one(corpus: Corpus, tmp_path: Path, stage: str) -> None:
    """Whichever it is: the report names the stage that was slowed."""
    waited: list[float] = []
    slowing = Slowing({stage: 1_000_000.0}, waited.append)
    # Decoding is what is left of preparing without the roots, which on a busy machine can be nothing in a single round.
    for figures in measure(corpus, tmp_path, rounds=5, slowing=slowing).validation:
        assert figures.binding == stage
        # Medians of parts need not add up to the median of the whole, but one part is nearly all of it here.
        assert 1e6 / figures.records_per_second.median == pytest.approx(sum(figures.stage_us.values()), rel=0.01)
    assert min(waited) > 0


def test_a_verifier_that_is_wrong_is_not_measured(corpus: Corpus, tmp_path: Path) -> None:
    """A fast verifier that refuses good signatures gives no figure."""
    with pytest.raises(InvariantBrokenError, match="records were refused"):
        measure(corpus, tmp_path, rounds=1, verify=lambda items: [False] * len(items))


def test_each_round_begins_with_an_empty_journal(corpus: Corpus, tmp_path: Path) -> None:
    """Progress counts the rounds, and the folder of the journals is gone at the end."""
    done: list[int] = []
    report = measure(corpus, tmp_path, rounds=2, progress=done.append)
    assert (done, report.rounds, list(tmp_path.iterdir())) == ([1, 2], 2, [])


def test_the_loop_verifies_every_envelope_of_the_smallest_kind(corpus: Corpus) -> None:
    """One signature a record, all of them good."""
    signed = stages.signatures_of(corpus.state(), corpus.blocks(1))
    assert len(signed) == corpus.record_count
    assert all(verify_batch(signed))
    assert stages.run_loop(signed).count == corpus.record_count


def test_a_figure_is_the_median_with_its_spread() -> None:
    """The spread is that of all rounds, relative to the median."""
    assert Figure.of([10.0, 8.0, 12.0]) == Figure(10.0, 0.4)
