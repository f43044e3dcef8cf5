"""What the leader of a round does: decide when a block is due, build it on the highest certificate, and send it."""

from __future__ import annotations

from ledger.blocks.block import Block, BlockHeader, payload_root
from ledger.consensus.activity import Activity
from ledger.consensus.block_tree import TreeBlock
from ledger.consensus.checkpoints import Checkpoints
from ledger.consensus.effects import Broadcast
from ledger.consensus.messages import Justification, Proposal
from ledger.consensus.outbox import PROPOSE_TIMER
from ledger.consensus.progress import Progress
from ledger.consensus.proposals import Proposals
from ledger.consensus.safety import Safety
from ledger.consensus.setting import Setting
from ledger.consensus.validity import may_have_payload
from ledger.consensus.voting import Voting
from ledger.crypto.suites import ED25519_SHA256
from ledger.identifiers import Digest, Height


class Proposing:
    """This member's turns as a leader."""

    def __init__(
        self,
        setting: Setting,
        progress: Progress,
        proposals: Proposals,
        checkpoints: Checkpoints,
        activity: Activity,
        voting: Voting,
    ) -> None:
        self._validators = setting.validators
        self._safety = setting.safety
        self._timing = setting.timing
        self._application = setting.application
        self._outbox = setting.outbox
        self._progress = progress
        self._proposals = proposals
        self._checkpoints = checkpoints
        self._activity = activity
        self._voting = voting

    def propose(self, now_ms: int) -> bool:
        """Propose a block if this member leads the round and there is something to propose; return whether it did."""
        safety, progress = self._safety, self._progress
        round_, parent = progress.round, progress.tip
        if safety is None or safety.silent or parent is None or not self._activity.started:
            return False
        if round_ <= safety.record.last_proposed_round or round_ <= safety.record.last_voted_round:
            return False
        if progress.leader != safety.me or not self._activity.is_active(now_ms):
            return False
        # A parent may be dated ahead of this clock (P8). To wait for that time would cost its child the round.
        due_ms = min(parent.time_ms, progress.entered_ms) + self._timing.block_interval_ms
        if now_ms < due_ms:
            self._outbox.arm(PROPOSE_TIMER, due_ms)
            return False
        proposal = self._build(parent, round_, now_ms, safety)
        if proposal is None:
            return False
        block = self._proposals.add_own(proposal, parent)
        vote = self._voting.sign(block, now_ms)
        if vote is None:
            self._outbox.save(safety.record)
        self._outbox.emit(Broadcast(proposal.raw))
        if vote is not None:
            self._voting.send(vote, block, now_ms)
        return True

    def _build(self, parent: TreeBlock, round_: int, now_ms: int, safety: Safety) -> Proposal | None:
        """Return a signed block on `parent`; None if the safety module refuses to sign one."""
        progress = self._progress
        checkpoint = self._checkpoints.newest
        if checkpoint is not None and checkpoint.size <= parent.checkpoint_size:
            checkpoint = None
        covered = checkpoint.height if checkpoint is not None else parent.checkpoint_height
        height = Height(parent.height + 1)
        payload: tuple[bytes, ...] = ()
        if may_have_payload(height, checkpoint_height=covered):
            payload = self._application.take_payload(
                progress.tree.proposals_up_to(parent), height=height, bytes_max=self._timing.payload_bytes_max
            )
        justification = Justification(parent_qc=progress.high_qc, timeout_certificate=progress.entry_tc)
        header = BlockHeader(
            chain=Digest(self._validators.chain),
            epoch=self._validators.epoch,
            round=round_,
            height=height,
            parent=Digest(parent.id),
            author=safety.me,
            justification=justification.encode(),
            payload_root=payload_root(payload),
            payload_count=len(payload),
            checkpoint=checkpoint,
            time_ms=max(now_ms, parent.time_ms + 1),
        )
        signature = safety.sign_proposal(header)
        if signature is None:
            return None
        block = Block(header=header, suite=ED25519_SHA256, signature=signature, payload=payload)
        return Proposal(block.encode(), block, header.id, justification)
