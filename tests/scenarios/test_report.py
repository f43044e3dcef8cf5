"""The result of a run, for programs and for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scenarios.beijing.city_files import load_city
from scenarios.evidence.checks import CHECKS
from scenarios.report import SimulationResult, Timing, result_of
from tests.evidence.small_run import SmallRun, good_run

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "mulu.simulation-1.schema.json").read_text())
CITY = load_city().first(4)
TIMING = Timing.of([12.0, 3.0, 7.0, 90.0], set_up_s=1.25, run_s=2.5)


def result(run: SmallRun | None = None, **options: Any) -> SimulationResult:
    """Return the result of a small run, good unless another is given."""
    given = {"scenario": "beijing", "engine": "jolteon", "mode": "virtual", "seed": 5, "backend": "openssl"}
    return result_of((run or good_run()).read(), CITY, **(given | options))


def test_a_good_run_is_one_object_of_the_published_schema() -> None:
    """Counts by kind, code, type and department come from the ledger; every check is named and holds."""
    document = json.loads(result().as_bytes())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["ok"] is True
    assert (document["departments"], document["height"], document["envelopes"]) == (4, 5, 5)
    assert document["records"]["refused"] == {"replayed_envelope": 1, "type_defined_before": 2, "wrong_chain": 1}
    assert document["certificates"] == {"11100000C00000016E001": {"valid": 1}}
    assert document["by_department"]["AY"] == {"accepted": 3, "refused": 2, "blocks": 1}
    assert document["by_department"]["X1"] == {"accepted": 1, "refused": 0, "blocks": 0}
    assert document["checks"] == {check.__name__: True for check in CHECKS}
    assert document["check_details"]["equal_roots"] == "6 heights, checkpoints up to height 5"


def test_the_schema_itself_is_one() -> None:
    """The published schema is valid under its own dialect."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("seed"),
        lambda d: d.update(schema="mulu.simulation/2"),
        lambda d: d.update(host="a machine"),
        lambda d: d.update(ok="yes"),
        lambda d: d["checks"].pop("equal_roots"),
        lambda d: d["checks"].update(equal_roots="yes"),
        lambda d: d["records"]["accepted"].update({"certificates.issue": -1}),
        lambda d: d["certificates"].update({"short": {"valid": 1}}),
        lambda d: d["by_department"]["AY"].pop("blocks"),
        lambda d: d.update(timing=result(mode="live", timing=TIMING).as_json()["timing"]),
    ],
)
def test_the_schema_refuses_what_no_run_gives(spoil: Callable[[dict[str, Any]], object]) -> None:
    """A missing, foreign or mistyped member, and wall times in a virtual run."""
    document = json.loads(result().as_bytes())
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_only_a_live_run_has_times() -> None:
    """Percentiles are by nearest rank; a virtual run refuses to carry any."""
    document = result(mode="live", timing=TIMING).as_json()
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["timing"] == {
        "set_up_s": 1.25,
        "run_s": 2.5,
        "latency_p50_ms": 7.0,
        "latency_p99_ms": 90.0,
        "receipts": 4,
    }
    with pytest.raises(ValueError, match="no wall time"):
        result(timing=TIMING)


def test_the_same_evidence_gives_the_same_bytes() -> None:
    """Nothing in a virtual run's result comes from the machine or the moment."""
    assert result().as_bytes() == result().as_bytes()


def test_a_failed_check_or_an_unforeseen_answer_is_no_good_result() -> None:
    """Either of them turns `ok` false, and the verdict's first sentence says which."""
    run = good_run()
    run.evidence.acknowledged = []
    failed = result(run)
    assert not failed.ok
    assert failed.sentence.startswith("1 of 7 checks does not hold: 4 departments put 5 records")
    assert "every_acknowledged_record_once  NO   nothing was acknowledged" in failed.as_text()
    unforeseen = result(unexpected=["IssueCertificate of AY: unknown_type, where the story has accepted"])
    assert not unforeseen.ok
    assert unforeseen.sentence.startswith("All checks hold, but 1 answer was not as foreseen")


def test_evidence_that_cannot_be_read_still_gives_a_verdict() -> None:
    """Nothing is counted, no check over journals holds, and the document is of the same schema."""
    run = good_run()
    run.spoil_bytes = lambda data: b""
    unread = result(run)
    assert (unread.ok, unread.height, unread.accepted) == (False, 0, {})
    jsonschema.Draft202012Validator(SCHEMA).validate(unread.as_json())


def test_the_verdict_for_people_says_what_ran_and_where_it_is() -> None:
    """The sentence first; then what ran, accepted, refused with causes, certificates, checks and files."""
    text = result(mode="live", timing=TIMING).as_text({"report": "out/report.html"})
    assert text.splitlines()[0] == "All 7 checks hold: 4 departments put 5 records on one ledger of 5 blocks."
    for line in (
        "Ran          beijing, 4 departments, jolteon, seed 5; real processes",
        "Took         1.2 s to set up, 2.5 s to run",
        "Receipts     4; half within 7 ms, 99 % within 90 ms",
        "Accepted: 5 records in 5 envelopes",
        "  wrong_chain          1  the envelope was signed for another network",
        "  every_bundle_verifies           yes  1 bundles of 1 types",
        "  report  out/report.html",
    ):
        assert line in text.splitlines()
    assert "Took" not in result().as_text()


def test_a_type_that_the_city_does_not_know_is_shown_by_its_code() -> None:
    """The ledger decides what is counted; the city only lends its names."""
    others = replace(CITY, certificate_types=())
    options = {"scenario": "beijing", "engine": "jolteon", "seed": 5, "backend": "openssl"}
    (figures,) = result_of(good_run().read(), others, mode="virtual", **options).certificates
    assert (figures.name_en, figures.department) == ("11100000C00000016E001", "")
