"""`ledger/verify.py` as its reader has it: copied alone to some directory, with two libraries and nothing of Mulu."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.proofs.bundle import BUNDLE_BYTES_MAX
from nodes.cli import main
from tests.proofs.cases import POLICY, good_cases
from tests.proofs.other_verifiers import PROJECT

NOW = "2025-09-15T08:25:00+08:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the program, a policy, and files of many kinds."""
    path = tmp_path_factory.mktemp("alone")
    shutil.copy(PROJECT / "ledger" / "verify.py", path / "verify.py")
    (path / "policy.txt").write_text(POLICY, encoding="utf-8")
    for case in good_cases():
        (path / f"{case.name}.json").write_bytes(case.data)
    good = (path / "hidden.json").read_bytes()
    (path / "torn").write_bytes(good[: len(good) // 2])
    (path / "newer").write_bytes(good.replace(b"mulu.bundle/1", b"mulu.bundle/2"))
    (path / "doubled").write_bytes(good.replace(b'"index":9', b'"index":9,"index":9'))
    (path / "utf-16").write_bytes(good.decode().encode("utf-16"))
    (path / "absurd").write_bytes(good.replace(b'"index":9', b'"index":' + b"9" * 5_000))
    (path / "deep").write_bytes(b"[" * 100_000)
    (path / "oversize").write_bytes(b" " * (BUNDLE_BYTES_MAX + 1))
    (path / "empty").write_bytes(b"")
    return path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the copy, isolated from the project and from the environment."""
    command = [sys.executable, "-I", "verify.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)


def both(folder: Path, capsys: pytest.CaptureFixture[str], name: str, *options: str) -> tuple[int, dict[str, object]]:
    """Return exit code and statement of the copy, which are those of `mulu verify`."""
    done = run(folder, name, "--policy", "policy.txt", "--json", "--now", NOW, *options)
    assert done.stderr == ""
    files = [str(folder / name), "--policy", str(folder / "policy.txt")]
    assert main(["verify", *files, "--json", "--now", NOW, *options]) == done.returncode, name
    theirs, own = json.loads(capsys.readouterr().out), json.loads(done.stdout)
    assert theirs.keys() == own.keys()
    assert (theirs["verdict"], theirs["genuine"]) == (own["verdict"], own["genuine"])
    return done.returncode, own


@pytest.mark.parametrize(
    ("name", "options", "exit_code"),
    [
        ("hidden.json", (), 0),
        ("with hops.json", ("--max-age", "12h"), 0),
        ("hidden.json", ("--max-age", "90s"), 4),
        ("hidden.json", ("--max-age", "90s", "--require", "genuine"), 0),
        ("hidden.json", ("--now", "2025-09-14T08:25:00+08:00"), 4),
        ("hidden.json", ("--now", "9999-12-31T23:59:59+00:00"), 4),
        ("hidden.json", ("--now", "0001-01-02T00:00:00Z"), 4),
        ("revoked.json", (), 3),
        ("revoked.json", ("--require", "genuine"), 0),
        ("absent.json", (), 3),
        *((name, (), 4) for name in ("torn", "newer", "doubled", "utf-16", "absurd", "deep", "oversize", "empty")),
        *((name, (), 4) for name in ("nowhere", ".")),
    ],
)
def test_flags_and_exit_codes_are_those_of_mulu_verify(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, options: tuple[str, ...], exit_code: int
) -> None:
    """Whatever the file is, and however far off the clock: never a traceback, and one sentence for what is wrong."""
    code, statement = both(folder, capsys, name, *options)
    assert code == exit_code
    assert bool(statement["reasons"]) == (statement["status"] != "valid" or not statement["fresh"])


def test_people_read_lines_and_quiet_prints_none(folder: Path) -> None:
    """The verdict first; without a policy nothing can be said."""
    files = ("hidden.json", "--policy", "policy.txt", "--now", NOW)
    shown = run(folder, *files)
    assert (shown.returncode, shown.stdout.splitlines()[0], shown.stderr) == (0, "Established.", "")
    assert run(folder, *files, "--quiet").stdout == ""
    without = run(folder, "hidden.json")
    assert (without.returncode, without.stderr) == (4, "")
    assert "--policy" in without.stdout


@pytest.mark.parametrize(
    "options", [("--now", "yesterday"), ("--now", "2025-09-15T08:10:00"), ("--max-age", "7"), ("--require", "luck")]
)
def test_a_wrong_option_is_a_usage_error(folder: Path, options: tuple[str, ...]) -> None:
    """Exit 2, as for every command."""
    done = run(folder, "hidden.json", "--policy", "policy.txt", *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
