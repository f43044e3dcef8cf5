"""`mulu simulate beijing` as people call it: four departments as four processes, a verdict, and what is kept."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import jsonschema
import pytest

from ledger.proofs.policy import parse_policy
from nodes import cli
from nodes.exit_codes import ExitCode
from nodes.network import load_network
from tests.live.network import MULU, first_departments

pytestmark = [pytest.mark.live, pytest.mark.slow]

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "mulu.simulation-1.schema.json").read_text())

RUN_S = 180
"""Longest run on a busy machine."""


class Run(NamedTuple):
    """One run of the command with `--keep out`."""

    code: int
    stdout: str
    stderr: str
    out: Path

    @property
    def bundles(self) -> Sequence[Path]:
        return sorted((self.out / "bundles").iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The command, called once for all tests here; the working directory is a new one, the path a relative one."""
    place = tmp_path_factory.mktemp("simulate")
    command = [MULU, "simulate", "beijing", "--departments", "4", "--duration", "5", "--json", "--keep", "out"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=RUN_S, check=False)
    return Run(done.returncode, done.stdout, done.stderr, place / "out")


def result_of(run: Run) -> dict[str, Any]:
    """The one object on standard output."""
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def test_the_run_is_good(run: Run) -> None:
    """Exit code 0, and every check of the verdict holds."""
    assert run.code == ExitCode.GOOD, run.stderr
    result = result_of(run)
    assert result["ok"]
    assert set(result["checks"].values()) == {True}
    assert (result["departments"], result["mode"], result["unexpected"]) == (4, "live", [])


def test_data_went_from_node_to_node(run: Run) -> None:
    """Each department's database is kept, and so are the rows that others have fetched from it."""
    fetched = sorted((run.out / "network").glob("*/*-N1.jsonl"))
    assert fetched
    rows = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in fetched)
    assert result_of(run)["check_details"]["every_delivery_matches"] == (
        f"{rows} rows in {len(fetched)} deliveries from node to node"
    )
    assert {path.parent.name for path in (run.out / "network").glob("*/department.db")} == {
        row.code for row in first_departments(4).validators
    }


def test_standard_output_is_one_object_of_the_published_schema(run: Run) -> None:
    """Progress goes to standard error, a line a phase, and nothing there is a warning or a traceback."""
    jsonschema.Draft202012Validator(SCHEMA).validate(result_of(run))
    assert run.stdout == (run.out / "report.json").read_text()
    lines = run.stderr.splitlines()
    assert lines[0].startswith("start the departments: 4, ")
    assert [line for line in lines if not re.fullmatch(r".+: [0-9,]+(, [^:]+)?, [0-9.]+ s", line)] == []


def test_what_is_kept(run: Run) -> None:
    """Reports, the policy, a bundle for each type that was issued, and each department's data."""
    assert {path.name for path in run.out.iterdir()} == {
        "report.json",
        "report.html",
        "policy.txt",
        "verify.html",
        "bundles",
        "network",
    }
    assert parse_policy((run.out / "policy.txt").read_text()).origin == load_network(run.out / "network").genesis.origin
    assert "<html" in (run.out / "report.html").read_text()
    issued = set(result_of(run)["certificates"])
    assert issued == {kind.code for kind in first_departments(4).certificate_types}
    assert {path.name.split(".")[5] for path in run.bundles} == issued


def test_every_bundle_verifies_and_no_flipped_byte_does(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`mulu verify` exits 0 on each bundle, and 3 or 4 once a byte of it is another."""
    draws = Random(7)
    for path in run.bundles:
        assert verify(path, run.out / "policy.txt") == ExitCode.GOOD, capsys.readouterr()
        content = bytearray(path.read_bytes())
        content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
        (tmp_path / path.name).write_bytes(content)
        code = verify(tmp_path / path.name, run.out / "policy.txt")
        assert code in (ExitCode.VERIFICATION_SAYS_NO, ExitCode.CANNOT_SAY)


def test_the_policy_of_another_network_verifies_nothing(run: Run, tmp_path: Path) -> None:
    """A bundle is good under its own network's policy alone."""
    assert cli.main(["node", "init", "--departments", "4", "--out", str(tmp_path / "other")]) == ExitCode.GOOD
    assert verify(run.bundles[0], tmp_path / "other" / "policy.txt") == ExitCode.CANNOT_SAY


def test_no_node_outlives_the_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """`mulu trace` finds nobody at any address of the network, and says so with exit code 7."""
    identifier = run.bundles[0].name.removesuffix(".json")
    for node in load_network(run.out / "network").nodes.values():
        assert cli.main(["trace", identifier, "--node", node.address.gateway_url]) == ExitCode.UNAVAILABLE
        assert re.fullmatch(r"mulu: no node answers at [^\n]+ \[node_unavailable\]\n", capsys.readouterr().err)


def verify(bundle: Path, policy: Path) -> int:
    """Exit code of `mulu verify`."""
    return cli.main(["verify", str(bundle), "--policy", str(policy)])
