"""Votes: when this member gives one, whom it goes to, and what those of the others add up to (P8, P9a, P11)."""

from __future__ import annotations

from ledger.consensus.activity import Activity
from ledger.consensus.block_tree import TreeBlock
from ledger.consensus.checkpoints import Checkpoints
from ledger.consensus.collectors import VoteCollector
from ledger.consensus.effects import Broadcast, Send
from ledger.consensus.evidence import Evidence
from ledger.consensus.messages import QuorumCertificate, Vote, VoteMessage
from ledger.consensus.outbox import VOTE_TIMER
from ledger.consensus.progress import Progress
from ledger.consensus.proposals import Proposals
from ledger.consensus.setting import Setting
from ledger.errors import InvalidInputError
from ledger.identifiers import BlockId

ROUNDS_AHEAD_MAX = 100
"""Votes for rounds further ahead are not kept: nothing proves that such a round exists (P5)."""

BROADCAST_VOTES_MAX = 10
"""Up to this many validators a vote goes to all, which spares the next round when the next leader is dead (P11)."""

CLOCK_AHEAD_MS = 2_000
"""A block may be this far ahead of the voter's clock (P8)."""


class TooFarAheadError(InvalidInputError):
    """A vote for a round that nothing proves to exist yet (P5)."""

    code = "too_far_ahead"


class Voting:
    """The votes of the newest rounds, and the own one in the current round."""

    def __init__(
        self,
        setting: Setting,
        progress: Progress,
        proposals: Proposals,
        checkpoints: Checkpoints,
        activity: Activity,
    ) -> None:
        self._verifier = setting.verifier
        self._validators = setting.validators
        self._safety = setting.safety
        self._me = setting.me
        self._leaders = setting.leaders
        self._application = setting.application
        self._outbox = setting.outbox
        self._progress = progress
        self._tree = progress.tree
        self._proposals = proposals
        self._checkpoints = checkpoints
        self._activity = activity
        self._collector = VoteCollector(setting.validators)
        self._withheld: set[BlockId] = set()
        """Blocks of the current round that the payload filter refused."""
        self._to_all = len(setting.validators) <= BROADCAST_VOTES_MAX

    def on_vote(self, message: VoteMessage, now_ms: int) -> None:
        """Take a vote with the cosignature that it carries.

        Raises:
            TooFarAheadError: Its round may not exist.
            InvalidInputError: One of the two does not hold.
        """
        vote, cosignature = message.vote, message.cosignature
        round_ = self._progress.round
        if vote.data.round > round_ + ROUNDS_AHEAD_MAX:
            raise TooFarAheadError(f"a vote of round {vote.data.round} in round {round_}")
        useful = vote.data.round >= self._progress.oldest_round_kept and self._collector.needs(vote)
        if useful:
            self._verifier.check_vote(vote)
        if cosignature is not None:
            self._checkpoints.on_cosignature(cosignature)
        if useful:
            if vote.voter == self._me and self._safety is not None:
                self._safety.hear_own_vote(vote)
            self._collect(vote, now_ms)

    def collect_if_needed(self, vote: Vote, now_ms: int) -> None:
        """Count a verified vote that came with something else."""
        if self._collector.needs(vote):
            self._collect(vote, now_ms)

    def vote(self, now_ms: int) -> None:
        """Vote for a block of the current round, if there is one to vote for."""
        for proposal in self._proposals.of_round(self._progress.round):
            block = self._tree.get(proposal.id)
            message = self.sign(block, now_ms) if block is not None else None
            if block is not None and message is not None:
                self.send(message, block, now_ms)
                return

    def sign(self, block: TreeBlock, now_ms: int) -> VoteMessage | None:
        """Sign a vote if P8, P9a and P11 allow it; block and record are saved before anything leaves (P20)."""
        safety, parent, proposal = self._safety, self._tree.parent_of(block), block.proposal
        if safety is None or safety.silent or parent is None or proposal is None or block.id in self._withheld:
            return None
        round_ = self._progress.round
        if not safety.may_vote(block.round, round_):
            return None
        if block.time_ms > now_ms + CLOCK_AHEAD_MS:
            self._outbox.arm(VOTE_TIMER, block.time_ms - CLOCK_AHEAD_MS)
            return None
        if not self._application.approves(proposal, self._tree.proposals_up_to(parent)):
            self._withheld.add(block.id)
            return None
        self._progress.journal(block)
        vote = safety.sign_vote(block.vote_data(parent, self._validators.epoch), current_round=round_)
        if vote is None:
            return None
        cosignature = self._checkpoints.cosign(block, now_ms)
        self._outbox.save(safety.record)
        return VoteMessage(vote=vote, cosignature=cosignature)

    def send(self, message: VoteMessage, block: TreeBlock, now_ms: int) -> None:
        """Send a vote to whoever leads after a certificate of the block, or to all if they are few (P11)."""
        leader = self._leaders.leader(block.round + 1, block, self._tree)
        if self._to_all:
            self._outbox.emit(Broadcast(message.encode()))
        elif leader != self._me:
            self._outbox.emit(Send(leader, message.encode()))
        if leader == self._me or self._to_all:
            if message.cosignature is not None:
                self._checkpoints.collect(message.cosignature)
            self._collect(message.vote, now_ms)

    def forget_old_rounds(self) -> None:
        """A round has begun: drop what is too old to be counted or compared."""
        self._withheld.clear()
        self._collector.forget_below(self._progress.oldest_round_kept)

    def _collect(self, vote: Vote, now_ms: int) -> None:
        match self._collector.add(vote):
            case QuorumCertificate() as certificate:
                self._progress.take_quorum_certificate(certificate, now_ms)
                # Where votes go to one member alone, a certificate reaches the others inside its next proposal. When
                # nothing is left to propose they would wait for it, and time out for nothing (P16a).
                if not self._to_all and not self._activity.is_active(now_ms):
                    self._outbox.emit(Broadcast(certificate.encode()))
            case Evidence() as evidence:
                self._outbox.accuse(evidence)
