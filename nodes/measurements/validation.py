"""How fast blocks are validated and committed: from their bytes to a state root and a durable journal.

Each round measures, one after the other, a plain loop over the signatures with `cryptography` and the whole validation
at each number of records an envelope. What is reported are medians over the rounds and their spread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.state.prepared import VerifyBatch
from nodes.measurements.rounds import Figure, Task, interleaved
from nodes.measurements.slowing import NOT_SLOWED, Slowing
from nodes.measurements.stages import Corpus, Passes, run_loop, signatures_of
from nodes.verification import verify_batch

SIGNED_TOGETHER = (1, 256)
"""Records an envelope that are measured: the fewest and the most."""


@dataclass(frozen=True, kw_only=True)
class ValidationFigures:
    """What was measured at one number of records an envelope."""

    k: int
    blocks: int
    records_per_second: Figure
    ratio_to_loop: Figure
    stage_us: Mapping[str, float]
    """Microseconds a record by stage, medians; in the order of `stages.STAGES`."""

    @property
    def binding(self) -> str:
        """The stage that takes longest."""
        return binding(self.stage_us)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything one run has measured."""

    rounds: int
    records: int
    refused: int
    state_keys: int
    cpu_share: float
    """Processor time of this process by the time that passed: well below 1, others were at work on the same cores."""
    loop_per_second: Figure
    validation: tuple[ValidationFigures, ...]


def binding(stage_us: Mapping[str, float]) -> str:
    """Return the stage that takes longest."""
    return max(stage_us, key=lambda stage: stage_us[stage])


def measure(
    corpus: Corpus,
    directory: Path,
    *,
    rounds: int,
    verify: VerifyBatch = verify_batch,
    slowing: Slowing = NOT_SLOWED,
    progress: Callable[[int], None] = lambda done: None,
) -> Report:
    """Measure validation on `corpus` in `rounds` rounds.

    Args:
        directory: Where journals are written, in a temporary folder; the disk under it is part of what is measured.
        verify: The verifier that validation uses; the loop it is compared with stays the same.
        slowing: Stages to be slowed on purpose.
        progress: Called after each round with the number of rounds done.

    Raises:
        InvariantBrokenError: Two passes ended in different states, or another number of records was refused.
        OSError, StorageFailedError: The journal cannot be written.
    """
    blocks = {k: corpus.blocks(k) for k in SIGNED_TOGETHER}
    state = corpus.state()
    signed = signatures_of(state, blocks[min(blocks)])
    with tempfile.TemporaryDirectory(prefix="mulu-bench-", dir=directory) as folder:
        tasks: dict[str, Task] = {"loop": lambda: run_loop(signed)}
        for k, raws in blocks.items():
            tasks[str(k)] = Passes(
                state, raws, corpus.refused_count, Path(folder) / str(k), verify=verify, slowing=slowing
            ).run
        taken = interleaved(tasks, rounds, progress)
    return Report(
        rounds=rounds,
        records=corpus.record_count,
        refused=corpus.refused_count,
        state_keys=len(state),
        cpu_share=taken.cpu_share,
        loop_per_second=taken.rate("loop"),
        validation=tuple(
            ValidationFigures(
                k=k,
                blocks=len(raws),
                records_per_second=taken.rate(str(k)),
                ratio_to_loop=taken.ratio(str(k), "loop"),
                stage_us=taken.stage_us(str(k)),
            )
            for k, raws in blocks.items()
        ),
    )
