"""One node that orders alone: what it writes down is decided. For development and for measuring what consensus costs.

There is nobody to disagree with, so there are no rounds to lose, no votes and no certificates: a block is committed as
soon as it and the safety record that counts it are durable. Blocks, log and checkpoints look as everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.blocks.block import Block, BlockHeader, payload_root
from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.consensus.block_tree import BlockTree, TreeBlock
from ledger.consensus.effects import (
    Append,
    CancelTimer,
    CheckpointAdvanced,
    Committed,
    Effect,
    SaveSafety,
    SetTimer,
    SigningStopped,
)
from ledger.consensus.engine import Application, Timing
from ledger.consensus.messages import (
    Justification,
    Message,
    Proposal,
    QuorumCertificate,
    decode_proposal,
    genesis_certificate,
)
from ledger.consensus.safety import Safety, read_record, record_bytes
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import decode
from ledger.errors import InvalidInputError
from ledger.identifiers import Digest, Height, ValidatorIndex
from ledger.members.validators import ValidatorSet
from ledger.storage.frames import Frame, FrameKind
from ledger.storage.safety_slots import SlotsRead

NEXT_TIMER = "next"


class NotOrderedHereError(InvalidInputError):
    """A message of consensus to a node that orders alone."""

    code = "not_ordered_here"


class Solo:
    """The only validator. Implements `Engine`."""

    def __init__(
        self,
        *,
        validators: ValidatorSet,
        safety: Safety | None,
        timing: Timing,
        created_ms: int,
        application: Application,
    ) -> None:
        """Begin at the genesis.

        Raises:
            ValueError: There are other validators, or no key to sign with.
        """
        if len(validators) != 1 or safety is None:
            raise ValueError(f"solo orders alone and with its keys; there are {len(validators)} validators")
        self._validators = validators
        self._safety = safety
        self._timing = timing
        self._application = application
        self._tree = BlockTree(validators.chain, created_ms=created_ms, history=0)
        self._checkpoint: QuorumCheckpoint | None = None
        self._due_ms: int | None = None

    @property
    def height(self) -> Height:
        """Of the newest committed block."""
        return Height(self._tree.root.height)

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        """The newest checkpoint."""
        return self._checkpoint

    @property
    def leader(self) -> ValidatorIndex:
        """Itself, always."""
        return ValidatorIndex(0)

    def recover(self, frames: Iterable[Frame], slots: SlotsRead) -> None:
        """Commit every block of the journal again.

        A block without a saved record behind it was never shown to anybody, and is as good as any other next block.
        """
        if slots.payload is not None:
            self._safety.restore(read_record(slots.payload, self._validators))
        for frame in frames:
            if frame.kind is FrameKind.BLOCK:
                self._commit(decode_proposal(frame.payload))
            elif frame.kind is FrameKind.CHECKPOINT:
                self._checkpoint = decode(QuorumCheckpoint, frame.payload)
        self._safety.assume_signed(round_=self.height, locked_round=self.height)
        if slots.unreadable == 2:
            self._safety.stop("both slots of the safety record are unreadable: what was cosigned last is not known")

    def start(self, now_ms: int) -> list[Effect]:
        """Begin to order."""
        if self._safety.stopped is not None:
            return [SigningStopped(self._safety.stopped)]
        return self._advance(now_ms)

    def on_message(self, peer: ValidatorIndex, message: Message, now_ms: int) -> list[Effect]:
        """Refuse: there are no other validators.

        Raises:
            NotOrderedHereError: Always.
        """
        raise NotOrderedHereError(f"a {type(message).__name__} to a node that orders alone")

    def on_timer(self, name: str, now_ms: int) -> list[Effect]:
        """Order the next block if it is due."""
        if name != NEXT_TIMER:
            return []
        self._due_ms = None
        return self._advance(now_ms)

    def on_connected(self, peer: ValidatorIndex, now_ms: int) -> list[Effect]:
        """Nothing depends on connections."""
        return []

    def on_disconnected(self, peer: ValidatorIndex) -> None:
        """Nothing depends on connections."""

    def on_payload(self, now_ms: int) -> list[Effect]:
        """Order the payload as soon as the interval allows."""
        return self._advance(now_ms)

    def pause(self, reason: str) -> None:
        """Order nothing until `resume`: every block is signed."""
        self._safety.pause(reason)

    def resume(self, now_ms: int) -> list[Effect]:
        """Order what is due by now."""
        self._safety.resume()
        return self._advance(now_ms)

    def _advance(self, now_ms: int) -> list[Effect]:
        """Order a block now if one is due; else wait until then."""
        if self._safety.silent:
            return []
        effects: list[Effect] = []
        if now_ms >= self._next_ms():
            effects = self._order(now_ms)
        due_ms = self._next_ms()
        if due_ms != self._due_ms:
            self._due_ms = due_ms
            effects += [CancelTimer(NEXT_TIMER), SetTimer(NEXT_TIMER, due_ms)]
        return effects

    def _next_ms(self) -> int:
        """Return when the next block is due: after the interval if there is work, else after the idle time (P16a)."""
        wait_ms = self._timing.block_interval_ms if self._application.has_payload() else self._timing.idle_ms
        return self._tree.root.time_ms + wait_ms

    def _order(self, now_ms: int) -> list[Effect]:
        proposal = self._build(self._tree.root, now_ms)
        if proposal is None:
            return []
        effects: list[Effect] = [
            Append(Frame(FrameKind.BLOCK, Height(proposal.header.height), proposal.raw)),
            SaveSafety(record_bytes(self._safety.record)),
        ]
        effects += self._commit(proposal)
        size = self._tree.root.log_size
        root = self._application.log_root(size)
        assert root is not None
        statement = self._safety.sign_cosignature(height=self.height, size=size, root=root, now_ms=now_ms)
        if statement is not None:
            self._checkpoint = QuorumCheckpoint(
                epoch=self._validators.epoch,
                height=self.height,
                size=size,
                root=root,
                cosignatures=(statement.cosignature,),
            )
            frame = Frame(FrameKind.CHECKPOINT, self.height, self._checkpoint.encode())
            effects += [
                Append(frame),
                SaveSafety(record_bytes(self._safety.record)),
                CheckpointAdvanced(self._checkpoint),
            ]
        return effects

    def _build(self, parent: TreeBlock, now_ms: int) -> Proposal | None:
        height = Height(parent.height + 1)
        payload = self._application.take_payload((), height=height, bytes_max=self._timing.payload_bytes_max)
        certificate = self._uncertified(parent)
        header = BlockHeader(
            chain=Digest(self._validators.chain),
            epoch=self._validators.epoch,
            round=height,
            height=height,
            parent=Digest(parent.id),
            author=0,
            justification=Justification(parent_qc=certificate, timeout_certificate=None).encode(),
            payload_root=payload_root(payload),
            payload_count=len(payload),
            checkpoint=self._checkpoint,
            time_ms=max(now_ms, parent.time_ms + 1),
        )
        signature = self._safety.sign_proposal(header)
        if signature is None:
            return None
        block = Block(header=header, suite=ED25519_SHA256, signature=signature, payload=payload)
        return decode_proposal(block.encode())

    def _uncertified(self, parent: TreeBlock) -> QuorumCertificate:
        """Return a certificate that names the parent and is signed by nobody: there is no vote."""
        if parent.height == 0:
            return genesis_certificate(self._validators.chain, self._validators.epoch)
        grandparent = self._tree.parent_of(parent)
        assert grandparent is not None
        vote = parent.vote_data(grandparent, self._validators.epoch)
        return QuorumCertificate(vote=vote, voters=(), signatures=b"")

    def _commit(self, proposal: Proposal) -> list[Effect]:
        block = self._tree.place(proposal, self._tree.root)
        self._tree.add(block)
        self._tree.commit(block.id)
        return [Committed(Height(block.height), block.id, block.round), *self._application.commit(proposal)]
