"""What a member asks its node to do: plain data, carried out in the order given.

The order is a promise. Whatever leaves after a `SaveSafety` or a `Sync` may leave only once that is durable (P20).
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.blocks.block import Block
from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.log import BlockRecord
from ledger.consensus.evidence import Evidence
from ledger.identifiers import BlockId, Height, ValidatorIndex
from ledger.storage.frames import Frame


@dataclass(frozen=True, slots=True)
class Append:
    """Write a frame at the end of the journal. Not durable before the next `SaveSafety` or `Sync`."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class SaveSafety:
    """Sync the journal, then write the safety record into its next slot and sync that too."""

    payload: bytes
    """At most `SLOT_PAYLOAD_BYTES_MAX` bytes."""


@dataclass(frozen=True, slots=True)
class Sync:
    """Sync the journal; the safety record is as it was."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to one other validator. It may be lost; nothing is waited for."""

    to: ValidatorIndex
    message: bytes


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send a message to all other validators, never to oneself."""

    message: bytes


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire `TimerFired(name)` at or after the deadline. There is one timer a name; a new one replaces the old."""

    name: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer of this name, if there is one."""

    name: str


@dataclass(frozen=True, slots=True)
class Committed:
    """A block has its place for ever. Its execution follows."""

    height: Height
    block_id: BlockId
    round: int


@dataclass(frozen=True, slots=True)
class Executed:
    """A committed block was executed: for the index and the stream of events."""

    height: Height
    block: Block
    record: BlockRecord
    results: tuple[bytes, ...]
    """The codes of each envelope's records, in the order of the payload."""
    entries: tuple[bytes, ...]
    """Encoded entries of the log: one an envelope, the block record last."""
    first_index: int
    """Log index of `entries[0]`."""
    touched: tuple[tuple[tuple[bytes, ...], ...], ...]
    """Keys of the state that each record of each envelope has written."""
    touched_by_deadlines: tuple[tuple[bytes, ...], ...]
    """Keys of the state that acting on each deadline of the block record has written."""


@dataclass(frozen=True, slots=True)
class CheckpointAdvanced:
    """A larger checkpoint has its quorum, and this member has executed as far as it reaches."""

    checkpoint: QuorumCheckpoint


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """A validator has signed two statements that exclude each other. Keep it: it convinces third parties."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class SigningStopped:
    """This member signs nothing more in this epoch, and goes on as an observer (P22, P23)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the node: the quorum attests to another history than this member has executed (P20c)."""

    reason: str


Effect = (
    Append
    | SaveSafety
    | Sync
    | Send
    | Broadcast
    | SetTimer
    | CancelTimer
    | Committed
    | Executed
    | CheckpointAdvanced
    | EvidenceFound
    | SigningStopped
    | Halt
)
