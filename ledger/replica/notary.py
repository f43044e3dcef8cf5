"""What this member says of its log under its own key: notes, receipts, and the view that proofs are made from.

Everything here is about a checkpoint whose root has been compared with the own log (`Engine.checkpoint`); otherwise the
member would put its name under somebody else's history.

Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.blocks.checkpoint import QuorumCheckpoint, checkpoint_text
from ledger.consensus.cosigning import OwnCosignatures
from ledger.crypto.signatures import Signer
from ledger.identifiers import Digest, EnvelopeId, Height
from ledger.members.validators import ValidatorSet
from ledger.proofs.notes import note_of, note_without_log
from ledger.replica.attested import AttestedView
from ledger.replica.history import History


@dataclass(frozen=True, slots=True)
class Receipt:
    """The only acknowledgement: an envelope's entry in the log, under a checkpoint that a quorum has cosigned."""

    envelope: EnvelopeId
    height: Height
    time_ms: int
    """Of the block."""
    index: int
    """Of the entry in the log."""
    results: bytes
    """One code a record; 0 is accepted."""
    entry: bytes
    """The entry itself."""
    path: tuple[Digest, ...]
    """Inclusion path of the entry in the tree of the checkpoint's size."""
    checkpoint: QuorumCheckpoint
    note: str
    """The checkpoint as a signed note, with the log line of the member that gives the receipt."""


class Notary:
    """The log key, beside the log that it speaks of."""

    def __init__(
        self, history: History, validators: ValidatorSet, *, signer: Signer | None, cosigned: OwnCosignatures
    ) -> None:
        """Speak for one member.

        Args:
            signer: Has the log key; None for an observer, which has none.
            cosigned: What the member has cosigned of late; its safety module adds to it.
        """
        self._history = history
        self._validators = validators
        self._signer = signer
        self._cosigned = cosigned

    def attested(self, checkpoint: QuorumCheckpoint) -> AttestedView | None:
        """Return this member as of the checkpoint; None for an observer, whose word nobody could check."""
        log = self._log_signature(checkpoint)
        return None if log is None else AttestedView(self._history, self._validators, checkpoint, log)

    def receipt(self, envelope: EnvelopeId, checkpoint: QuorumCheckpoint) -> Receipt | None:
        """Return the receipt of an envelope committed recently; None if the checkpoint does not cover it."""
        placement = self._history.placement(envelope)
        if placement is None or placement.index >= checkpoint.size:
            return None
        return Receipt(
            envelope=envelope,
            height=placement.height,
            time_ms=placement.time_ms,
            index=placement.index,
            results=placement.results,
            entry=placement.entry,
            path=self._history.log.inclusion_path(placement.index, checkpoint.size),
            checkpoint=checkpoint,
            note=self.note(checkpoint),
        )

    def note(self, checkpoint: QuorumCheckpoint) -> str:
        """Return the checkpoint as a signed note: this member's log line if it has a log key, then the cosigners'."""
        log = self._log_signature(checkpoint)
        if log is None:
            return note_without_log(self._validators, checkpoint)
        return note_of(self._validators, checkpoint, log_public=log[0], log_signature=log[1])

    def own_note(self, size: int) -> str | None:
        """Return this member's own word on the log at `size`: its log line and its cosignature, as a signed note.

        None if it has not cosigned that size, or so long ago that it is not kept, or if the root is not that of its
        log: what was cosigned before a restart is compared once the log has been rebuilt as far.
        """
        statement = self._cosigned.at(size)
        if statement is None or self._history.log_root(size) != statement.root:
            return None
        return self.note(
            QuorumCheckpoint(
                epoch=statement.epoch,
                height=statement.height,
                size=size,
                root=statement.root,
                cosignatures=(statement.cosignature,),
            )
        )

    @property
    def cosigned_sizes(self) -> list[int]:
        """Log sizes that this member has cosigned of late, newest first."""
        return self._cosigned.sizes

    def _log_signature(self, checkpoint: QuorumCheckpoint) -> tuple[bytes, bytes] | None:
        """Return the log key and its signature over the checkpoint's text."""
        if self._signer is None:
            return None
        text = checkpoint_text(self._validators.origin, checkpoint.size, checkpoint.root)
        return self._signer.public, self._signer.sign(text.encode())
