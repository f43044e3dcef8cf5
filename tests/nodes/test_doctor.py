"""`mulu doctor`: what it says of a machine that has everything, and of one that lacks something."""

from __future__ import annotations

import json
import re
import socket
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nodes import cli, disk_space, machine
from nodes.commands import doctor
from nodes.exit_codes import ExitCode

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed of signatures is not what these tests are about."""
    monkeypatch.setattr(machine, "verifications_per_second", lambda: 9_000.0)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON of `mulu doctor --json`."""
    code = cli.main(["doctor", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def statuses(document: dict[str, Any]) -> dict[str, str]:
    """Return the status of each check by its name."""
    return {check["name"]: check["status"] for check in document["checks"]}


def test_a_machine_that_runs_the_tests_can_run_a_small_network(capsys: pytest.CaptureFixture[str]) -> None:
    """Four departments fit; every check has a status, a detail, and a next step exactly if there is something to do."""
    code, document = answer(capsys, "--departments", "4")
    assert (code, document["ok"], document["schema"]) == (ExitCode.GOOD, True, "mulu.doctor/1")
    for check in document["checks"]:
        assert check["status"] in ("ok", "note"), check
        assert check["detail"]
        assert bool(check["next_step"]) == (check["status"] != "ok"), check
    assert {"python", "packages, node", "validation", "signatures", "fdatasync", "loopback", "clock"} <= set(
        statuses(document)
    )


def test_people_get_a_line_a_check_and_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line says whether the first job can be done here."""
    assert cli.main(["doctor", "--departments", "4"]) == ExitCode.GOOD
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "`mulu simulate beijing` with 4 departments can run here"
    assert all(re.match(r"(ok|note|missing) +\S|  +-> \S", line) for line in lines[:-2])


def test_the_active_backend_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Who wonders about the speed learns what verifies signatures here."""
    _, document = answer(capsys)
    detail = next(check["detail"] for check in document["checks"] if check["name"] == "validation")
    assert detail.startswith(f"{machine.validation_backend().name}: ")


def test_a_missing_package_is_named_with_what_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what serves there is no simulation, and one command brings it."""
    monkeypatch.setitem(doctor.PACKAGES, "node", ("fastapi", "a-package-that-is-not-there"))
    code, document = answer(capsys, "--departments", "4")
    assert (code, document["ok"]) == (ExitCode.FAILED, False)
    check = next(check for check in document["checks"] if check["name"] == "packages, node")
    assert check["status"] == "missing"
    assert "a-package-that-is-not-there" in check["detail"]
    assert check["next_step"] == "pip install 'mulu[node]'"


def test_a_missing_extra_that_nothing_needs_is_a_note(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plots are no reason to say no."""
    monkeypatch.setitem(doctor.PACKAGES, "bench", ("a-package-that-is-not-there",))
    code, document = answer(capsys, "--departments", "4")
    assert (code, statuses(document)["packages, bench"]) == (ExitCode.GOOD, "note")


@pytest.mark.parametrize(
    ("module", "function", "value", "check"),
    [
        (machine, "memory_bytes", 1 << 20, "memory"),
        (disk_space, "space_at", disk_space.DiskSpace(size_bytes=1 << 40, free_bytes=1 << 31), "disk"),
        (machine, "open_files_limits", (64, 64), "open files"),
    ],
)
def test_too_little_of_something_is_missing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    function: str,
    value: object,
    check: str,
) -> None:
    """Each bound is checked on its own, and nothing else is called missing for it."""
    monkeypatch.setattr(module, function, lambda _=None: value)
    code, document = answer(capsys, "--departments", "4")
    assert code == ExitCode.FAILED
    assert [name for name, status in statuses(document).items() if status == "missing"] == [check]


def test_a_temporary_directory_that_cannot_be_written_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error of the system becomes a line with a next step."""
    monkeypatch.setattr(machine, "sync_seconds", lambda _: (tmp_path / "not there").stat())
    code, document = answer(capsys, "--departments", "4")
    assert (code, statuses(document)["fdatasync"]) == (ExitCode.FAILED, "missing")


def test_a_clock_in_the_past_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose clock was never set would found a network nobody else accepts."""
    monkeypatch.setattr(doctor.time, "time", lambda: 0.0)
    code, document = answer(capsys, "--departments", "4")
    assert (code, statuses(document)["clock"]) == (ExitCode.FAILED, "missing")


def test_nothing_listens_afterwards() -> None:
    """The port that was tried on loopback is free again."""
    finding = doctor._loopback()
    port = int(re.search(r"\((\d+)\)", finding.detail)[1])  # type: ignore[index]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_tools_that_are_not_there_are_notes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No program is needed; each says what it would be for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "OTHER_PLACES", {})
    code, document = answer(capsys, "--departments", "4")
    assert code == ExitCode.GOOD
    tools = [check for check in document["checks"] if check["name"] in doctor.PURPOSES]
    assert {check["status"] for check in tools} == {"note"}
    assert all(doctor.PURPOSES[check["name"]] in check["detail"] for check in tools)


def test_the_packages_asked_for_are_those_of_the_project() -> None:
    """The table is the one of pyproject.toml."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {"core": project["dependencies"], **project["optional-dependencies"]}

    def names_of(extra: str) -> set[str]:
        """The packages of an extra, and of the extras that it brings."""
        names: set[str] = set()
        for requirement in declared[extra]:
            if brought := re.fullmatch(r"mulu\[(\w+)\]", requirement):
                names |= names_of(brought[1])
            else:
                names.add(re.split(r"[<>=~!;\[ ]", requirement)[0])
        return names

    assert {extra: set(names) for extra, names in doctor.PACKAGES.items()} == {
        extra: names_of(extra) for extra in doctor.PACKAGES
    }
    assert declared.keys() - doctor.PACKAGES.keys() == {"cose", "simulate", "dev", "all"}
