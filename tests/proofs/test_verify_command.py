"""`mulu verify`: what it prints where, how it ends, and that it stays light."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.crypto.commitments import disclose
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import BUNDLE_BYTES_MAX, Opening, build_bundle
from ledger.proofs.policy import make_policy
from nodes.cli import main
from tests.proofs.memory_ledger import FIELDS, IDENTIFIER, ledger_with_certificate
from tests.proofs.small_network import found

PROJECT = Path(__file__).resolve().parents[2]
NOW = "2025-09-15T08:10:00+08:00"

MEMORY_KIB_MAX = 60 * 1024
CPU_S_MAX = 0.25
"""What one bundle may cost, the start of the program included. Processor time, because other tests run beside."""

HEAVY = (
    "email",
    "importlib.metadata",
    "fastapi",
    "pydantic",
    "starlette",
    "uvicorn",
    "rich",
    "httpx",
    "asyncio",
    "sqlite3",
    "matplotlib",
)
"""Modules that cost more to import than a bundle costs to verify."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good bundle and its policy."""
    path = tmp_path_factory.mktemp("verify")
    genesis = found()
    opening = Opening(content=disclose(FIELDS, ["企业名称"]))
    (path / "bundle.json").write_bytes(build_bundle(ledger_with_certificate(genesis).view(), IDENTIFIER, opening))
    policy = make_policy(ValidatorSet.of_genesis(genesis), genesis.founders, parse_day("2027-12-31"))
    (path / "policy.txt").write_text(policy, encoding="utf-8")
    return path


def run(folder: Path, *options: str) -> int:
    """Return the exit code of `mulu verify` on the good bundle and policy, with options after them."""
    return main(["verify", str(folder / "bundle.json"), "--policy", str(folder / "policy.txt"), "--now", NOW, *options])


def test_a_good_bundle_ends_with_0_and_says_what_was_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The statement is on standard output, and nothing on standard error."""
    assert run(folder) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for part in ("Established", IDENTIFIER, "Market Regulation", "AY-01", "Organisation Office", "企业名称"):
        assert part in out


def test_json_is_one_object_with_every_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs find the same keys whether anything was established or not."""
    assert run(folder, "--json") == 0
    good = json.loads(capsys.readouterr().out)
    assert (good["format"], good["genuine"], good["status"], good["age_s"]) == ("mulu.statement/1", True, "valid", 360)
    assert run(folder, "--json", "--policy", str(folder / "bundle.json")) == 4
    assert json.loads(capsys.readouterr().out).keys() == good.keys()
    assert run(folder, "--json", "--policy", str(folder / "nowhere.txt")) == 4
    out, err = capsys.readouterr()
    assert json.loads(out).keys() == good.keys()
    assert "nowhere.txt" in err
    assert run(folder, "--json", "--quiet", "--policy", str(folder / "nowhere.txt")) == 4
    assert capsys.readouterr().out == ""


def test_quiet_leaves_the_exit_code_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed."""
    assert run(folder, "--quiet") == 0
    assert run(folder, "--quiet", "--max-age", "60s") == 4
    assert run(folder, "--quiet", "--max-age", "60s", "--require", "genuine") == 0
    assert run(folder, "--quiet", "--now", "2026-09-16T00:00:00+08:00", "--max-age", "900d") == 3
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("nowhere.json", None, "there is no"),
        ("empty.json", b"", "is empty"),
        (".", None, "is a directory"),
        ("nul\0", None, "cannot be read"),
        ("torn.json", b'{"approval":', "not a bundle"),
        ("long.json", b" " * (BUNDLE_BYTES_MAX + 10), "at most"),
        ("image.json", b"\x89PNG\r\n\x1a\n", "not a bundle"),
    ],
)
@pytest.mark.parametrize("which", ["bundle", "policy"])
def test_a_file_that_cannot_be_read_is_named_in_one_sentence(
    folder: Path, name: str, content: bytes | None, sentence: str, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4 and no traceback, whichever of the two files it is."""
    path = folder / name
    if content is not None:
        path.write_bytes(content)
    files = {"bundle": str(folder / "bundle.json"), "policy": str(folder / "policy.txt")} | {which: str(path)}
    assert main(["verify", files["bundle"], "--policy", files["policy"], "--now", NOW]) == 4
    out, err = capsys.readouterr()
    said = out + err
    # What is in a policy's place and is none is said in the policy's own words.
    assert (sentence if which == "bundle" or content in (None, b"") else "policy") in said
    assert "Traceback" not in said
    assert err == "" or re.fullmatch(r"mulu: [^\n]+ \[unreadable_file\]\n", err)


def test_without_a_policy_nothing_can_be_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next step is named."""
    assert main(["verify", str(folder / "bundle.json")]) == 4
    assert re.fullmatch(r"mulu: [^\n]+ --policy \[no_policy\]\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--max-age", "300s"), "older than 5 minutes"),
        (("--max-age", "90s"), "older than 90 seconds"),
        (("--now", "2025-09-23T08:10:00+08:00"), "older than 7 days"),
        (("--now", "2025-09-13T08:10:00+08:00"), "47 hours ahead of this clock"),
        (("--max-age", "300s", "--require", "genuine"), "But:\n  - the newest block"),
    ],
)
def test_lengths_of_time_are_said_as_people_say_them(
    folder: Path, options: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bound in the unit it was given in, a distance in the largest unit that is exact enough."""
    run(folder, *options)
    out = capsys.readouterr().out
    assert sentence in out
    assert "-" not in out.partition("Fresh ")[2].partition("\n")[0]


@pytest.mark.parametrize(
    "options",
    [
        ("--now", "yesterday"),
        ("--now", "2025-09-15T08:10:00"),
        ("--max-age", "a week"),
        ("--max-age", "7"),
        ("--require", "luck"),
    ],
)
def test_a_wrong_option_is_a_usage_error(folder: Path, options: tuple[str, str]) -> None:
    """Exit 2, before any file is read."""
    with pytest.raises(SystemExit) as stopped:
        run(folder, *options)
    assert stopped.value.code == 2


def test_the_command_imports_nothing_heavy(folder: Path) -> None:
    """It starts without the web framework of a node, and without any network code."""
    program = (
        "import sys; from nodes.cli import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    files = [str(folder / "bundle.json"), "--policy", str(folder / "policy.txt"), "--now", NOW, "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", *files], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to know a process's peak of memory")
def test_one_bundle_costs_little_time_and_memory(folder: Path) -> None:
    """The best of three runs, measured by the program itself."""
    program = (
        "import re, resource, sys; from nodes.cli import main; code = main(sys.argv[1:]);"
        "used = resource.getrusage(resource.RUSAGE_SELF);"
        # Not `ru_maxrss`, which begins with what the process that started this one had.
        "memory = re.search(r'VmHWM:\\s+([0-9]+) kB', open('/proc/self/status').read())[1];"
        "print(code, used.ru_utime + used.ru_stime, memory)"
    )
    files = [str(folder / "bundle.json"), "--policy", str(folder / "policy.txt"), "--now", NOW, "--quiet"]
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", program, "verify", *files]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        code, cpu_s, memory_kib = done.stdout.split()
        assert code == "0"
        runs.append((float(cpu_s), int(memory_kib)))
    assert min(runs)[0] <= CPU_S_MAX
    assert max(memory_kib for _, memory_kib in runs) <= MEMORY_KIB_MAX


def test_an_output_that_knows_no_chinese_gets_escapes(folder: Path) -> None:
    """A console in plain ASCII shows the statement all the same."""
    files = [str(folder / "bundle.json"), "--policy", str(folder / "policy.txt"), "--now", NOW]
    done = subprocess.run(
        [sys.executable, "-m", "nodes.cli", "verify", *files],
        cwd=PROJECT,
        capture_output=True,
        check=False,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u4f01" in done.stdout
