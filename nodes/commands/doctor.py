"""`mulu doctor`: say whether this machine can run Mulu, what is missing, and what to do about it.

Every check says one thing. `missing` keeps `mulu simulate beijing` from running here; `note` is worth knowing. Nothing
is installed, started or left behind.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from nodes.exit_codes import ExitCode

SCHEMA = "mulu.doctor/1"

PYTHON_MIN = (3, 11)

PACKAGES = {
    "core": ("cryptography", "google-crc32c", "msgpack", "msgspec"),
    "node": ("cbor2", "fastapi", "httpx", "jinja2", "prometheus-client", "rich", "uvicorn"),
    "postgres": ("psycopg",),
    "pdf": ("fpdf2", "pyhanko", "segno"),
    "bench": ("pytest", "pytest-benchmark"),
}
"""Distributions by the extra that brings them: `node` brings `cose` too, and `simulate` is `node`."""

NEEDED = ("core", "node")
"""Without these nothing is simulated."""

PURPOSES = {
    "cargo": "builds the native core when Mulu is installed",
    "go": "lets the tests check proofs with other people's verifiers",
    "node": "lets the tests run the scripts of the pages",
    "postgres": "lets the tests connect a department's own database",
    "chromium": "lets the tests look at the pages as people see them",
    "promtool": "lets the tests check the metrics",
    "docker": "runs the departments of docker-compose.yml",
}
"""Programs that nothing here needs, and what each would be for."""

OTHER_PLACES = {"postgres": "usr/lib/postgresql/*/bin/postgres"}
"""Patterns below / for programs that are seldom on the PATH."""
OTHER_NAMES = {"chromium": ("chromium-browser", "google-chrome")}

DEPARTMENTS_MAX = 53
"""As many as `mulu simulate beijing` takes."""

SLOW_VERIFICATIONS_PER_SECOND = 3_000
"""About a third of a machine of 2020: 53 nodes on two such cores need several minutes."""
SLOW_SYNC_S = 0.05
"""Every block costs each node about two syncs."""
EARLIEST_UNIX_S = 1_735_689_600
"""2025-01-01: no clock that is right shows less."""

Status = Literal["ok", "missing", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    status: Status
    detail: str
    next_step: str = ""
    """Empty exactly if there is nothing to do."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "doctor",
        help="say whether this machine can run Mulu, and what is missing",
        description="Check what Mulu needs of this machine. "
        "Exit code 0 if `mulu simulate beijing` can run here, 1 if not.",
        epilog="examples:\n  mulu doctor\n  mulu doctor --departments 4 --json",
    )
    parser.add_argument(
        "--departments",
        type=_departments,
        default=DEPARTMENTS_MAX,
        metavar="N",
        help="nodes that shall run here at once, 1 to 53 (53)",
    )
    parser.add_argument("--json", action="store_true", help=f"print one JSON object ({SCHEMA})")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what every check finds."""
    findings = examine(arguments.departments)
    ok = all(finding.status != "missing" for finding in findings)
    if arguments.json:
        checks = [asdict(finding) for finding in findings]
        print(
            json.dumps({"schema": SCHEMA, "ok": ok, "departments": arguments.departments, "checks": checks}, indent=2)
        )
    else:
        for finding in findings:
            print(f"{finding.status:8}{finding.name:16}{finding.detail}")
            if finding.next_step:
                print(f"{'':24}-> {finding.next_step}")
        what = f"`mulu simulate beijing` with {arguments.departments} departments"
        print(f"\n{what} {'can run here' if ok else 'cannot run here: see what is missing above'}")
    return ExitCode.GOOD if ok else ExitCode.FAILED


def examine(departments: int) -> list[Finding]:
    """Return what every check finds for so many nodes on this machine."""
    findings = [_python(), *_packages()]
    # What follows uses the packages of the core.
    if all(finding.status != "missing" for finding in findings):
        findings += [_backend(), _signatures()]
    place = Path(tempfile.gettempdir())
    return [
        *findings,
        *_machine(departments, place),
        _sync(place),
        _loopback(),
        _clock(),
        *_tools(),
    ]


def _python() -> Finding:
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON_MIN:
        least = ".".join(map(str, PYTHON_MIN))
        return Finding("python", "missing", f"{running} runs, {least} is the least", f"install Python {least} or later")
    return Finding("python", "ok", running)


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> bool:
        with suppress(PackageNotFoundError):
            return bool(version(name))
        return False

    for extra, names in PACKAGES.items():
        absent = [name for name in names if not installed(name)]
        if not absent:
            yield Finding(f"packages, {extra}", "ok", ", ".join(names))
            continue
        yield Finding(
            f"packages, {extra}",
            "missing" if extra in NEEDED else "note",
            f"not installed: {', '.join(absent)}",
            "pip install mulu" if extra == "core" else f"pip install 'mulu[{extra}]'",
        )


def _backend() -> Finding:
    from nodes.machine import validation_backend

    backend = validation_backend()
    return Finding("validation", "ok", f"{backend.name}: {backend.reason}")


def _signatures() -> Finding:
    from nodes.machine import openssl_version, verifications_per_second

    rate = verifications_per_second()
    detail = f"{openssl_version()} verifies {rate:,.0f} Ed25519 signatures a second on one core"
    if rate < SLOW_VERIFICATIONS_PER_SECOND:
        return Finding("signatures", "note", detail, "take fewer --departments: this processor is slow, or busy")
    return Finding("signatures", "ok", detail)


def _machine(departments: int, place: Path) -> Iterator[Finding]:
    from nodes.disk_space import space_at
    from nodes.machine import cores, cpu_name, file_system, memory_bytes, open_files_limits
    from nodes.preconditions import needs_of

    disk = space_at(place)
    needs = needs_of(departments, disk)
    count = cores()
    if count < 2:
        yield Finding("cores", "note", f"{count} of {cpu_name()}", "give it two: 53 nodes on one take twice as long")
    else:
        yield Finding("cores", "ok", f"{count} of {cpu_name()}")
    yield _enough("memory", memory_bytes("MemAvailable"), needs.memory_bytes, "available", "take fewer --departments")
    where = f"free on {file_system(place)} under {place}"
    yield _enough("disk", disk.free_bytes, needs.disk_bytes, where, "free some, or set TMPDIR to another disk")
    soft, hard = open_files_limits()
    shown = f"{_limit(soft)}, at most {_limit(hard)}; {needs.open_files} are needed in each process"
    if hard < needs.open_files:
        yield Finding("open files", "missing", shown, f"raise the hard limit (ulimit -Hn {needs.open_files})")
    else:
        yield Finding("open files", "ok", shown)


def _limit(value: int) -> str:
    return "unlimited" if value == sys.maxsize else str(value)


def _enough(name: str, there: int | None, needed: int, where: str, next_step: str) -> Finding:
    """Compare what is there with what is needed, both in bytes."""
    if there is None:
        return Finding(name, "note", f"this system does not tell; {needed >> 20} MiB are needed", "look for yourself")
    detail = f"{there >> 20} MiB {where}; {needed >> 20} MiB are needed"
    return Finding(name, "ok", detail) if there >= needed else Finding(name, "missing", detail, next_step)


def _sync(place: Path) -> Finding:
    from nodes.machine import sync_seconds

    try:
        taken = sync_seconds(place)
    except OSError as error:
        return Finding(
            "fdatasync", "missing", f"{place}: {error.strerror}", "set TMPDIR to a directory you can write to"
        )
    detail = f"{taken * 1000:.2f} ms under {place}"
    if taken > SLOW_SYNC_S:
        return Finding("fdatasync", "note", detail, "set TMPDIR to a faster disk: every block waits for it")
    return Finding("fdatasync", "ok", detail)


def _loopback() -> Finding:
    """Listen on a free port, connect to it, and let both go."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname(), timeout=5),
        ):
            port = listener.getsockname()[1]
    except OSError as error:
        reason = error.strerror or str(error)
        return Finding("loopback", "missing", f"127.0.0.1: {reason}", "allow connections on the loopback interface")
    return Finding("loopback", "ok", f"127.0.0.1 took a connection on a free port ({port})")


def _clock() -> Finding:
    now = time.time()
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < EARLIEST_UNIX_S:
        return Finding(
            "clock", "missing", f"{shown} is in the past", "set the clock: nodes refuse blocks from the future"
        )
    return Finding("clock", "ok", shown)


def _tools() -> Iterator[Finding]:
    for name, purpose in PURPOSES.items():
        found = _find(name)
        if found is None:
            yield Finding(
                name, "note", f"not found; it {purpose}", "install it if you want that; nothing else needs it"
            )
        else:
            yield Finding(name, "ok", f"{found}; it {purpose}")


def _find(name: str) -> Path | None:
    for command in (name, *OTHER_NAMES.get(name, ())):
        if found := shutil.which(command):
            return Path(found)
    beside = sorted(Path("/").glob(OTHER_PLACES[name])) if name in OTHER_PLACES else []
    return beside[-1] if beside else None


def _departments(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= DEPARTMENTS_MAX):
        raise argparse.ArgumentTypeError(f"not a number of departments: {text!r}; write 1 to {DEPARTMENTS_MAX}")
    return int(text)
