"""Many bundles at once: each gets the statement that it gets alone, and the command counts them by verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.crypto.hashing import sha256
from ledger.proofs.verify import Verifier, verify_bundle
from nodes.cli import main
from nodes.commands.verify_batch import BUNDLES_AT_ONCE
from tests.proofs.cases import POLICY, good_cases
from tests.proofs.mutations import mutants

NOW = "2025-09-15T08:25:00+08:00"
NOW_MS = 1_757_895_900_000
ENTROPY = sha256(b"entropy of the test")


@pytest.mark.parametrize("policy", [POLICY, "no policy"], ids=["policy", "no policy"])
def test_each_of_many_gets_the_statement_that_it_gets_alone(policy: str) -> None:
    """Good and changed ones mixed: to the last word, because what does not hold is looked at again by itself."""
    datas = [case.data for case in (*good_cases(), *mutants(good_cases(), 200, 5), *good_cases())]
    together = Verifier(policy, now_ms=NOW_MS).verify_all(datas, ENTROPY)
    assert together == [verify_bundle(data, policy, now_ms=NOW_MS) for data in datas]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a policy and more good bundles than are verified at once."""
    (tmp_path / "policy.txt").write_text(POLICY, encoding="utf-8")
    (tmp_path / "bundles").mkdir()
    good = next(case for case in good_cases() if case.name == "all fields and the holder")
    for number in range(BUNDLES_AT_ONCE + 2):
        (tmp_path / "bundles" / f"{number:04}.json").write_bytes(good.data)
    return tmp_path


def run(folder: Path, *options: str) -> int:
    """Return the exit code of `mulu verify --batch`."""
    files = ["--batch", str(folder / "bundles"), "--policy", str(folder / "policy.txt")]
    return main(["verify", *files, "--now", NOW, *options])


def test_a_directory_is_reported_line_by_line_in_the_order_of_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is "no" makes the whole end with 3, one that nobody can judge with 4, and others are still judged."""
    assert run(folder) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "0129.json  established"
    assert err.startswith("130 files: 130 established, 0 refuted, 0 not established; ")
    (folder / "bundles" / "0000.json").write_bytes(b"")
    assert run(folder) == 4
    assert "is empty" in capsys.readouterr().out.splitlines()[0]
    revoked = next(case for case in good_cases() if case.name == "revoked")
    (folder / "bundles" / "0128.json").write_bytes(revoked.data)
    assert run(folder, "--json") == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == sorted(line["file"] for line in lines)
    assert lines[128]["status"] == "revoked"
    assert run(folder, "--quiet") == 3
    assert capsys.readouterr().out == ""


def test_a_directory_that_cannot_be_read_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not there, a file, or without a bundle: exit 4 and one sentence."""
    for name in ("nowhere", "policy.txt", "empty"):
        (folder / "empty").mkdir(exist_ok=True)
        path = str(folder / name)
        assert main(["verify", "--batch", path, "--policy", str(folder / "policy.txt")]) == 4
        assert path in capsys.readouterr().err


def test_one_file_or_one_directory(folder: Path) -> None:
    """Neither and both are usage errors."""
    for arguments in ([], [str(folder / "bundles" / "0000.json"), "--batch", str(folder / "bundles")]):
        with pytest.raises(SystemExit) as stopped:
            main(["verify", *arguments, "--policy", str(folder / "policy.txt")])
        assert stopped.value.code == 2
