"""What one event makes the node do: effects in their order, the timers that run, and charges that are made once."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.consensus.cache import BoundedCache
from ledger.consensus.effects import Append, CancelTimer, Effect, EvidenceFound, SaveSafety, SetTimer
from ledger.consensus.evidence import Evidence
from ledger.consensus.safety import SafetyRecord, record_bytes
from ledger.identifiers import Height
from ledger.storage.frames import Frame, FrameKind

CHARGES_MAX = 4_096
"""Charges remembered, so that the same one is not reported twice."""

ROUND_TIMER = "round"
REPEAT_TIMER = "repeat"
PROPOSE_TIMER = "propose"
IDLE_TIMER = "idle"
VOTE_TIMER = "vote"
START_TIMER = "start"
LISTEN_TIMER = "listen"
SYNC_TIMER = "sync"

TIMERS_OF_A_ROUND = (ROUND_TIMER, REPEAT_TIMER, PROPOSE_TIMER, IDLE_TIMER, VOTE_TIMER)
"""Those that mean nothing any more in the next round."""


class Outbox:
    """Effects of the event that is being handled; all parts of an engine write into the same one."""

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._deadlines_ms: dict[str, int] = {}
        """By the name of each timer that runs."""
        self._charges: BoundedCache[bool] = BoundedCache(CHARGES_MAX)

    def emit(self, effect: Effect) -> None:
        """Have the node do this after everything before it."""
        self._effects.append(effect)

    def emit_all(self, effects: Iterable[Effect]) -> None:
        """Have the node do these, in their order."""
        self._effects += effects

    def append(self, kind: FrameKind, height: int, payload: bytes) -> None:
        """Have a frame written to the journal."""
        self.emit(Append(Frame(kind, Height(height), payload)))

    def save(self, record: SafetyRecord) -> None:
        """Have what was signed made durable before anything leaves that is emitted after this (P20)."""
        self.emit(SaveSafety(record_bytes(record)))

    def accuse(self, evidence: Evidence) -> None:
        """Report evidence, once for each validator, round and kind."""
        charge = (evidence.kind, evidence.validator, evidence.round)
        if self._charges.get(charge) is None:
            self._charges.put(charge, True)
            self.emit(EvidenceFound(evidence))

    def arm(self, timer: str, deadline_ms: int) -> None:
        """Let the timer run until then, if it does not already."""
        if self._deadlines_ms.get(timer) != deadline_ms:
            self._deadlines_ms[timer] = deadline_ms
            self.emit(SetTimer(timer, deadline_ms))

    def disarm(self, timer: str) -> None:
        """Stop the timer if it runs."""
        if self._deadlines_ms.pop(timer, None) is not None:
            self.emit(CancelTimer(timer))

    def is_armed(self, timer: str) -> bool:
        """Return whether the timer runs."""
        return timer in self._deadlines_ms

    def fired(self, timer: str) -> int | None:
        """Note that the timer runs no more; return its deadline, None if it was not running."""
        return self._deadlines_ms.pop(timer, None)

    def take(self) -> list[Effect]:
        """Return all effects and be empty: the event is handled."""
        effects, self._effects = self._effects, []
        return effects

    def drop(self) -> None:
        """Forget effects and timers: what a journal is read back for was done before it was written."""
        self._effects = []
        self._deadlines_ms = {}
