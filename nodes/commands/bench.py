"""`mulu bench`: measure throughput on this machine, and say what the figures must be read with."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.errors import DecodeError
from nodes.commands.arguments import number
from nodes.commands.output import write_output
from nodes.commands.verify import UnreadableError
from nodes.exit_codes import ExitCode

if TYPE_CHECKING:
    from nodes.measurements.rounds import Figure
    from nodes.measurements.validation import Report

CORPUS = "scenarios.beijing.corpus"
"""Makes the records, as a module with `make_corpus`: by name, because nodes know no scenario."""

REQUEST_CORPUS = "scenarios.beijing.sharing.request_corpus"
"""Makes requests for data, as a module with `make_request_corpus`."""

SCHEMA, TARGETS_SCHEMA, SHARING_SCHEMA = "mulu.bench.validation/1", "mulu.targets/1", "mulu.bench.sharing/1"

STAGES = ("decode", "roots", "signatures", "execute", "state root", "journal")
"""As `nodes.measurements.stages` has them, without importing it for a help text."""

ROUNDS, ROUNDS_MAX = 7, 1_000
SEED_MAX = (1 << 63) - 1
"""As of `mulu simulate`."""
SIGNERS = 53
QUICK_SIGNERS, QUICK_ROUNDS = 8, 3
"""Enough to see that it works and roughly where it stands; too few for a figure to quote."""

CPU_SHARE_UNDISTURBED = 0.9
"""Waiting for the disk takes a few per cent; where more is missing, other programs took it."""

VALIDATION = """\
Measure how many records a second this machine validates and commits: decode and compare with the canonical form, hash
into roots, verify signatures, execute under the registers' rules, compute the state root, append to the journal and
sync. One record and 256 records to an envelope, and in the same rounds a plain loop over the same signatures.
"""


TARGETS = """\
Measure how far this machine reaches the project's targets: signatures alone, whole validation with and without the
native core, large states, one bad signature, agreement of all backends, and a live network. Figures are ratios to a
loop over the same signatures with `cryptography`, measured in the same rounds; each row names the stage that binds it.
"""

SHARING = """\
Measure what sharing costs: requests through the register, and rows from one department's database to another
department, from query to checked rows, with SQLite and with PostgreSQL; beside it psycopg's server-side cursor and COPY
on the same table. A private PostgreSQL server is started from the installed programs and removed again.
"""

SHARED_ROWS = 100_000
"""Of the table that is delivered."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command, its subcommands and their options."""
    parser = commands.add_parser(
        "bench",
        help="measure throughput on this machine",
        description="Measure throughput on this machine.",
        epilog="examples:\n  mulu bench validation\n  mulu bench targets --quick\n  mulu bench --report out",
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="measure everything and write DIR/report.html, to read, with plots"
    )
    parser.add_argument(
        "--targets", type=Path, metavar="FILE", help="with --report: take what `mulu bench targets --json` has printed"
    )
    parser.set_defaults(run=run_report, parser=parser)
    measurements = parser.add_subparsers(title="measurements", metavar="MEASUREMENT")
    validation = measurements.add_parser(
        "validation",
        help="validation and commit of blocks, by stage",
        description=VALIDATION,
        epilog="examples:\n  mulu bench validation\n  mulu bench validation --quick --json",
    )
    validation.add_argument("--json", action="store_true", help=f"print one JSON object ({SCHEMA})")
    validation.add_argument(
        "--rounds", type=number(1, ROUNDS_MAX), metavar="N", help=f"interleaved rounds (7; {QUICK_ROUNDS} if quick)"
    )
    validation.add_argument(
        "--quick", action="store_true", help=f"{QUICK_SIGNERS} signers instead of {SIGNERS}, in seconds"
    )
    _add_common(validation)
    validation.set_defaults(run=run, parser=validation)
    targets = measurements.add_parser(
        "targets",
        help="how far this machine reaches the project's targets",
        description=TARGETS,
        epilog="examples:\n  mulu bench targets\n  mulu bench targets --quick --json\n"
        "  mulu bench targets --rows 3,4 --slow journal=20",
    )
    targets.add_argument("--json", action="store_true", help=f"print one JSON object ({TARGETS_SCHEMA})")
    targets.add_argument("--quick", action="store_true", help="rows 1, 3, 4 and 10 alone, in less than 45 seconds")
    targets.add_argument("--rows", type=_rows, metavar="N,...", help="these rows alone, 1 to 11 (all of them)")
    targets.add_argument("--rounds", type=number(1, ROUNDS_MAX), metavar="N", help="interleaved rounds (7)")
    _add_common(targets)
    targets.set_defaults(run=run_targets, parser=targets)
    sharing = measurements.add_parser(
        "sharing",
        help="requests for data, and rows delivered",
        description=SHARING,
        epilog="examples:\n  mulu bench sharing\n  mulu bench sharing --quick --json",
    )
    sharing.add_argument("--json", action="store_true", help=f"print one JSON object ({SHARING_SCHEMA})")
    sharing.add_argument(
        "--rounds", type=number(1, ROUNDS_MAX), metavar="N", help=f"interleaved rounds (7; {QUICK_ROUNDS} if quick)"
    )
    sharing.add_argument(
        "--quick", action="store_true", help=f"{QUICK_SIGNERS} departments and a tenth of {SHARED_ROWS:,} rows"
    )
    _add_seed_and_directory(sharing)
    sharing.set_defaults(run=run_sharing, parser=sharing)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--slow",
        type=_slowed,
        action="append",
        default=[],
        metavar="STAGE=FACTOR",
        help="slow a stage of validation on purpose, to see that the report names it; can be given again",
    )
    _add_seed_and_directory(parser)


def _add_seed_and_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=number(0, SEED_MAX), default=1, metavar="N", help="seed of the records (1)")
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help="where journals are written and removed again: its disk is measured too (the temporary directory)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure validation and print the report."""
    from nodes.machine import describe, validation_backend
    from nodes.measurements.slowing import Slowing
    from nodes.measurements.validation import measure

    _check_directory(arguments)
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    signers = QUICK_SIGNERS if arguments.quick else SIGNERS
    _say(f"making and signing the records of {signers} departments")
    corpus = importlib.import_module(CORPUS).make_corpus(arguments.seed, departments=signers)
    slowing = Slowing(dict(arguments.slow))
    report = measure(corpus, arguments.directory, rounds=rounds, slowing=slowing, progress=_progress(rounds))
    document = {
        "schema": SCHEMA,
        "machine": describe(arguments.directory),
        "backend": validation_backend()._asdict(),
        "corpus": {"seed": arguments.seed, "signers": signers, **_corpus(report)},
        "quick": arguments.quick,
        **_figures(report),
    }
    print(json.dumps(document, indent=2) if arguments.json else _text(document))
    return ExitCode.GOOD


def run_targets(arguments: argparse.Namespace) -> int:
    """Measure the targets' rows and print them; that one is not met is a result, not a failure."""
    from nodes.measurements.targets_report import as_text, measure_document

    _check_directory(arguments)
    document = measure_document(
        rows=arguments.rows,
        quick=arguments.quick,
        rounds=arguments.rounds or ROUNDS,
        seed=arguments.seed,
        slow=dict(arguments.slow),
        directory=arguments.directory,
        say=_say,
    )
    print(json.dumps(document, indent=2, ensure_ascii=False) if arguments.json else as_text(document))
    return ExitCode.GOOD


def run_sharing(arguments: argparse.Namespace) -> int:
    """Measure sharing and print the report."""
    from nodes.measurements.sharing import as_text, measure_sharing

    _check_directory(arguments)
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    departments, rows = (QUICK_SIGNERS, SHARED_ROWS // 10) if arguments.quick else (SIGNERS, SHARED_ROWS)
    _say(f"making and signing the requests of {departments} departments")
    corpus = importlib.import_module(REQUEST_CORPUS).make_request_corpus(arguments.seed, departments=departments)
    document = measure_sharing(corpus, arguments.directory, rows=rows, rounds=rounds, progress=_progress(rounds))
    print(json.dumps(document, indent=2, ensure_ascii=False) if arguments.json else as_text(document))
    return ExitCode.GOOD


def run_report(arguments: argparse.Namespace) -> int:
    """Measure targets and plots, and write the page."""
    from nodes.measurements.page import page
    from nodes.measurements.targets_report import measure_document, measure_plots

    if arguments.report is None:
        arguments.parser.error("say what to measure: validation, targets, sharing, or everything with --report DIR")
    directory = Path(tempfile.gettempdir())
    # Before hours of measuring, whatever would come in their way at the end.
    document = None if arguments.targets is None else _read_targets(arguments.targets)
    arguments.report.mkdir(parents=True, exist_ok=True)
    if document is None:
        document = measure_document(
            rows=None, quick=False, rounds=ROUNDS, seed=1, slow={}, directory=directory, say=_say
        )
    plots = measure_plots(seed=1, rounds=ROUNDS, directory=directory, say=_say)
    place = arguments.report / "report.html"
    write_output(place, page(document, plots).encode())
    report = json.dumps({"targets": document, "plots": plots}, indent=2, ensure_ascii=False) + "\n"
    write_output(arguments.report / "report.json", report.encode())
    print(place)
    return ExitCode.GOOD


def _read_targets(path: Path) -> dict[str, Any]:
    """Return what was measured before.

    Raises:
        UnreadableError: The file holds nothing of the kind.
    """
    from nodes.measurements.targets_report import read_document

    try:
        return read_document(path)
    except DecodeError as error:
        raise UnreadableError(str(error)) from error


def _check_directory(arguments: argparse.Namespace) -> None:
    if not arguments.directory.is_dir():
        arguments.parser.error(f"argument --directory: {arguments.directory} is not a directory")


def _corpus(report: Report) -> dict[str, int]:
    return {"records": report.records, "refused": report.refused, "state_keys": report.state_keys}


def _figures(report: Report) -> dict[str, Any]:
    return {
        "rounds": report.rounds,
        "cpu_share": round(report.cpu_share, 3),
        "loop": {"per_second": _figure(report.loop_per_second, digits=0)},
        "results": [
            {
                "k": figures.k,
                "blocks": figures.blocks,
                "records_per_second": _figure(figures.records_per_second, digits=0),
                "ratio_to_loop": _figure(figures.ratio_to_loop, digits=3),
                "stages": [
                    {
                        "stage": stage,
                        "us_per_record": round(us, 2),
                        "share": round(us / sum(figures.stage_us.values()), 3),
                    }
                    for stage, us in figures.stage_us.items()
                ],
                "binding": figures.binding,
            }
            for figures in report.validation
        ],
    }


def _figure(figure: Figure, *, digits: int) -> dict[str, float]:
    return {"median": round(figure.median, digits), "spread": round(figure.spread, 3)}


def _text(document: dict[str, Any]) -> str:
    """Return the report for a person to read."""
    machine, corpus, loop = document["machine"], document["corpus"], document["loop"]["per_second"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, journal on {machine['file_system']}",
        f"{machine['python']}, {machine['openssl']}, backend {document['backend']['name']}",
        f"{corpus['records']} records of {corpus['signers']} signers, {corpus['refused']} of them to be refused",
        f"{corpus['state_keys']} keys in the state; medians of {document['rounds']} rounds, spread in brackets",
        "",
        f"{'loop over the signatures':36}{loop['median']:>9,.0f} /s  [{loop['spread']:.0%}]",
    ]
    for result in document["results"]:
        rate, ratio = result["records_per_second"], result["ratio_to_loop"]
        title = f"validated and committed, k = {result['k']}"
        lines += [
            f"{title:36}{rate['median']:>9,.0f} /s  [{rate['spread']:.0%}]   {ratio['median']:.2f} x loop",
            *(
                f"    {stage['stage']:12}{stage['us_per_record']:>9.2f} us  {stage['share']:>4.0%}"
                + ("   binding" if stage["stage"] == result["binding"] else "")
                for stage in result["stages"]
            ),
        ]
    if document["cpu_share"] < CPU_SHARE_UNDISTURBED:
        lines += [
            "",
            f"disturbed: this process got {document['cpu_share']:.0%} of a core; trust the ratios, not the rates",
        ]
    if document["quick"]:
        lines += ["", "a quick run: leave out --quick for figures to quote"]
    return "\n".join(lines)


def _progress(rounds: int) -> Callable[[int], None]:
    begun = time.monotonic()

    def tell(done: int) -> None:
        left_s = (time.monotonic() - begun) / done * (rounds - done)
        _say(f"round {done} of {rounds} done" + (f", about {left_s:.0f} s left" if done < rounds else ""))

    return tell


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr)


def _rows(text: str) -> tuple[str, ...]:
    numbers = tuple(text.split(","))
    if not set(numbers) <= {str(number) for number in range(1, 12)}:
        raise argparse.ArgumentTypeError(f"not numbers of rows: {text!r}; write for example 1,3,11")
    return numbers


def _slowed(text: str) -> tuple[str, float]:
    stage, _, factor = text.partition("=")
    stage = stage.replace("-", " ")
    if stage not in STAGES:
        raise argparse.ArgumentTypeError(f"there is no stage {stage!r}; there are {', '.join(STAGES)}")
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", factor) or float(factor) < 1:
        raise argparse.ArgumentTypeError(f"not a factor of 1 or more: {factor!r}")
    return stage, float(factor)
