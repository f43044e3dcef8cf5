"""What sharing costs: requests through the register, and rows from one department's database to another department.

Everything that is compared takes turns in every round, ratios are taken within a round, and what is reported is the
median with its spread, largest less smallest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nodes.machine import describe, package_version, validation_backend
from nodes.measurements import deliveries
from nodes.measurements.granted_streams import COPY, CURSOR
from nodes.measurements.private_postgres import NoPostgresError
from nodes.measurements.rounds import Figure, Rounds, Task, interleaved
from nodes.measurements.stages import Corpus, Passes

SCHEMA = "mulu.bench.sharing/1"

REQUESTS_TOGETHER = 16
"""Requests in an envelope."""

RATIO_TO_CURSOR_MIN = RATIO_TO_COPY_MIN = 0.5
"""The target, and beside it what would be remarkable."""

_REQUESTS = "requests"
_PLAIN = {"cursor": CURSOR, "copy": COPY, "driver": deliveries.SQLITE_DRIVER}
"""What deliveries are compared with, by short name."""
_BASES = {deliveries.SQLITE: ("driver", "cursor", "copy"), deliveries.POSTGRES: ("cursor", "copy")}
"""Of each delivery; the target is for the first, which is how Python reads rows from the same database by itself."""


def measure_sharing(
    corpus: Corpus, directory: Path, *, rows: int, rounds: int, progress: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Measure sharing, and return the document of what was found.

    Args:
        corpus: Requests for data that are granted at once.
        directory: Where databases, sealed chunks and journals are written and removed again: its disk is measured too.
        rows: In the table that is delivered.
        progress: Called after each round with the number of rounds done.

    Raises:
        InvariantBrokenError: Something else came out than went in.
        OSError, StorageFailedError: The disk fails.
    """
    with tempfile.TemporaryDirectory(prefix="mulu-bench-", dir=directory) as temporary, ExitStack() as stack:
        folder = Path(temporary)
        passes = Passes(corpus.state(), corpus.blocks(REQUESTS_TOGETHER), corpus.refused_count, folder / "journals")
        tasks: dict[str, Task] = {_REQUESTS: passes.run, **deliveries.sqlite_ways(folder, rows)}
        missing, server = "", None
        try:
            server, ways = stack.enter_context(deliveries.postgres_ways(folder, rows))
            tasks |= ways
        except NoPostgresError as error:
            missing = str(error)
        taken = interleaved(tasks, rounds, progress, warm=True)
    return {
        "schema": SCHEMA,
        "machine": describe(directory) | {"postgresql": server, "psycopg": package_version("psycopg")},
        "backend": validation_backend()._asdict(),
        "rounds": rounds,
        "cpu_share": round(taken.cpu_share, 3),
        "requests": {
            "k": REQUESTS_TOGETHER,
            "records": corpus.record_count,
            "per_second": _figure(taken.rate(_REQUESTS), 0),
            "stage_us": {stage: round(us, 2) for stage, us in taken.stage_us(_REQUESTS).items()},
        },
        "rows": rows,
        "deliveries": [_delivery(taken, name) for name in _BASES if name in tasks],
        "plain": [
            {"what": name, "rows_per_second": _figure(taken.rate(name), 0)} for name in _PLAIN.values() if name in tasks
        ],
        "not_measured": missing,
        "target": {"ratio_to_cursor": RATIO_TO_CURSOR_MIN, "ratio_to_copy": RATIO_TO_COPY_MIN},
    }


def _delivery(taken: Rounds, name: str) -> dict[str, Any]:
    ratios = {
        f"ratio_to_{short}": _figure(taken.ratio(name, _PLAIN[short]), 3)
        for short in _BASES[name]
        if _PLAIN[short] in taken.samples
    }
    return {
        "what": name,
        "rows_per_second": _figure(taken.rate(name), 0),
        "stage_us": {stage: round(us, 2) for stage, us in taken.stage_us(name).items()},
        **ratios,
    }


def _figure(figure: Figure, digits: int) -> dict[str, float]:
    return {"median": round(figure.median, digits), "spread": round(figure.spread, 3)}


def as_text(document: Mapping[str, Any]) -> str:
    """Return the document for a person to read."""
    machine, requests = document["machine"], document["requests"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, files on {machine['file_system']}",
        f"{machine['python']}, {machine['openssl']}, backend {document['backend']['name']}",
        f"PostgreSQL {machine['postgresql'] or 'none'}, psycopg {machine['psycopg']}",
        f"medians of {document['rounds']} rounds, spread in brackets; process {document['cpu_share']:.0%} of a core",
        "",
        _line(f"requests validated and executed, k = {requests['k']}", requests["per_second"]),
        "",
        f"{document['rows']:,} rows, in rows a second:",
        *(_line(plain["what"], plain["rows_per_second"]) for plain in document["plain"]),
        *(_delivery_line(delivery) for delivery in document["deliveries"]),
    ]
    if document["not_measured"]:
        lines.append(f"no figures for PostgreSQL: {document['not_measured']}")
    target = document["target"]["ratio_to_cursor"]
    for delivery in document["deliveries"]:
        base = _BASES[delivery["what"]][0]
        ratio = delivery[f"ratio_to_{base}"]["median"]
        met = "met" if ratio >= target else "NOT met"
        lines.append(f"{delivery['what']}: {ratio:.2f} of {_PLAIN[base]}, target {target:g}, {met}")
    return "\n".join(lines)


def _delivery_line(delivery: Mapping[str, Any]) -> str:
    stages = ", ".join(f"{stage} {us:.2f} us" for stage, us in delivery["stage_us"].items())
    ratios = "".join(
        f"   {delivery[f'ratio_to_{short}']['median']:.2f} x {short}"
        for short in _BASES[delivery["what"]]
        if f"ratio_to_{short}" in delivery
    )
    return f"{_line(delivery['what'], delivery['rows_per_second'])}{ratios}   ({stages})"


def _line(what: str, figure: Mapping[str, float]) -> str:
    return f"{what:44}{figure['median']:>10,.0f}  [{figure['spread']:.0%}]"
