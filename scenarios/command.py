"""`mulu simulate`: launch a city's departments, play its story, stop, and check what is left behind.

The verdict is the last act and is computed from the nodes' files alone, by a reader of its own (`scenarios.evidence`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import ledger

if TYPE_CHECKING:
    from scenarios.beijing.city import City
    from scenarios.evidence.checks import Evidence
    from scenarios.progress import Progress
    from scenarios.report import SimulationResult

GOOD, FAILED, TERMINATED = 0, 1, 143
"""Exit codes, as of every `mulu` command: what plays a city's story knows nothing of nodes but how to launch them."""

ANY_BACKEND = "any"
"""What a virtual run says of its backend: it gives the same bytes with every one, this word included."""

DESCRIPTION = """\
Launch a city's departments, let them publish their responsibilities and data, issue and change certificates, and make
some deliberate mistakes; then stop, and check from what they leave on disk whether all went as it must.
"""

EPILOG = """\
examples:
  mulu simulate beijing                                        53 departments as 53 processes
  mulu simulate beijing --departments 4 --duration 15 --json --keep out
  mulu simulate beijing --departments 7 --virtual --seed 5     one process, replayable to the byte

what --keep leaves in its directory:
  report.html, report.json   for people and for programs
  policy.txt, bundles/       mulu verify out/bundles/NAME.json --policy out/policy.txt
  verify.html                the same in a browser, from the disk and without a network
  network/                   live runs: each department's keys, journal, log and database, and what it has fetched

exit codes: 0 every check of the verdict holds, 1 one does not, 2 the command was called wrongly
"""

DURATION_S = 30
"""Live: what a working day is compressed into when nothing else is asked for."""

DAYS_MIN, DAYS_MAX = 7, 400
"""Virtual: a week has working days enough for a certificate's life; the city's calendar has a good year."""

DEFAULT_SEED = 1

_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "simulate",
        help="launch a multi-department simulation and check what it leaves behind",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("scenario", choices=["beijing"], metavar="CITY", help="whose departments and data: beijing")
    parser.add_argument(
        "--departments", type=_count(1, 53), default=None, metavar="N", help="the first N by rank, 1 to 53 (default 53)"
    )
    parser.add_argument(
        "--seed",
        type=_count(0, (1 << 63) - 1),
        default=DEFAULT_SEED,
        metavar="N",
        help=f"decides who states what ({DEFAULT_SEED})",
    )
    parser.add_argument(
        "--virtual",
        action="store_true",
        help="one process on a virtual clock, network and disk; the same bytes each time",
    )
    parser.add_argument(
        "--duration",
        type=_duration_s,
        default=None,
        metavar="TIME",
        help=f"live: time for the working day's records, for example 15 or 2m (default {DURATION_S}s); "
        "virtual runs keep office hours on their own clock",
    )
    parser.add_argument(
        "--days",
        type=_count(DAYS_MIN, DAYS_MAX),
        metavar="N",
        help=f"virtual: N calendar days of the city, {DAYS_MIN} to {DAYS_MAX}, with data shared at its full pace, late "
        "answers and mishaps; the other records are spread over them",
    )
    parser.add_argument("--records", type=_count(1, 10_000_000), metavar="N", help="submit about N records in all")
    parser.add_argument(
        "--engine",
        choices=["jolteon", "solo"],
        help="how blocks are ordered (default jolteon; solo for one department)",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep reports, bundles, policy and the nodes' data there"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument(
        "--no-shared-cache",
        action="store_true",
        help="virtual: every department checks every signature itself; slower, with the same output",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Run the scenario; return 0 if every check of the verdict holds, 1 if one does not."""
    from scenarios.beijing.city_files import load_city
    from scenarios.progress import open_progress

    city = load_city()
    if options.departments is not None:
        city = city.first(options.departments)
    if (problem := _problem_with(options, len(city.validators))) is not None:
        options.parser.error(problem)
    if options.keep is not None:
        # Now, because nobody wants to learn after the run that its results could not be kept.
        options.keep.mkdir(parents=True, exist_ok=True)
    with _cleaning_up_when_terminated(), open_progress(quiet=options.quiet) as progress:
        result = _run_virtual(options, city, progress) if options.virtual else _run_live(options, city, progress)
    if options.json:
        sys.stdout.write(result.as_bytes().decode())
    else:
        sys.stdout.write(result.as_text(_kept_files(options.keep)))
    return GOOD if result.ok else FAILED


@contextmanager
def _cleaning_up_when_terminated() -> Iterator[None]:
    """Let SIGTERM unwind as Ctrl-C does: the nodes are stopped, and what was not to be kept is removed."""
    terminated = False

    def end(_: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        # Whoever handles Ctrl-C now knows how to end: an event loop cancels its task, where an exception out of
        # nowhere would hit any callback. Ctrl-C itself may be ignored, as in a shell's background.
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):
            raise SystemExit(TERMINATED)
        interrupt(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        if terminated:
            raise SystemExit(TERMINATED) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_live(options: argparse.Namespace, city: City, progress: Progress) -> SimulationResult:
    from ledger.crypto.backend import active_backend
    from nodes.launcher import Launcher
    from scenarios.beijing.network import NETWORK, calendar_of, profiles_of, validators_of
    from scenarios.beijing.sharing.real_data import RealData
    from scenarios.beijing.story import BeijingStory
    from scenarios.live import DATABASE_FILE, READY_TIMEOUT_S, LiveDriver
    from scenarios.report import Timing, result_of

    began = time.monotonic()
    engine = _engine(options, len(city.validators))
    with _root(options.keep) as root:
        progress.phase("start the departments", len(city.validators))
        launcher = Launcher.prepare(
            root / "network",
            name=NETWORK,
            members=profiles_of(city),
            validators=validators_of(city),
            calendar=calendar_of(city),
            engine=engine,
        )
        data = RealData(city, options.seed)
        for code in launcher.codes:
            database = launcher.directory(code) / DATABASE_FILE
            launcher.bind_database(code, database, data.fill(code, database))
        with launcher:
            launcher.start_all()
            launcher.wait_ready(READY_TIMEOUT_S)
            progress.advance(len(city.validators), height=0)
            ready = time.monotonic()
            story = BeijingStory(
                city,
                seed=options.seed,
                start_ms=launcher.network.genesis.created_ms,
                span="live",
                chain=launcher.network.genesis.chain,
                duration_ms=1000 * (options.duration or DURATION_S),
                records=options.records,
            )
            fetches = data.fetches(launcher.network.genesis.created_ms)
            driver = LiveDriver(launcher, story, progress, fetches)
            asyncio.run(driver.play())
            played = time.monotonic()
        progress.phase("check what was left behind", 1)
        outcome = driver.collect(root / "network")
        result = result_of(
            outcome.evidence,
            city,
            scenario=options.scenario,
            engine=engine,
            mode="live",
            seed=options.seed,
            backend=active_backend().name,
            unexpected=outcome.unexpected,
            timing=Timing.of(outcome.latencies_ms, set_up_s=ready - began, run_s=played - ready),
        )
        progress.advance(1)
        _keep(options.keep, result, outcome.evidence, city)
    return result


def _run_virtual(options: argparse.Namespace, city: City, progress: Progress) -> SimulationResult:
    from scenarios.beijing.story import BeijingStory
    from scenarios.report import result_of
    from scenarios.virtual import found, play

    start_ms = int(city.workload.start.timestamp() * 1000)
    network = found(city, seed=options.seed, start_ms=start_ms)
    story = BeijingStory(
        city,
        seed=options.seed,
        start_ms=start_ms,
        span="virtual",
        chain=network.genesis.chain,
        records=options.records,
        days=options.days,
    )
    outcome = play(
        network,
        story,
        seed=options.seed,
        shared_cache=not options.no_shared_cache,
        listener=progress,
    )
    result = result_of(
        outcome.evidence,
        city,
        scenario=options.scenario,
        engine=network.genesis.parameters.engine,
        mode="virtual",
        seed=options.seed,
        backend=ANY_BACKEND,
        unexpected=outcome.unexpected,
    )
    if options.keep is not None:
        _write(options.keep, "genesis", outcome.genesis)
        for code, journal in outcome.journals.items():
            _write(options.keep, f"journals/{code}.frames", journal)
    _keep(options.keep, result, outcome.evidence, city)
    return result


def _keep(keep: Path | None, result: SimulationResult, evidence: Evidence, city: City) -> None:
    """Write reports, policy and bundles, if they are to be kept."""
    from scenarios.report_html import report_html

    if keep is None:
        return
    _write(keep, "report.json", result.as_bytes())
    _write(keep, "report.html", report_html(result, evidence, city))
    _write(keep, "policy.txt", evidence.policy.encode())
    _write(keep, "verify.html", (Path(ledger.__path__[0]) / "verify.html").read_bytes())
    for bundle in evidence.bundles:
        _write(keep, f"bundles/{bundle.name}", bundle.content)


def _write(keep: Path, name: str, content: bytes) -> None:
    path = keep / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _kept_files(keep: Path | None) -> dict[str, str]:
    if keep is None:
        return {}
    bundles = sorted((keep / "bundles").glob("*.json"))
    files = {"to read": f"{keep / 'report.html'}"}
    if bundles:
        files["to verify"] = f"mulu verify {bundles[0]} --policy {keep / 'policy.txt'}"
    return files


def _engine(options: argparse.Namespace, validators: int) -> str:
    if options.engine is not None:
        return str(options.engine)
    return "solo" if validators == 1 else "jolteon"


@contextmanager
def _root(keep: Path | None) -> Iterator[Path]:
    """Yield where the run's files go: the kept directory, or one that is removed at the end."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="mulu-") as temporary:
        yield Path(temporary)


def _problem_with(options: argparse.Namespace, validators: int) -> str | None:
    """Return why these options cannot go together, or None."""
    keep: Path | None = options.keep
    if keep is not None and keep.exists() and not keep.is_dir():
        return f"--keep {keep} is a file; give the path of a new or empty directory"
    if keep is not None and keep.exists() and any(keep.iterdir()):
        return f"--keep {keep} is not empty; give the path of a new or empty directory"
    if keep is not None and keep.exists() and not os.access(keep, os.W_OK | os.X_OK):
        return f"--keep {keep} cannot be written to; give a directory of your own"
    if options.engine == "solo" and validators > 1:
        return f"--engine solo is one node alone, and there are {validators}: add --departments 1"
    if options.virtual and options.duration is not None:
        return "--virtual keeps office hours on its own clock: say how much with --days or --records, not --duration"
    if options.days is not None and not options.virtual:
        return "--days passes on a virtual clock: add --virtual, or say with --duration how long a live run works"
    if options.virtual and options.engine == "jolteon" and validators == 1:
        return "--virtual runs a single department with --engine solo"
    return None


def _count(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{number} is not between {low} and {high}")
        return number

    return parse


def _duration_s(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 15, 30s, 2m or 3d")
    return int(match[1]) * _SECONDS[match[2] or "s"]
