"""The way back from a journal to a member: every block is executed again, and prepared ahead where that pays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict

from ledger.consensus.effects import Effect, Executed
from ledger.replica import Replica
from ledger.storage.safety_slots import SlotsRead
from nodes.collector import collector_paused
from nodes.journal import Journal
from nodes.pipeline import Gauges, KnownKeys, Pipeline, workers_for

logger = logging.getLogger(__name__)


def replay(
    replica: Replica,
    journal: Journal,
    slots: SlotsRead,
    on_executed: Callable[[Executed], object] | None = None,
    *,
    workers: int | None = None,
    gauges: Gauges | None = None,
) -> list[Effect]:
    """Rebuild a new member from its journal and safety slots, as `Replica.recover` does; return what that returns.

    Args:
        workers: Processes that prepare blocks ahead; None for as many as pay for a journal of this length.
        gauges: Count what each stage does.

    Raises:
        DecodeError, InvariantBrokenError: As for `Replica.recover`.
        StorageFailedError: The journal was damaged since it was opened.
    """
    with Pipeline(workers=workers_for(journal.end) if workers is None else workers, gauges=gauges) as pipeline:
        frames = (frame for _, frame in journal.frames())
        ahead = pipeline.prepare_frames(frames, KnownKeys(replica.state), replica.expect)
        with collector_paused():
            effects = replica.recover(ahead, slots, on_executed)
    if replica.height > 0:
        stages = {name: round(gauge["busy_s"], 3) for name, gauge in asdict(pipeline.gauges).items()}
        logger.info("replayed", extra={"height": replica.height, "workers": pipeline.workers, "busy_s": stages})
    return effects
