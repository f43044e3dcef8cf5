"""What an ordering engine is to the member around it, and what it needs of it.

An engine decides which block comes next and when it is committed. Two are here: Jolteon (`ledger.consensus.jolteon`),
and one node alone (`ledger.consensus.solo`). Raft, for comparison under crash faults, is a third one behind the same
`Engine`: its log index takes the place of the round, its term that of the epoch, and it needs no certificates, so a
block's justification stays opaque to everything outside.

Epoch change (P24 to P27) enters here too. An engine lives for one epoch and its `ValidatorSet`. `Application.commit`
is where a member will learn that the committed block changes the set; it then closes this engine, collects the old
set's cosignatures of exactly that log size, and builds the next engine on the genesis certificate of the next epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.genesis import Parameters
from ledger.consensus.effects import Effect
from ledger.consensus.messages import PAYLOAD_BYTES_MAX, Message, Proposal
from ledger.identifiers import Digest, Height, ValidatorIndex
from ledger.storage.frames import Frame
from ledger.storage.safety_slots import SlotsRead


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times in milliseconds and the size of a block, all from the genesis parameters."""

    base_timeout_ms: int
    block_interval_ms: int
    """At least this long between a parent and its child."""
    idle_ms: int
    """After this long without work an empty block is proposed (P16a)."""
    payload_bytes_max: int
    """Envelopes of one block that this member proposes."""

    @classmethod
    def of(cls, parameters: Parameters) -> Timing:
        """Return what the genesis says."""
        return cls(
            base_timeout_ms=parameters.base_timeout_ms,
            block_interval_ms=parameters.block_interval_ms,
            idle_ms=parameters.idle_ms,
            payload_bytes_max=min(parameters.block_payload_bytes, PAYLOAD_BYTES_MAX),
        )


class Application(Protocol):
    """The member as an engine sees it: a source of payloads, a judge of them, and the place where blocks go."""

    def has_payload(self) -> bool:
        """Return whether an envelope waits that a block proposed now, or one in its branch, would take."""

    def take_payload(self, branch: Sequence[Proposal], *, height: Height, bytes_max: int) -> tuple[bytes, ...]:
        """Return envelopes for a new block of `height`.

        Args:
            branch: The uncommitted blocks below it, oldest first; what they hold is not returned again.
            bytes_max: Bound on the envelopes' bytes together.
        """

    def approves(self, proposal: Proposal, branch: Sequence[Proposal]) -> bool:
        """Return whether to vote as far as the payload goes: the local filter of P9a, no rule of validity.

        Args:
            branch: As for `take_payload`.
        """

    def commit(self, proposal: Proposal) -> list[Effect]:
        """Execute the next committed block and append it to the log, before this returns."""

    def log_size(self, height: int) -> int | None:
        """Return the size of the log after the block of `height`; None if it is not executed."""

    def log_root(self, size: int) -> Digest | None:
        """Return the root over the first `size` entries; None if the log is shorter."""

    def committed_block(self, height: int) -> bytes | None:
        """Return the encoded committed block of `height`, from wherever blocks are kept; None if it is not there."""


class Engine(Protocol):
    """An ordering engine. Every method but `recover` returns effects in the order in which they must be carried out."""

    @property
    def height(self) -> Height:
        """Of the newest committed block."""

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        """The largest checkpoint with a quorum that this member has executed as far as it reaches."""

    @property
    def leader(self) -> ValidatorIndex | None:
        """Who may propose now, as far as this member knows; None while it does not."""

    def recover(self, frames: Iterable[Frame], slots: SlotsRead) -> None:
        """Rebuild everything from the journal's frames and the safety slots (P21, P22). Called once, before `start`."""

    def start(self, now_ms: int) -> list[Effect]:
        """Begin to take part."""

    def on_message(self, peer: ValidatorIndex, message: Message, now_ms: int) -> list[Effect]:
        """Take a decoded message.

        Raises:
            InvalidInputError: The sender broke the protocol. The engine is unchanged.
        """

    def on_timer(self, name: str, now_ms: int) -> list[Effect]:
        """Take the firing of a timer; one that means nothing any more is ignored."""

    def on_connected(self, peer: ValidatorIndex, now_ms: int) -> list[Effect]:
        """A connection with a validator is up."""

    def on_disconnected(self, peer: ValidatorIndex) -> None:
        """The connection is gone."""

    def on_payload(self, now_ms: int) -> list[Effect]:
        """The application may have a payload now."""

    def pause(self, reason: str) -> None:
        """Sign nothing until `resume`, and go on with everything else: follow, execute, answer."""

    def resume(self, now_ms: int) -> list[Effect]:
        """Sign again what is due now, unless something else forbids it. Does nothing to a member that may sign."""
