"""The report on the targets, as a document of the form `mulu.targets/1` and as text."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ledger.errors import DecodeError
from nodes.machine import describe, validation_backend
from nodes.measurements.live import live_rows
from nodes.measurements.slowing import Slowing
from nodes.measurements.sweep import SweepSettings, sweep
from nodes.measurements.targets import QUICK, TARGETS, Settings, measure_targets

SCHEMA = "mulu.targets/1"

CORPUS = "scenarios.beijing.corpus"
"""Makes the records, as a module with `make_corpus`: by name, because nodes know no scenario."""

BLOCKS, QUICK_BLOCKS = 16, 6
RECORDS_PER_DEPARTMENT = 188
"""Of 53 departments: one block of nearly 10,000 records."""


def measure_document(
    *,
    rows: Sequence[str] | None,
    quick: bool,
    rounds: int,
    seed: int,
    slow: Mapping[str, float],
    directory: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure and return the document.

    Args:
        rows: Numbers of rows; None for all, or for those of a quick run.
        slow: Factors by stage.
    """
    began = time.monotonic()
    numbers = rows or (QUICK if quick else tuple(dict.fromkeys(target.number for target in TARGETS.values())))
    make_corpus = importlib.import_module(CORPUS).make_corpus
    blocks = QUICK_BLOCKS if quick else BLOCKS
    report = measure_targets(
        Settings(
            rows=numbers,
            directory=directory,
            make_corpus=partial(
                make_corpus, seed, records_per_department=blocks * RECORDS_PER_DEPARTMENT, state_keys=1_000
            ),
            make_live=partial(live_rows, make_corpus=make_corpus, slowing=Slowing(slow)),
            quick=quick,
            rounds=rounds,
            slowing=Slowing(slow),
            say=say,
        )
    )
    machine = describe(directory)
    return {
        "schema": SCHEMA,
        "cpu": machine["cpu"],
        "backend": validation_backend().name,
        "backend_reason": validation_backend().reason,
        "machine": machine,
        "commit": commit_of(Path(__file__).parent),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "quick": quick,
        "seed": seed,
        "slow": dict(slow),
        "cpu_share": None if report.cpu_share is None else round(report.cpu_share, 3),
        "seconds": round(time.monotonic() - began, 1),
        "rows": [row.document() for row in report.rows],
    }


def measure_plots(*, seed: int, rounds: int, directory: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure what the report draws, and return it."""
    say("report: making and signing the records")
    make_corpus = importlib.import_module(CORPUS).make_corpus
    corpus = make_corpus(seed, records_per_department=QUICK_BLOCKS * RECORDS_PER_DEPARTMENT, state_keys=1_000)
    return sweep(SweepSettings(corpus, directory, rounds, say=say))


def read_document(path: Path) -> dict[str, Any]:
    """Return a document that was measured before.

    Raises:
        OSError: The file cannot be read.
        DecodeError: It holds no such document.
    """
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] == SCHEMA:
            return dict(document)
    except (ValueError, KeyError, TypeError):
        pass
    raise DecodeError(f"{path}: no document of the form {SCHEMA}: make one with `mulu bench targets --json`")


def commit_of(place: Path) -> str | None:
    """Return the commit of the source tree, with a mark if it was changed since; None for an installation."""
    try:
        described = subprocess.run(
            ["git", "-C", os.fspath(place), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def as_text(document: Mapping[str, Any]) -> str:
    """Return the report for a person to read."""
    machine = document["machine"]
    lines = [
        f"{document['cpu']}, {machine['cores']} cores, {machine['python']}, {machine['openssl']}",
        f"backend {document['backend']}; commit {document['commit'] or 'unknown'}; {document['seconds']:.0f} s",
        "",
        f"{'row':4} {'what':66} {'measured':>10} {'target':>10} {'moonshot':>10}  met   binding",
    ]
    for row in document["rows"]:
        sign = "<=" if row["at_most"] else ">="
        measured = "-" if row["measured"] is None else f"{row['measured']:,.4g}"
        if row["measured"] is not None and row["measured"] >= 1_000:
            measured = f"{row['measured']:,.0f}"
        met = {True: "yes", False: "NO", None: "-"}[row["met"]]
        lines.append(
            f"{row['row']:4} {row['what']:66} {measured:>10} {_bound(sign, row['target']):>10} "
            f"{_bound(sign, row['moonshot']):>10}  {met:4}  {row['binding'] or ''}"
        )
        if "why" in row:
            lines.append(f"     {row['why']}")
    if (share := document["cpu_share"]) is not None and share < 0.9:
        lines += ["", f"disturbed: this process got {share:.0%} of a core; trust the ratios, not the rates"]
    return "\n".join(lines)


def _bound(sign: str, value: float) -> str:
    return f"{sign} {value:,.7g}"
