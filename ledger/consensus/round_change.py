"""How a round ends that brings no certified block: its timer, timeouts, and the certificate they add up to."""

from __future__ import annotations

from ledger.consensus.activity import Activity
from ledger.consensus.collectors import TimeoutCollector
from ledger.consensus.effects import Broadcast, Send
from ledger.consensus.evidence import Evidence
from ledger.consensus.messages import QuorumCertificate, Timeout, TimeoutCertificate, TimeoutMessage
from ledger.consensus.outbox import IDLE_TIMER, REPEAT_TIMER, ROUND_TIMER
from ledger.consensus.progress import Progress
from ledger.consensus.setting import Setting
from ledger.consensus.voting import Voting
from ledger.identifiers import ValidatorIndex


class RoundChange:
    """The timeouts of the current round and of later ones, and what was sent in the current one."""

    def __init__(self, setting: Setting, progress: Progress, activity: Activity, voting: Voting) -> None:
        self._verifier = setting.verifier
        self._validators = setting.validators
        self._safety = setting.safety
        self._me = setting.me
        self._outbox = setting.outbox
        self._progress = progress
        self._activity = activity
        self._voting = voting
        self._collector = TimeoutCollector(setting.validators)
        self._sent: TimeoutMessage | None = None
        """What was sent in the current round."""

    def watch(self, now_ms: int) -> None:
        """Time the current round if there is something to wait for; else only the end of the idle time (P16, P16a)."""
        if not self._activity.started or self._sent is not None:
            return
        if self._activity.is_active(now_ms):
            self._outbox.disarm(IDLE_TIMER)
            if not self._outbox.is_armed(ROUND_TIMER):
                self._outbox.arm(ROUND_TIMER, now_ms + self._progress.pacemaker.timeout_ms())
        elif (until_ms := self._activity.idle_until_ms()) is not None:
            self._outbox.arm(IDLE_TIMER, until_ms)

    def time_out(self, now_ms: int) -> None:
        """Stop voting in the current round and tell everybody, once; the same again if asked again (P12, P13)."""
        safety, progress = self._safety, self._progress
        if safety is None or self._sent is not None:
            return
        asked = safety.record.last_timeout
        timeout = safety.sign_timeout(
            current_round=progress.round, high_qc=progress.high_qc, entry_tc=progress.entry_tc
        )
        if timeout is None:
            return
        progress.timeout_qc = progress.timeout_qc if timeout == asked else progress.high_qc
        vote = safety.record.last_vote
        message = TimeoutMessage(
            timeout=timeout,
            high_qc=progress.timeout_qc,
            entry_tc=None if progress.timeout_qc.round == timeout.round - 1 else progress.high_tc,
            vote=vote if vote is not None and vote.data.round == timeout.round else None,
        )
        self._sent = message
        self._outbox.save(safety.record)
        self._outbox.emit(Broadcast(message.encode()))
        self._outbox.arm(REPEAT_TIMER, now_ms + progress.pacemaker.repeat_ms())
        self._collect(timeout, message.high_qc, now_ms)

    def repeat(self, now_ms: int) -> None:
        """Send the same bytes again, and a better certificate beside them if there is one (P13, P17)."""
        message, high_qc = self._sent, self._progress.high_qc
        if message is None:
            return
        self._outbox.emit(Broadcast(message.encode()))
        if high_qc.round > message.high_qc.round:
            self._outbox.emit(Broadcast(high_qc.encode()))
        self._outbox.arm(REPEAT_TIMER, now_ms + self._progress.pacemaker.repeat_ms())

    def on_timeout(self, peer: ValidatorIndex, message: TimeoutMessage, now_ms: int) -> None:
        """Take a timeout with the certificates that it carries (P4).

        Raises:
            InvalidInputError: A part does not hold, or does not belong to the others.
        """
        timeout = message.timeout
        if timeout.round < self._progress.round:
            self._help(peer, timeout)
            return
        if timeout.round == self._progress.round and not self._collector.needs(timeout):
            return
        self._verifier.check_timeout_message(message)

        if timeout.author == self._me and self._safety is not None:
            self._safety.hear_own_timeout(timeout)
        self._progress.take_quorum_certificate(message.high_qc, now_ms)
        if message.entry_tc is not None:
            self._progress.take_timeout_certificate(message.entry_tc, now_ms)
        if message.vote is not None:
            self._voting.collect_if_needed(message.vote, now_ms)
        if timeout.round == self._progress.round:
            self._collect(timeout, message.high_qc, now_ms)

    def forget_old_rounds(self) -> None:
        """A round has begun: nothing is sent in it yet, and timeouts of those before it are of no use."""
        self._sent = None
        self._collector.forget_below(self._progress.round)

    def _help(self, peer: ValidatorIndex, timeout: Timeout) -> None:
        """Show somebody who is stuck in an ended round how it ended. Costs no check; they repeat themselves slowly."""
        if timeout.author != self._me:
            entry_tc = self._progress.entry_tc
            self._outbox.emit(Send(peer, (self._progress.high_qc if entry_tc is None else entry_tc).encode()))

    def _collect(self, timeout: Timeout, high_qc: QuorumCertificate, now_ms: int) -> None:
        match self._collector.add(timeout, high_qc):
            case TimeoutCertificate() as certificate:
                self._progress.take_timeout_certificate(certificate, now_ms)
                leader = self._progress.leader
                if leader is not None and leader != self._me:
                    self._outbox.emit(Send(leader, certificate.encode()))
            case Evidence() as evidence:
                self._outbox.accuse(evidence)
            case None:
                # f+1 contain a correct one, so the round has failed for somebody who waited in earnest (P17).
                if self._collector.count(timeout.round) > self._validators.faults:
                    self.time_out(now_ms)
