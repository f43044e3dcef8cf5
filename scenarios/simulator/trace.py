"""One digest over everything that happened in a run, so that two runs can be compared by 64 characters."""

from __future__ import annotations

import hashlib

from ledger.consensus.effects import (
    Append,
    Broadcast,
    CheckpointAdvanced,
    Committed,
    Effect,
    Executed,
    SaveSafety,
    Send,
    SetTimer,
)
from scenarios.simulator.node import Node, Watcher


class Trace(Watcher):
    """SHA-256 over the events of a run in their order, and over every byte that was sent or written."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.events = 0

    def hexdigest(self) -> str:
        """Return the digest of everything so far, 64 hexadecimal characters."""
        return self._digest.hexdigest()

    def started(self, node: Node) -> None:
        """Note that a member came up."""
        self._note(node, "started", str(node.lives))

    def stopped(self, node: Node, reason: str) -> None:
        """Note that a member went down, and why."""
        self._note(node, "stopped", reason)

    def received(self, node: Node, sender: int, message: bytes) -> None:
        """Note a delivery; the bytes were noted when they were sent."""
        self._note(node, "received", f"{sender} {len(message)}")

    def refused(self, node: Node, what: str, code: str) -> None:
        """Note that a member refused an input."""
        self._note(node, f"refused {what}", code)

    def fired(self, node: Node, timer: str) -> None:
        """Note that a timer went off."""
        self._note(node, "fired", timer)

    def carried_out(self, node: Node, effect: Effect) -> None:
        """Note an effect when it takes place, not when it was asked for."""
        match effect:
            case Send(to, message):
                self._note(node, f"send {to}", "", message)
            case Broadcast(message):
                self._note(node, "broadcast", "", message)
            case Append(frame):
                self._note(node, "append", f"{frame.kind} {frame.height}", frame.payload)
            case SaveSafety(payload):
                self._note(node, "save", "", payload)
            case SetTimer(name, deadline_ms):
                self._note(node, "timer", f"{name} {deadline_ms}")
            case Committed(height, block_id, round_):
                self._note(node, "committed", f"{height} {round_}", block_id)
            case Executed():
                # The block record holds the state's root, so that it stands for everything that was executed.
                self._note(node, "executed", f"{effect.height}", effect.entries[-1])
            case CheckpointAdvanced(checkpoint):
                self._note(node, "checkpoint", f"{checkpoint.size}", checkpoint.root)
            case _:
                self._note(node, type(effect).__name__, "")

    def _note(self, node: Node, what: str, detail: str, data: bytes = b"") -> None:
        self.events += 1
        line = f"{node.now_us} {node.instance} {what} {detail} {len(data)}\n"
        self._digest.update(line.encode())
        self._digest.update(data)
