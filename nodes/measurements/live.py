"""The rows on the live network: what a network under load did, and where its processor time goes."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodes.launcher import PreconditionError
from nodes.measurements.rounds import interleaved
from nodes.measurements.slowing import NOT_SLOWED, Slowing
from nodes.measurements.stages import Corpus, Passes
from nodes.measurements.targets import TARGETS, Row
from nodes.measurements.validation import binding

LOAD = "scenarios.beijing.load"
"""Runs a network under load: by name, because nodes know no scenario."""

NETWORKS = (("11a", 4, 1_000.0), ("11b", 53, 6_000.0))
"""Row, departments, and milliseconds within which 99 of 100 receipts must come."""

K = 16
REST = "consensus, transport and gateway"
"""What a node's processor time goes to beside the stages of validation."""


def live_rows(
    directory: Path,
    make_corpus: Callable[..., Corpus],
    say: Callable[[str], None],
    *,
    slowing: Slowing = NOT_SLOWED,
    networks: tuple[tuple[str, int, float], ...] = NETWORKS,
) -> Iterator[Row]:
    """Run each network under load, and yield its row.

    Args:
        directory: Where the networks' files are for a while.
        make_corpus: As `scenarios.beijing.corpus.make_corpus`; a small corpus shows what each stage costs at `K`.
        slowing: Slows stages where they are measured by themselves; the nodes know nothing of it.
    """
    with tempfile.TemporaryDirectory(prefix="mulu-bench-", dir=directory) as folder:
        stage_us = _stage_us(make_corpus(departments=4, state_keys=1_000), Path(folder), slowing)
    load = importlib.import_module(LOAD)
    for row, departments, p99_ms in networks:
        target = TARGETS[row]
        try:
            with tempfile.TemporaryDirectory(prefix="mulu-bench-", dir=directory) as folder:
                figures = load.measure(Path(folder) / "network", departments=departments, p99_ms=p99_ms, say=say)
        except PreconditionError as error:
            yield Row(target, None, why=str(error))
            continue
        best = load.best_step(figures.steps, p99_ms)
        node_us = best.node_us / best.nodes
        stages = {**stage_us, REST: max(0.0, node_us - sum(stage_us.values()))}
        more: dict[str, Any] = {
            "p99_ms": round(best.p99_ms),
            "node_us": round(node_us, 1),
            "client_us": round(best.client_us, 1),
            "stages_us": {stage: round(us, 1) for stage, us in stages.items()},
            "steps": [_step(step) for step in figures.steps],
            "k=1": None if figures.single is None else _step(figures.single),
            "one_down": None if figures.one_down is None else _step(figures.one_down),
            "seconds": round(figures.seconds, 1),
        }
        in_time = best.p99_ms <= p99_ms
        if not in_time:
            more["missed"] = f"no load had its receipts within {p99_ms:g} ms"
        yield Row(
            target,
            best.records_per_second,
            rounds=len(figures.steps),
            binding=binding(stages),
            otherwise_met=in_time,
            more=more,
        )


def _stage_us(corpus: Corpus, directory: Path, slowing: Slowing) -> dict[str, float]:
    """Return what the stages of validation take for a record at `K`, on one core."""
    passes = Passes(corpus.state(), corpus.blocks(K), corpus.refused_count, directory / "stages", slowing=slowing)
    return interleaved({"stages": passes.run}, rounds=7, warm=True).stage_us("stages")


def _step(step: Any) -> Mapping[str, Any]:
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(step).items()}
