"""A member without consensus: repeats what it hears, remembers what it saved. For the tests of the simulator alone."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.consensus.effects import Append, Broadcast, Effect, SaveSafety, Send, SetTimer, Sync
from ledger.consensus.events import Event, MessageReceived, PeerConnected, TimerFired
from ledger.errors import InvalidInputError
from ledger.identifiers import EnvelopeId, Height, ValidatorIndex
from ledger.storage.frames import Frame, FrameKind
from ledger.storage.safety_slots import SlotsRead

TICK_MS = 100
BAD = b"bad"


class FakeMember:
    """Counts ticks: each is appended, saved, and told to all others, in this order."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.safety: SlotsRead | None = None
        self.ticks = 0
        self.events: list[tuple[int, Event]] = []

    def recover(self, frames: Iterable[Frame], safety: SlotsRead, /) -> list[Effect]:
        self.frames = list(frames)
        self.safety = safety
        self.ticks = int.from_bytes(safety.payload or b"", "big")
        return []

    def start(self, now_ms: int) -> list[Effect]:
        return [SetTimer("tick", now_ms + TICK_MS)]

    def submit(self, raw: bytes, now_ms: int) -> tuple[EnvelopeId, list[Effect]]:
        if raw == BAD:
            raise InvalidInputError(raw)
        return EnvelopeId(raw), [Broadcast(raw)]

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        self.events.append((now_ms, event))
        match event:
            case TimerFired():
                self.ticks += 1
                number = self.ticks.to_bytes(8, "big")
                return [
                    Append(Frame(FrameKind.EXECUTED, Height(self.ticks), number * 100)),
                    SaveSafety(number),
                    Broadcast(b"tick" + number),
                    SetTimer("tick", now_ms + TICK_MS),
                ]
            case MessageReceived(_, message) if message == BAD:
                raise InvalidInputError(message)
            case MessageReceived(peer, b"ping"):
                return [Send(ValidatorIndex(peer), b"pong")]
            case PeerConnected():
                return [Sync()]
        return []

    def messages(self) -> list[bytes]:
        """Return what was received, in order."""
        return [event.message for _, event in self.events if isinstance(event, MessageReceived)]
