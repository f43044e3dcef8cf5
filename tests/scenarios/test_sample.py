"""The sample bundle is what the project makes today, and anybody can verify it with the command."""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path

import pytest

from ledger.proofs.verify import verify_bundle
from nodes.cli import main
from scripts.make_sample import DIRECTORY, NOW, NOW_MS, sample_files

made = cache(sample_files)

VERIFY = ["verify", str(DIRECTORY / "bundle.json"), "--policy", str(DIRECTORY / "policy.txt")]


@pytest.mark.parametrize("name", ["bundle.json", "policy.txt", "statement.json"])
def test_the_sample_is_fresh(name: str) -> None:
    """A change of a byte form shows here; `python scripts/make_sample.py` writes the files anew."""
    assert (DIRECTORY / name).read_bytes() == made()[name]


def test_the_command_gives_the_expected_statement(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and with --json exactly `statement.json`."""
    assert main([*VERIFY, "--now", NOW, "--json"]) == 0
    assert capsys.readouterr().out == (DIRECTORY / "statement.json").read_text(encoding="utf-8")


def test_the_statement_says_who_vouched_for_what() -> None:
    """Issuer, responsibility, history and a quorum of the four departments."""
    statement = json.loads((DIRECTORY / "statement.json").read_text(encoding="utf-8"))
    assert (statement["genuine"], statement["status"], statement["fresh"]) == (True, "valid", True)
    assert statement["issuer"]["name"] == "Market Regulation (市场监督管理局)"
    assert statement["responsibility"]["id"] == "AY-01"
    assert [event["what"] for event in statement["events"]] == ["certificates.issue", "certificates.change"]
    assert statement["quorum"] == {"signed": 3, "needed": 3, "of": 4}


def test_every_turned_byte_is_noticed() -> None:
    """Whatever byte of the bundle is another, the answer is no or cannot say, never yes."""
    bundle = (DIRECTORY / "bundle.json").read_bytes()
    policy = (DIRECTORY / "policy.txt").read_text(encoding="utf-8")
    for position in range(0, len(bundle), 7):
        changed = bytearray(bundle)
        changed[position] ^= 1
        statement = verify_bundle(bytes(changed), policy, now_ms=NOW_MS)
        assert statement.exit_code in (3, 4), position


def test_the_readme_names_the_command_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    """Its command, run from the root, says yes."""
    readme = (DIRECTORY / "README.md").read_text(encoding="utf-8")
    command = readme.split("    mulu ", 1)[1].split("\n\n", 1)[0].replace("\\\n", " ")
    root = Path(__file__).resolve().parents[2]
    arguments = [str(root / word) if word.startswith("scenarios/") else word for word in shlex.split(command)]
    assert main(arguments) == 0
    assert "Fictional" in capsys.readouterr().out
