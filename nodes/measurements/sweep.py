"""The measurements behind the report's plots: how throughput depends on batch, envelope, state and cores."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.crypto.backend import active_backend
from nodes.machine import cores
from nodes.measurements.backends import under, using
from nodes.measurements.rounds import Rounds, Sample, Task, interleaved
from nodes.measurements.slowing import NOT_SLOWED, Slowing
from nodes.measurements.stages import Corpus, Passes, Signed, run_loop, signatures_of, timed
from nodes.measurements.targets import RECORDS_PER_BLOCK, STATE_KEYS
from nodes.measurements.validation import binding
from nodes.pipeline import NATIVE_WORKERS, Pipeline
from nodes.verification import verify_batch

BATCHES = (64, 256, 1_024, 4_096, 10_000)
BATCH_PYTHON_MAX = 1_024
"""Python verifies one by one: a larger batch takes longer and tells nothing more."""

SIGNED_TOGETHER = (1, 16, 256)
KEYS = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class SweepSettings:
    """What to measure, and with what."""

    corpus: Corpus
    directory: Path
    rounds: int = 7
    keys: Sequence[int] = KEYS
    slowing: Slowing = NOT_SLOWED
    say: Callable[[str], None] = lambda text: None


def sweep(settings: SweepSettings) -> dict[str, Any]:
    """Measure; return figures under the names `batches`, `whole` and `keys`, each a list of points."""
    with tempfile.TemporaryDirectory(prefix="mulu-bench-", dir=settings.directory) as folder, ExitStack() as stack:
        return {
            "batches": _batches(settings),
            "whole": _whole(settings, Path(folder), stack),
            "keys": _keys(settings, Path(folder)),
        }


def _batches(settings: SweepSettings) -> list[dict[str, Any]]:
    """Signatures a second by backend and batch."""
    settings.say("report: signatures by batch size")
    signed = signatures_of(settings.corpus.state(), settings.corpus.blocks(1, records_per_block=RECORDS_PER_BLOCK))
    tasks: dict[str, Task] = {"loop": lambda: run_loop(signed[:BATCH_PYTHON_MAX])}
    points = []
    for backend in _backends():
        for size in BATCHES:
            batch = signed[:size]
            if len(batch) < size or (backend == "python" and size > BATCH_PYTHON_MAX):
                continue
            name = f"{backend} {size}"
            points.append((backend, size, name))
            tasks[name] = under(backend, _verifying(batch))
    taken = interleaved(tasks, settings.rounds, warm=True)
    names = {"python": "python", "native-portable": "native-portable", "native": active_backend().name}
    return [{"backend": names[backend], "batch": size, **_point(taken, name)} for backend, size, name in points]


def _verifying(batch: Sequence[Signed]) -> Task:
    # A small batch again and again, so that the clock has something to measure.
    times = max(1, 1_024 // len(batch))

    def run() -> Sample:
        _, seconds = timed(lambda: [verify_batch(batch) for _ in range(times)])
        return Sample(len(batch) * times, seconds)

    return run


def _backends() -> tuple[str, ...]:
    active = active_backend()
    if active.library is None:
        return ("python",)
    if active.name == "native-portable":
        return ("python", "native-portable")
    return ("python", "native-portable", "native")


def _whole(settings: SweepSettings, folder: Path, stack: ExitStack) -> list[dict[str, Any]]:
    """Records a second of whole validation, by backend, cores and records an envelope."""
    settings.say("report: whole validation by envelope size")
    corpus = settings.corpus.with_state_keys(STATE_KEYS)
    state = corpus.state()
    with using("python"):
        python_state = corpus.state()
    pipeline = stack.enter_context(Pipeline(workers=NATIVE_WORKERS)) if cores() > 1 else None
    blocks = {k: corpus.blocks(k, records_per_block=RECORDS_PER_BLOCK) for k in SIGNED_TOGETHER}
    signed = signatures_of(state, blocks[1])[:BATCH_PYTHON_MAX]
    tasks: dict[str, Task] = {"loop": lambda: run_loop(signed)}
    points: list[tuple[str, int, int, str]] = []
    for k, raws in blocks.items():
        python = Passes(python_state, raws[:1], None, folder / f"python-{k}", slowing=settings.slowing)
        tasks[f"python {k}"] = under("python", python.run)
        points.append(("python", 1, k, f"python {k}"))
        if active_backend().library is None:
            continue
        one = Passes(state, raws, corpus.refused_count, folder / f"one-{k}", slowing=settings.slowing)
        tasks[f"one {k}"] = one.run
        points.append((active_backend().name, 1, k, f"one {k}"))
        if pipeline is not None:
            two = Passes(state, raws, corpus.refused_count, folder / f"two-{k}")
            tasks[f"two {k}"] = _pipelined(two, pipeline)
            points.append((active_backend().name, 2, k, f"two {k}"))
    taken = interleaved(tasks, settings.rounds, warm=True)
    return [
        {"backend": backend, "cores": used, "k": k, **_point(taken, name), **_stages(taken, name, used)}
        for backend, used, k, name in points
    ]


def _pipelined(passes: Passes, pipeline: Pipeline) -> Task:
    return lambda: passes.run_ahead(pipeline)


def _keys(settings: SweepSettings, folder: Path) -> list[dict[str, Any]]:
    """What a record costs by the size of the state, k = 1."""
    tasks: dict[str, Task] = {}
    blocks = settings.corpus.blocks(1, records_per_block=RECORDS_PER_BLOCK)[:1]
    for keys in settings.keys:
        settings.say(f"report: making a state of {keys:,} keys")
        state = settings.corpus.with_state_keys(keys).state()
        tasks[str(keys)] = Passes(state, blocks, None, folder / f"keys-{keys}", slowing=settings.slowing).run
    taken = interleaved(tasks, settings.rounds, warm=True)
    return [
        {"keys": keys, "per_second": round(taken.rate(str(keys)).median), **_stages(taken, str(keys), 1)}
        for keys in settings.keys
    ]


def _point(taken: Rounds, task: str) -> dict[str, float]:
    return {
        "per_second": round(taken.rate(task).median),
        "ratio_to_loop": round(taken.ratio(task, "loop").median, 2),
        "spread": round(taken.rate(task).spread, 3),
    }


def _stages(taken: Rounds, task: str, used: int) -> Mapping[str, Any]:
    if used > 1:
        return {}
    stages = taken.stage_us(task)
    return {"stages_us": {stage: round(us, 3) for stage, us in stages.items()}, "binding": binding(stages)}
