"""Jolteon: 2-chain HotStuff with a quadratic view change. Rules P1 to P20 as one protocol.

A leader proposes, votes go to the next leader, who certifies the block and extends it. A certified block whose parent
was certified in the round before commits that parent. A round that fails ends with a certificate of timeouts, which
also says how high a block the next leader must build on.

Each rule is in the part that has its subject; here they are put together, and each event finds its part. Every handler
has two halves. First everything that can be wrong with the input is checked, and raises; then the state moves, and
nothing raises any more. `_settle_down` is the end of each: it votes, watches the clock and proposes, as far as the
state now allows.

Source: Gelashvili et al., "Jolteon and Ditto", 2022, and DiemBFT v4; the rules are numbered in `docs/consensus.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.consensus.activity import Activity
from ledger.consensus.cache import SharedCache
from ledger.consensus.certificates import Verifier
from ledger.consensus.checkpoints import Checkpoints
from ledger.consensus.effects import Effect, Send, SigningStopped
from ledger.consensus.engine import Application, Timing
from ledger.consensus.leader import LeaderChoice
from ledger.consensus.messages import (
    BlockRequest,
    BlockResponse,
    CheckpointCosignature,
    EnvelopeBatch,
    Message,
    Proposal,
    QuorumCertificate,
    Status,
    TimeoutCertificate,
    TimeoutMessage,
    VoteMessage,
    decode_proposal,
)
from ledger.consensus.outbox import (
    LISTEN_TIMER,
    REPEAT_TIMER,
    ROUND_TIMER,
    START_TIMER,
    SYNC_TIMER,
    TIMERS_OF_A_ROUND,
)
from ledger.consensus.progress import Progress
from ledger.consensus.proposals import Proposals
from ledger.consensus.proposing import Proposing
from ledger.consensus.round_change import RoundChange
from ledger.consensus.safety import Safety, read_record
from ledger.consensus.setting import Setting
from ledger.consensus.sync import AnswerBudget, answer, chain_asked_for
from ledger.consensus.voting import Voting
from ledger.encoding import decode
from ledger.errors import InvalidInputError
from ledger.identifiers import Height, ValidatorIndex
from ledger.storage.frames import Frame, FrameKind
from ledger.storage.safety_slots import SlotsRead

START_MS = 30_000
"""The first round is timed after this long even without a quorum of connections (P16)."""

LISTEN_TIMEOUTS = 2
"""Base timeouts for which a member only listens after a restart (P23)."""


class UnexpectedMessageError(InvalidInputError):
    """A message that this engine has no use for; the member takes its own kinds before they come here."""

    code = "unexpected_message"


class Jolteon:
    """One member's part in ordering, for one epoch. Implements `Engine`."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        safety: Safety | None,
        leaders: LeaderChoice,
        timing: Timing,
        created_ms: int,
        application: Application,
        cache: SharedCache | None = None,
    ) -> None:
        """Begin at the genesis.

        Args:
            safety: None for an observer, which follows and signs nothing.
            created_ms: Time of the genesis, Unix milliseconds.
            cache: Shared with other members of the same process; results are the same without it.
        """
        setting = Setting(verifier=verifier, safety=safety, leaders=leaders, timing=timing, application=application)
        self._verifier = verifier
        self._safety = safety
        self._timing = timing
        self._application = application
        self._outbox = setting.outbox
        self._checkpoints = Checkpoints(setting)
        self._progress = Progress(
            setting, created_ms=created_ms, on_commit=self._after_commit, on_round=self._begin_round
        )
        self._proposals = Proposals(setting, self._progress, self._checkpoints, cache or SharedCache())
        self._activity = Activity(setting, self._progress, self._proposals)
        self._voting = Voting(setting, self._progress, self._proposals, self._checkpoints, self._activity)
        self._round_change = RoundChange(setting, self._progress, self._activity, self._voting)
        self._proposing = Proposing(
            setting, self._progress, self._proposals, self._checkpoints, self._activity, self._voting
        )
        self._answers = AnswerBudget(len(setting.validators))
        self._recovered = False
        self._stop_reported = False

    # What others may read

    @property
    def height(self) -> Height:
        """Of the newest committed block."""
        return Height(self._progress.tree.root.height)

    @property
    def round(self) -> int:
        """The current round."""
        return self._progress.round

    @property
    def high_qc(self) -> QuorumCertificate:
        """The quorum certificate with the highest round that this member holds."""
        return self._progress.high_qc

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        """The largest checkpoint with a quorum that this member has executed as far as it reaches."""
        return self._checkpoints.newest

    @property
    def leader(self) -> ValidatorIndex | None:
        """Who leads the current round by the certificates held here; None while the block to extend is missing."""
        return self._progress.leader

    # Recovery

    def recover(self, frames: Iterable[Frame], slots: SlotsRead) -> None:
        """Rebuild the tree, the committed prefix, the certificates and the safety record (P21, P22)."""
        safety, progress = self._safety, self._progress
        trusted = slots.unreadable == 0
        if safety is not None and slots.payload is not None:
            safety.restore(read_record(slots.payload, self._verifier.validators))
            self._checkpoints.recover(safety.record.last_cosigned)
        highest_block = 0
        for frame in frames:
            self._recovered = True
            match frame.kind:
                case FrameKind.BLOCK:
                    proposal = decode_proposal(frame.payload)
                    highest_block = max(highest_block, proposal.header.round)
                    self._proposals.recover(proposal)
                case FrameKind.QUORUM_CERTIFICATE:
                    progress.take_quorum_certificate(decode(QuorumCertificate, frame.payload), 0, heard=trusted)
                case FrameKind.TIMEOUT_CERTIFICATE:
                    progress.take_timeout_certificate(decode(TimeoutCertificate, frame.payload), 0, heard=trusted)
                case FrameKind.CHECKPOINT:
                    self._checkpoints.take(decode(QuorumCheckpoint, frame.payload))
                case FrameKind.EXECUTED:
                    pass
                case _:
                    assert_never(frame.kind)
        if safety is not None and slots.unreadable == 1:
            round_ = max(highest_block, progress.round)
            safety.assume_signed(round_=round_, locked_round=progress.high_qc.round)
        if safety is not None and slots.unreadable == 2:
            safety.stop("both slots of the safety record are unreadable: what this key has signed is not known")
        self._recovered = self._recovered or slots.payload is not None
        self._activity.started = False
        self._outbox.drop()

    # Events

    def start(self, now_ms: int) -> list[Effect]:
        """Begin to take part: at once at the genesis, after listening for a while otherwise (P16, P23)."""
        self._progress.entered_ms = now_ms
        self._outbox.arm(START_TIMER, now_ms + START_MS)
        self._activity.start_if_connected()
        if self._recovered and self._safety is not None:
            self._safety.listening = True
            self._outbox.arm(LISTEN_TIMER, now_ms + LISTEN_TIMEOUTS * self._timing.base_timeout_ms)
        self._progress.fetch_missing_tip(now_ms)
        return self._finish(now_ms)

    def on_message(self, peer: ValidatorIndex, message: Message, now_ms: int) -> list[Effect]:
        """Take a decoded message.

        Raises:
            InvalidInputError: The sender broke the protocol. The engine is unchanged.
        """
        match message:
            case Proposal():
                self._proposals.on_proposal(message, now_ms)
            case VoteMessage():
                self._voting.on_vote(message, now_ms)
            case TimeoutMessage():
                self._round_change.on_timeout(peer, message, now_ms)
            case QuorumCertificate():
                self._verifier.check_quorum_certificate(message)
                self._progress.take_quorum_certificate(message, now_ms)
            case TimeoutCertificate():
                self._verifier.check_timeout_certificate(message)
                self._progress.take_timeout_certificate(message, now_ms)
            case Status():
                self._on_status(message, now_ms)
            case CheckpointCosignature():
                self._checkpoints.on_cosignature(message)
            case QuorumCheckpoint():
                if self._checkpoints.is_news(message):
                    self._checkpoints.check(message)
                    self._checkpoints.take(message)
            case BlockRequest():
                self._on_block_request(peer, message, now_ms)
            case BlockResponse():
                self._proposals.on_block_response(peer, message, now_ms)
            case EnvelopeBatch():
                raise UnexpectedMessageError("envelopes are for the pool, not for the engine")
            case _:
                assert_never(message)
        return self._finish(now_ms)

    def on_timer(self, name: str, now_ms: int) -> list[Effect]:
        """Take the firing of a timer."""
        deadline_ms = self._outbox.fired(name)
        if deadline_ms is None:
            return []
        if deadline_ms > now_ms:
            # Fired before its time, by the clock that counts here.
            self._outbox.arm(name, deadline_ms)
        elif name == ROUND_TIMER:
            self._round_change.time_out(now_ms)
        elif name == REPEAT_TIMER:
            self._round_change.repeat(now_ms)
        elif name == START_TIMER:
            self._activity.started = True
        elif name == LISTEN_TIMER:
            self._stop_listening(now_ms)
        elif name == SYNC_TIMER:
            self._progress.fetch(now_ms)
        return self._finish(now_ms)

    def on_connected(self, peer: ValidatorIndex, now_ms: int) -> list[Effect]:
        """Tell the peer the highest certificates and the last checkpoint (P17)."""
        self._activity.connect(peer)
        self._outbox.emit(Send(peer, self._status().encode()))
        cosignature = self._checkpoints.open_cosignature()
        if cosignature is not None:
            self._outbox.emit(Send(peer, cosignature.encode()))
        return self._finish(now_ms)

    def on_disconnected(self, peer: ValidatorIndex) -> None:
        """Nothing is waited for from a peer that is gone: timers cover what it still owed."""
        self._activity.disconnect(peer)

    def on_payload(self, now_ms: int) -> list[Effect]:
        """The application may have a payload now, which ends an idle time."""
        return self._finish(now_ms)

    def pause(self, reason: str) -> None:
        """Sign nothing until `resume`; the tree, the log and the clocks of rounds go on."""
        if self._safety is not None:
            self._safety.pause(reason)

    def resume(self, now_ms: int) -> list[Effect]:
        """Take part again, in the round that the others have reached by now."""
        if self._safety is not None and self._safety.paused is not None:
            self._safety.resume()
            self._speak_again(now_ms)
        return self._finish(now_ms)

    def _status(self) -> Status:
        progress = self._progress
        return Status(high_qc=progress.high_qc, high_tc=progress.entry_tc, checkpoint=self._checkpoints.newest)

    def _on_status(self, status: Status, now_ms: int) -> None:
        self._verifier.check_quorum_certificate(status.high_qc)
        if status.high_tc is not None:
            self._verifier.check_timeout_certificate(status.high_tc)
        checkpoint = status.checkpoint
        if checkpoint is not None and not self._checkpoints.is_news(checkpoint):
            checkpoint = None
        if checkpoint is not None:
            self._checkpoints.check(checkpoint)
        self._progress.take_quorum_certificate(status.high_qc, now_ms)
        if status.high_tc is not None:
            self._progress.take_timeout_certificate(status.high_tc, now_ms)
        if checkpoint is not None:
            self._checkpoints.take(checkpoint)

    def _on_block_request(self, peer: ValidatorIndex, request: BlockRequest, now_ms: int) -> None:
        """Answer with committed blocks above the asker's, then those on the way to the target, all certified."""
        if self._answers.allows(peer, now_ms):
            chain = chain_asked_for(request, self._progress.tree, self._application.committed_block)
            self._outbox.emit(Send(peer, answer(chain).encode()))

    def _stop_listening(self, now_ms: int) -> None:
        """Take part again after a restart (P23)."""
        if self._safety is not None:
            self._safety.listening = False
            self._speak_again(now_ms)

    def _speak_again(self, now_ms: int) -> None:
        """Say what was signed last, if its round is still the current one: a restart may have cut it off (P21)."""
        safety, progress = self._safety, self._progress
        if safety is None or safety.silent:
            return
        vote, timeout = safety.record.last_vote, safety.record.last_timeout
        if vote is not None and vote.data.round == progress.round:
            block = progress.tree.get(vote.data.block)
            if block is not None:
                message = VoteMessage(vote=vote, cosignature=self._checkpoints.open_cosignature())
                self._voting.send(message, block, now_ms)
        if timeout is not None and timeout.round == progress.round:
            self._round_change.time_out(now_ms)

    # What follows from progress

    def _after_commit(self) -> None:
        """The log has grown."""
        self._checkpoints.log_grew()
        self._proposals.forget_decided()

    def _begin_round(self) -> None:
        """Forget what belonged to the round before."""
        for timer in TIMERS_OF_A_ROUND:
            self._outbox.disarm(timer)
        self._round_change.forget_old_rounds()
        self._voting.forget_old_rounds()
        self._proposals.forget_old_rounds()
        # A network in which rounds pass is awake, however few connections this member has counted.
        self._activity.started = True

    # The end of every event

    def _finish(self, now_ms: int) -> list[Effect]:
        self._settle_down(now_ms)
        reason = self._safety.stopped if self._safety is not None else None
        if reason is not None and not self._stop_reported:
            self._stop_reported = True
            self._outbox.emit(SigningStopped(reason))
        return self._outbox.take()

    def _settle_down(self, now_ms: int) -> None:
        """Vote, watch the clock and propose until nothing moves any more."""
        while True:
            round_ = self._progress.round
            self._voting.vote(now_ms)
            self._round_change.watch(now_ms)
            if not self._proposing.propose(now_ms) and self._progress.round == round_:
                return
