"""Measuring several things in turn, round after round: a shared machine's speed drifts, and ratios survive that."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple


class Figure(NamedTuple):
    """One figure over all rounds."""

    median: float
    spread: float
    """Largest less smallest, relative to the median."""

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Return the figure of what the rounds gave."""
        middle = statistics.median(samples)
        return cls(middle, (max(samples) - min(samples)) / middle if middle else 0.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one task took in one round."""

    count: int
    """Records, signatures or updates that it worked on."""
    seconds: float
    stage_s: Mapping[str, float] = field(default_factory=dict)
    """What the seconds are made of, where the task has stages."""

    @property
    def rate(self) -> float:
        """Things a second."""
        return self.count / self.seconds

    @property
    def cost(self) -> float:
        """Seconds a thing."""
        return self.seconds / self.count


@dataclass(frozen=True)
class Rounds:
    """What each task gave in each round."""

    samples: Mapping[str, Sequence[Sample]]
    cpu_share: float
    """Processor time of this process by the time that passed: well below 1, others were at work on the same cores."""

    def rate(self, task: str) -> Figure:
        """Return how many things a second a task did."""
        return Figure.of([sample.rate for sample in self.samples[task]])

    def ratio(self, task: str, base: str) -> Figure:
        """Return the ratio of two tasks' rates, taken within each round."""
        return Figure.of([a.rate / b.rate for a, b in zip(self.samples[task], self.samples[base], strict=True)])

    def stage_us(self, task: str) -> dict[str, float]:
        """Return the microseconds a thing that each stage of a task takes, medians."""
        samples = self.samples[task]
        return {
            stage: statistics.median(sample.stage_s[stage] / sample.count for sample in samples) * 1e6
            for stage in samples[0].stage_s
        }


Task = Callable[[], Sample]


def interleaved(
    tasks: Mapping[str, Task],
    rounds: int,
    progress: Callable[[int], None] = lambda done: None,
    *,
    warm: bool = False,
) -> Rounds:
    """Run every task once in each of `rounds` rounds, one after the other.

    Args:
        warm: Run every task once before anything counts: processes have started then, keys are known, caches are full.
        progress: Called after each round with the number of rounds done.
    """
    if rounds < 1:
        raise ValueError("at least one round")
    for task in tasks.values() if warm else ():
        task()
    samples: dict[str, list[Sample]] = {name: [] for name in tasks}
    with _settled_collector():
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        for number in range(rounds):
            for name, task in tasks.items():
                gc.collect()
                samples[name].append(task())
            progress(number + 1)
        cpu_share = (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)
    return Rounds(samples, cpu_share)


@contextmanager
def _settled_collector() -> Iterator[None]:
    """Keep what exists out of the garbage collector's way, as a node does with its imports."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
