"""Jolteon: 2-chain HotStuff with a quadratic view change. Rules P1 to P20 as one protocol.

A leader proposes, votes go to the next leader, who certifies the block and extends it. A certified block whose parent
was certified in the round before commits that parent. A round that fails ends with a certificate of timeouts, which
also says how high a block the next leader must build on.

Every handler has two parts. First everything that can be wrong with the input is checked, and raises; then the state
moves, and nothing raises any more. `_settle_down` is the end of each: it votes, watches the clock and proposes, as far
as the state now allows.

Source: Gelashvili et al., "Jolteon and Ditto", 2022, and DiemBFT v4; the rules are numbered in `docs/consensus.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from ledger.blocks.block import Block, BlockHeader, payload_root
from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.consensus.block_tree import BadExtensionError, BlockTree, TreeBlock, committed_by
from ledger.consensus.cache import BoundedCache, SharedCache
from ledger.consensus.certificates import Verifier, check_justification
from ledger.consensus.collectors import TimeoutCollector, VoteCollector
from ledger.consensus.cosigning import CosignatureCollector
from ledger.consensus.effects import (
    Append,
    Broadcast,
    CancelTimer,
    CheckpointAdvanced,
    Committed,
    Effect,
    EvidenceFound,
    Halt,
    SaveSafety,
    Send,
    SetTimer,
    SigningStopped,
)
from ledger.consensus.engine import Application, Timing
from ledger.consensus.evidence import Evidence, SignedHeader, evidence_of
from ledger.consensus.leader import LeaderChoice
from ledger.consensus.messages import (
    BLOCKS_PER_RESPONSE_MAX,
    BlockRequest,
    BlockResponse,
    CheckpointCosignature,
    EnvelopeBatch,
    Justification,
    Message,
    Proposal,
    QuorumCertificate,
    Status,
    Timeout,
    TimeoutCertificate,
    TimeoutMessage,
    Vote,
    VoteMessage,
    decode_proposal,
    genesis_certificate,
)
from ledger.consensus.pacemaker import Pacemaker
from ledger.consensus.safety import Safety, read_record, record_bytes
from ledger.consensus.sync import RETRY_MS, AnswerBudget, BlockSync, answer, read_response
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import decode
from ledger.errors import InvalidInputError, InvariantBrokenError
from ledger.identifiers import BlockId, Digest, Height, ValidatorIndex
from ledger.limits import FRAME_BYTES_MAX
from ledger.storage.frames import Frame, FrameKind
from ledger.storage.safety_slots import SlotsRead

ROUNDS_AHEAD_MAX = 100
"""Votes for rounds further ahead are not kept: nothing proves that such a round exists (P5)."""

ROUNDS_BEHIND_KEPT = 8
"""Votes and proposals of ended rounds that are kept to recognise a second, different one (I13)."""

CHARGES_MAX = 4_096
"""Charges remembered, so that the same one is not reported twice."""

WAITING_MAX = 128
"""Proposals kept while their parent is being fetched."""

BROADCAST_VOTES_MAX = 10
"""Up to this many validators a vote goes to all, which spares the next round when the next leader is dead (P11)."""

CLOCK_AHEAD_MS = 2_000
"""A block may be this far ahead of the voter's clock (P8)."""

EXECUTION_LAG_MAX = 64
"""Heights that order may be ahead of the newest checkpoint in the chain before payloads must be empty (P8)."""

EMPTY_RUN_MAX = 8
"""Empty blocks in a row that are proposed to bring a payload under a checkpoint (P16a)."""

START_MS = 30_000
"""The first round is timed after this long even without a quorum of connections (P16)."""

LISTEN_TIMEOUTS = 2
"""Base timeouts for which a member only listens after a restart (P23)."""

ROUND_TIMER = "round"
REPEAT_TIMER = "repeat"
PROPOSE_TIMER = "propose"
IDLE_TIMER = "idle"
VOTE_TIMER = "vote"
START_TIMER = "start"
LISTEN_TIMER = "listen"
SYNC_TIMER = "sync"


class WrongLeaderError(InvalidInputError):
    """A block's author is not the leader that its own justification gives (P18)."""

    code = "wrong_leader"

    def __init__(self, round_: int, *, expected: int, got: int) -> None:
        super().__init__(f"round {round_} is led by validator {expected}, not {got}")
        self.round, self.expected, self.got = round_, expected, got


class TooFarAheadError(InvalidInputError):
    """A vote for a round that nothing proves to exist yet (P5)."""

    code = "too_far_ahead"


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
        self._verifier = verifier
        self._validators = verifier.validators
        self._safety = safety
        self._me = safety.me if safety is not None else None
        self._leaders = leaders
        self._timing = timing
        self._application = application
        self._cache = cache or SharedCache()
        self._tree = BlockTree(self._validators.chain, created_ms=created_ms, history=leaders.history)
        self._pacemaker = Pacemaker(timing.base_timeout_ms)
        self._votes = VoteCollector(self._validators)
        self._timeouts = TimeoutCollector(self._validators)
        self._cosignatures = CosignatureCollector(self._validators)
        self._sync = BlockSync(self._me)
        self._answers = AnswerBudget(len(self._validators))
        self._high_qc = genesis_certificate(self._validators.chain, self._validators.epoch)
        self._tree.root.certificate = self._high_qc
        self._high_tc: TimeoutCertificate | None = None
        self._checkpoint: QuorumCheckpoint | None = None
        self._unreached: QuorumCheckpoint | None = None
        """A larger checkpoint than this member has executed."""
        self._cosigned_before: CheckpointCosignature | None = None
        """What was cosigned before a restart, until the log has been rebuilt as far and compared (P20b)."""
        self._proposals: dict[tuple[int, int], Proposal] = {}
        """The first one by (round, author)."""
        self._waiting: dict[BlockId, Proposal] = {}
        """Proposals whose parent is not known yet."""
        self._withheld: set[BlockId] = set()
        """Blocks of the current round that the payload filter refused."""
        self._timeout_message: TimeoutMessage | None = None
        """What was sent in the current round."""
        self._timeout_qc = self._high_qc
        """The certificate that the stored timeout names, found again while recovering."""
        self._connected: set[ValidatorIndex] = set()
        self._started = False
        self._recovered = False
        self._stop_reported = False
        self._accused: BoundedCache[bool] = BoundedCache(CHARGES_MAX)
        self._armed: dict[str, int] = {}
        self._entered_ms = created_ms
        """When the current round began here."""
        self._effects: list[Effect] = []

    # What others may read

    @property
    def height(self) -> Height:
        """Of the newest committed block."""
        return Height(self._tree.root.height)

    @property
    def round(self) -> int:
        """The current round."""
        return self._pacemaker.round

    @property
    def high_qc(self) -> QuorumCertificate:
        """The quorum certificate with the highest round that this member holds."""
        return self._high_qc

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        """The largest checkpoint with a quorum that this member has executed as far as it reaches."""
        return self._checkpoint

    @property
    def leader(self) -> ValidatorIndex | None:
        """Who leads the current round by the certificates held here; None while the block to extend is missing."""
        parent = self._tree.get(self._high_qc.block)
        return None if parent is None else self._leaders.leader(self._pacemaker.round, parent, self._tree)

    # Recovery

    def recover(self, frames: Iterable[Frame], slots: SlotsRead) -> None:
        """Rebuild the tree, the committed prefix, the certificates and the safety record (P21, P22)."""
        safety = self._safety
        trusted = slots.unreadable == 0
        if safety is not None and slots.payload is not None:
            safety.restore(read_record(slots.payload, self._validators))
            self._cosigned_before = safety.record.last_cosigned
        highest_block = 0
        for frame in frames:
            self._recovered = True
            match frame.kind:
                case FrameKind.BLOCK:
                    proposal = decode_proposal(frame.payload)
                    highest_block = max(highest_block, proposal.header.round)
                    self._recover_block(proposal)
                case FrameKind.QUORUM_CERTIFICATE:
                    self._take_quorum_certificate(decode(QuorumCertificate, frame.payload), 0, heard=trusted)
                case FrameKind.TIMEOUT_CERTIFICATE:
                    self._take_timeout_certificate(decode(TimeoutCertificate, frame.payload), 0, heard=trusted)
                case FrameKind.CHECKPOINT:
                    self._take_checkpoint(decode(QuorumCheckpoint, frame.payload))
                case FrameKind.EXECUTED:
                    pass
                case _:
                    assert_never(frame.kind)
        if safety is not None and slots.unreadable == 1:
            round_ = max(highest_block, self._pacemaker.round)
            safety.assume_signed(round_=round_, locked_round=self._high_qc.round)
        if safety is not None and slots.unreadable == 2:
            safety.stop("both slots of the safety record are unreadable: what this key has signed is not known")
        self._recovered = self._recovered or slots.payload is not None
        self._started = False
        self._effects = []
        self._armed = {}

    def _recover_block(self, proposal: Proposal) -> None:
        parent = self._tree.get(proposal.header.parent)
        if parent is None or not self._tree.extends_root(parent):
            return
        block = self._tree.place(proposal, parent)
        block.journaled = True
        self._add(block, 0)

    def _compare_with_cosigned(self) -> None:
        """Compare the rebuilt log with what was cosigned before the restart, once it reaches as far (P20b).

        Raises:
            InvariantBrokenError: The same blocks gave another log this time.
        """
        last = self._cosigned_before
        root = self._application.log_root(last.size) if last is not None else None
        if last is None or root is None:
            return
        if root != last.root:
            raise InvariantBrokenError(
                f"the log at height {last.height} was cosigned with root {last.root.hex()}; "
                f"executing its blocks again gives {root.hex()}"
            )
        self._cosigned_before = None

    # Events

    def start(self, now_ms: int) -> list[Effect]:
        """Begin to take part: at once at the genesis, after listening for a while otherwise (P16, P23)."""
        self._entered_ms = now_ms
        self._arm(START_TIMER, now_ms + START_MS)
        self._start_if_connected()
        if self._recovered and self._safety is not None:
            self._safety.listening = True
            self._arm(LISTEN_TIMER, now_ms + LISTEN_TIMEOUTS * self._timing.base_timeout_ms)
        if self._tree.get(self._high_qc.block) is None:
            self._sync.want(self._high_qc)
            self._fetch(now_ms)
        return self._finish(now_ms)

    def on_message(self, peer: ValidatorIndex, message: Message, now_ms: int) -> list[Effect]:
        """Take a decoded message.

        Raises:
            InvalidInputError: The sender broke the protocol. The engine is unchanged.
        """
        match message:
            case Proposal():
                self._on_proposal(message, now_ms)
            case VoteMessage():
                self._on_vote(message, now_ms)
            case TimeoutMessage():
                self._on_timeout(peer, message, now_ms)
            case QuorumCertificate():
                self._verifier.check_quorum_certificate(message)
                self._take_quorum_certificate(message, now_ms)
            case TimeoutCertificate():
                self._verifier.check_timeout_certificate(message)
                self._take_timeout_certificate(message, now_ms)
            case Status():
                self._on_status(message, now_ms)
            case CheckpointCosignature():
                self._on_cosignature(message)
            case QuorumCheckpoint():
                if self._is_news(message):
                    self._check_checkpoint(message)
                    self._take_checkpoint(message)
            case BlockRequest():
                self._on_block_request(peer, message, now_ms)
            case BlockResponse():
                self._on_block_response(peer, message, now_ms)
            case EnvelopeBatch():
                raise UnexpectedMessageError("envelopes are for the pool, not for the engine")
            case _:
                assert_never(message)
        return self._finish(now_ms)

    def on_timer(self, name: str, now_ms: int) -> list[Effect]:
        """Take the firing of a timer."""
        deadline_ms = self._armed.pop(name, None)
        if deadline_ms is None:
            return []
        if deadline_ms > now_ms:
            # Fired before its time, by the clock that counts here.
            self._arm(name, deadline_ms)
        elif name == ROUND_TIMER:
            self._time_out(now_ms)
        elif name == REPEAT_TIMER:
            self._repeat_timeout(now_ms)
        elif name == START_TIMER:
            self._started = True
        elif name == LISTEN_TIMER:
            self._stop_listening(now_ms)
        elif name == SYNC_TIMER:
            self._fetch(now_ms)
        return self._finish(now_ms)

    def on_connected(self, peer: ValidatorIndex, now_ms: int) -> list[Effect]:
        """Tell the peer the highest certificates and the last checkpoint (P17)."""
        self._connected.add(peer)
        self._start_if_connected()
        self._emit(Send(peer, self._status().encode()))
        cosignature = self._open_cosignature()
        if cosignature is not None:
            self._emit(Send(peer, cosignature.encode()))
        return self._finish(now_ms)

    def _start_if_connected(self) -> None:
        if len(self._connected) + 1 >= self._validators.quorum:
            self._started = True
            self._disarm(START_TIMER)

    def on_disconnected(self, peer: ValidatorIndex) -> None:
        """Nothing is waited for from a peer that is gone: timers cover what it still owed."""
        self._connected.discard(peer)

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

    # Proposals

    def _on_proposal(self, proposal: Proposal, now_ms: int) -> None:
        header = proposal.header
        if self._tree.get(proposal.id) is not None or proposal.id in self._waiting:
            return
        if header.round <= self._tree.root.round:
            return
        self._verifier.check_proposal(proposal)
        check_justification(header.round, proposal.justification)
        self._verifier.check_quorum_certificate(proposal.parent_qc)
        timeout_certificate = proposal.justification.timeout_certificate
        if timeout_certificate is not None:
            self._verifier.check_timeout_certificate(timeout_certificate)
        parent = self._tree.get(header.parent)
        block = self._judge(proposal, parent) if parent is not None else None

        self._take_quorum_certificate(proposal.parent_qc, now_ms)
        if timeout_certificate is not None:
            self._take_timeout_certificate(timeout_certificate, now_ms)
        if header.round < self._pacemaker.round - ROUNDS_BEHIND_KEPT:
            # Nobody votes for it any more. If a quorum has, its certificate is what brings it here, by block sync.
            return
        first = self._proposals.setdefault((header.round, header.author), proposal)
        if header.author == self._me and self._safety is not None:
            self._safety.hear_own_proposal(proposal, first=first.id)
        if first.id != proposal.id:
            self._accuse(evidence_of(_signed_header(first), _signed_header(proposal)))
            return
        if block is not None:
            self._adopt(block, now_ms)
        elif self._tree.get(header.parent) is None:
            self._waiting[proposal.id] = proposal
            if len(self._waiting) > WAITING_MAX:
                del self._waiting[next(iter(self._waiting))]

    def _judge(self, proposal: Proposal, parent: TreeBlock) -> TreeBlock | None:
        """Return the block in its place if it is valid there (P5 to P8); None if its branch is decided already.

        Raises:
            BadExtensionError: It does not fit its parent, or carries a payload where it must not.
            WrongLeaderError: Somebody else leads.
            NotAQuorumError, SignatureError: Its checkpoint does not hold.
        """
        if not self._tree.extends_root(parent):
            return None
        header = proposal.header
        expected = self._leaders.leader(header.round, parent, self._tree)
        if header.author != expected:
            raise WrongLeaderError(header.round, expected=expected, got=header.author)
        block = self._tree.place(proposal, parent)
        if header.checkpoint is not None:
            self._check_checkpoint(header.checkpoint)
            self._check_checkpoint_place(header.checkpoint, parent)
        if header.payload_count and header.height > block.checkpoint_height + EXECUTION_LAG_MAX:
            raise BadExtensionError(
                f"a payload at height {header.height}, with the last checkpoint at {block.checkpoint_height}"
            )
        return block

    def _check_checkpoint_place(self, checkpoint: QuorumCheckpoint, parent: TreeBlock) -> None:
        """Check that a carried checkpoint speaks of an ancestor: sizes follow from headers, executed or not."""
        size = self._application.log_size(checkpoint.height)
        for ancestor in self._tree.branch(parent):
            if ancestor.height == checkpoint.height:
                size = ancestor.log_size
        if size != checkpoint.size:
            raise BadExtensionError(f"the log has {size} entries at height {checkpoint.height}, not {checkpoint.size}")

    def _adopt(self, block: TreeBlock, now_ms: int) -> None:
        """Add a judged block, unless its branch was decided in the meantime, and those that waited for it."""
        parent = self._tree.get(block.parent)
        if parent is None or not self._tree.extends_root(parent) or self._tree.get(block.id) is not None:
            return
        proposal = block.proposal
        assert proposal is not None
        # Its cosignatures were checked by the judge, or by the quorum that certified a fetched block.
        if proposal.header.checkpoint is not None:
            self._take_checkpoint(proposal.header.checkpoint)
        self._add(block, now_ms)

    def _add(self, block: TreeBlock, now_ms: int) -> None:
        self._tree.add(block)
        if self._high_qc.block == block.id:
            self._note_certified(block, self._high_qc, journaled=True, now_ms=now_ms)
        children = [proposal for proposal in self._waiting.values() if bytes(proposal.header.parent) == block.id]
        for child in children:
            del self._waiting[child.id]
            try:
                judged = self._judge(child, block)
            except InvalidInputError:
                # Its sender is long gone from the call, and the round is lost to its author by that alone.
                continue
            if judged is not None:
                self._adopt(judged, now_ms)

    # Votes

    def _on_vote(self, message: VoteMessage, now_ms: int) -> None:
        vote, cosignature = message.vote, message.cosignature
        round_ = self._pacemaker.round
        if vote.data.round > round_ + ROUNDS_AHEAD_MAX:
            raise TooFarAheadError(f"a vote of round {vote.data.round} in round {round_}")
        useful = vote.data.round >= round_ - ROUNDS_BEHIND_KEPT and self._votes.needs(vote)
        if useful:
            self._verifier.check_vote(vote)
        if cosignature is not None:
            self._on_cosignature(cosignature)
        if useful:
            if vote.voter == self._me and self._safety is not None:
                self._safety.hear_own_vote(vote)
            self._collect_vote(vote, now_ms)

    def _collect_vote(self, vote: Vote, now_ms: int) -> None:
        match self._votes.add(vote):
            case QuorumCertificate() as certificate:
                self._take_quorum_certificate(certificate, now_ms)
                # Where votes go to one member alone, a certificate reaches the others inside its next proposal. When
                # nothing is left to propose they would wait for it, and time out for nothing (P16a).
                if len(self._validators) > BROADCAST_VOTES_MAX and not self._is_active(now_ms):
                    self._emit(Broadcast(certificate.encode()))
            case Evidence() as evidence:
                self._accuse(evidence)

    def _vote(self, now_ms: int) -> None:
        """Vote for a block of the current round, if there is one to vote for."""
        round_ = self._pacemaker.round
        for proposal in [p for (r, _), p in self._proposals.items() if r == round_]:
            block = self._tree.get(proposal.id)
            message = self._sign_vote(block, now_ms) if block is not None else None
            if block is not None and message is not None:
                self._send_vote(message, block, now_ms)
                return

    def _sign_vote(self, block: TreeBlock, now_ms: int) -> VoteMessage | None:
        """Sign a vote if P8, P9a and P11 allow it; block and record are saved before anything leaves (P20)."""
        safety, parent, proposal = self._safety, self._tree.parent_of(block), block.proposal
        if safety is None or safety.silent or parent is None or proposal is None or block.id in self._withheld:
            return None
        if not safety.may_vote(block.round, self._pacemaker.round):
            return None
        if block.time_ms > now_ms + CLOCK_AHEAD_MS:
            self._arm(VOTE_TIMER, block.time_ms - CLOCK_AHEAD_MS)
            return None
        if not self._application.approves(proposal, _proposals_of(self._tree.branch(parent))):
            self._withheld.add(block.id)
            return None
        self._journal(block)
        vote = safety.sign_vote(block.vote_data(parent, self._validators.epoch), current_round=self._pacemaker.round)
        if vote is None:
            return None
        cosignature = self._sign_cosignature(block, now_ms)
        self._save_safety()
        return VoteMessage(vote=vote, cosignature=cosignature)

    def _send_vote(self, message: VoteMessage, block: TreeBlock, now_ms: int) -> None:
        """Send a vote to whoever leads after a certificate of the block, or to all if they are few (P11)."""
        leader = self._leaders.leader(block.round + 1, block, self._tree)
        if len(self._validators) <= BROADCAST_VOTES_MAX:
            self._emit(Broadcast(message.encode()))
        elif leader != self._me:
            self._emit(Send(leader, message.encode()))
        if leader == self._me or len(self._validators) <= BROADCAST_VOTES_MAX:
            if message.cosignature is not None:
                self._collect_cosignature(message.cosignature)
            self._collect_vote(message.vote, now_ms)

    # Certificates

    def _take_quorum_certificate(self, certificate: QuorumCertificate, now_ms: int, *, heard: bool = True) -> None:
        """Move by a verified certificate: the highest one, the round, what it commits. Never raises.

        Args:
            heard: Whether an own vote inside is compared with the safety record.
        """
        if certificate.round == 0:
            return
        if heard and self._safety is not None:
            self._safety.hear_quorum_certificate(certificate)
        mine = self._safety.record.last_timeout if self._safety is not None else None
        if mine is not None and mine.high_qc_round == certificate.round != self._timeout_qc.round:
            self._timeout_qc = certificate
        block = self._tree.get(certificate.block)
        newest = certificate.round > self._high_qc.round
        if newest:
            self._high_qc = certificate
            if block is not None:
                self._journal(block)
            self._journal_quorum_certificate(certificate, block)
        if block is not None:
            self._note_certified(block, certificate, journaled=newest, now_ms=now_ms)
        elif newest and self._sync.want(certificate):
            self._fetch(now_ms)
        if self._pacemaker.enter_after(certificate.round):
            self._enter_round(now_ms)

    def _note_certified(
        self, block: TreeBlock, certificate: QuorumCertificate, *, journaled: bool, now_ms: int
    ) -> None:
        """A block of the tree has a certificate: commit what this commits (P14), and stop fetching it."""
        block.certificate = block.certificate or certificate
        self._journal(block)
        target = committed_by(certificate.vote)
        if target is not None:
            self._commit(target, certificate, journaled=journaled)
        wanted = self._sync.target
        if wanted is not None and (wanted.block == block.id or wanted.round <= self._tree.root.round):
            self._sync.arrived()
            self._disarm(SYNC_TIMER)

    def _commit(self, target: BlockId, certificate: QuorumCertificate, *, journaled: bool) -> None:
        """Commit `target` and its ancestors, oldest first, each once; what commits them is journaled before."""
        block = self._tree.get(target)
        if block is None or block.height <= self._tree.root.height:
            return
        if not journaled:
            self._journal_quorum_certificate(certificate, block)
        for one in self._tree.commit(target):
            assert one.proposal is not None
            self._emit(Committed(Height(one.height), one.id, one.round))
            self._effects += self._application.commit(one.proposal)
            self._pacemaker.note_commit(one.round)
        self._compare_with_cosigned()
        for waiting in [p.id for p in self._waiting.values() if p.header.round <= self._tree.root.round]:
            del self._waiting[waiting]
        unreached, self._unreached = self._unreached, None
        if unreached is not None:
            self._take_checkpoint(unreached)

    def _take_timeout_certificate(self, certificate: TimeoutCertificate, now_ms: int, *, heard: bool = True) -> None:
        """Move by a verified certificate of timeouts: first by the certificate inside, then to the next round."""
        if heard and self._safety is not None:
            self._safety.hear_timeout_certificate(certificate)
        self._take_quorum_certificate(certificate.high_qc, now_ms, heard=heard)
        if certificate.round < self._pacemaker.round:
            return
        self._high_tc = certificate
        self._emit(Append(Frame(FrameKind.TIMEOUT_CERTIFICATE, Height(self._tree.root.height), certificate.encode())))
        if self._pacemaker.enter_after(certificate.round):
            self._enter_round(now_ms)

    def _enter_round(self, now_ms: int) -> None:
        """Forget what belonged to the round before."""
        self._entered_ms = now_ms
        for timer in (ROUND_TIMER, REPEAT_TIMER, PROPOSE_TIMER, IDLE_TIMER, VOTE_TIMER):
            self._disarm(timer)
        self._timeout_message = None
        self._withheld.clear()
        # A network in which rounds pass is awake, however few connections this member has counted.
        self._started = True
        oldest = self._pacemaker.round - ROUNDS_BEHIND_KEPT
        self._votes.forget_below(oldest)
        self._timeouts.forget_below(self._pacemaker.round)
        for key in [key for key in self._proposals if key[0] < oldest]:
            del self._proposals[key]
        for waiting in [p.id for p in self._waiting.values() if p.header.round < oldest]:
            del self._waiting[waiting]

    def _entry_tc(self) -> TimeoutCertificate | None:
        """Return what proves entry to the current round, unless the highest quorum certificate does (P7)."""
        return None if self._high_qc.round == self._pacemaker.round - 1 else self._high_tc

    # Timeouts

    def _time_out(self, now_ms: int) -> None:
        """Stop voting in the current round and tell everybody, once; the same again if asked again (P12, P13)."""
        safety = self._safety
        if safety is None or self._timeout_message is not None:
            return
        entry_tc = self._entry_tc()
        asked = safety.record.last_timeout
        timeout = safety.sign_timeout(current_round=self._pacemaker.round, high_qc=self._high_qc, entry_tc=entry_tc)
        if timeout is None:
            return
        self._timeout_qc = self._timeout_qc if timeout == asked else self._high_qc
        vote = safety.record.last_vote
        message = TimeoutMessage(
            timeout=timeout,
            high_qc=self._timeout_qc,
            entry_tc=None if self._timeout_qc.round == timeout.round - 1 else self._high_tc,
            vote=vote if vote is not None and vote.data.round == timeout.round else None,
        )
        self._timeout_message = message
        self._save_safety()
        self._emit(Broadcast(message.encode()))
        self._arm(REPEAT_TIMER, now_ms + self._pacemaker.repeat_ms())
        self._collect_timeout(timeout, message.high_qc, now_ms)

    def _repeat_timeout(self, now_ms: int) -> None:
        """Send the same bytes again, and a better certificate beside them if there is one (P13, P17)."""
        message = self._timeout_message
        if message is None:
            return
        self._emit(Broadcast(message.encode()))
        if self._high_qc.round > message.high_qc.round:
            self._emit(Broadcast(self._high_qc.encode()))
        self._arm(REPEAT_TIMER, now_ms + self._pacemaker.repeat_ms())

    def _on_timeout(self, peer: ValidatorIndex, message: TimeoutMessage, now_ms: int) -> None:
        timeout = message.timeout
        if timeout.round < self._pacemaker.round:
            self._help(peer, timeout)
            return
        if timeout.round == self._pacemaker.round and not self._timeouts.needs(timeout):
            return
        self._verifier.check_timeout_message(message)

        if timeout.author == self._me and self._safety is not None:
            self._safety.hear_own_timeout(timeout)
        self._take_quorum_certificate(message.high_qc, now_ms)
        if message.entry_tc is not None:
            self._take_timeout_certificate(message.entry_tc, now_ms)
        if message.vote is not None and self._votes.needs(message.vote):
            self._collect_vote(message.vote, now_ms)
        if timeout.round == self._pacemaker.round:
            self._collect_timeout(timeout, message.high_qc, now_ms)

    def _help(self, peer: ValidatorIndex, timeout: Timeout) -> None:
        """Show somebody who is stuck in an ended round how it ended. Costs no check; they repeat themselves slowly."""
        if timeout.author != self._me:
            entry_tc = self._entry_tc()
            self._emit(Send(peer, (self._high_qc if entry_tc is None else entry_tc).encode()))

    def _collect_timeout(self, timeout: Timeout, high_qc: QuorumCertificate, now_ms: int) -> None:
        match self._timeouts.add(timeout, high_qc):
            case TimeoutCertificate() as certificate:
                self._take_timeout_certificate(certificate, now_ms)
                parent = self._tree.get(self._high_qc.block)
                if parent is not None:
                    leader = self._leaders.leader(self._pacemaker.round, parent, self._tree)
                    if leader != self._me:
                        self._emit(Send(leader, certificate.encode()))
            case Evidence() as evidence:
                self._accuse(evidence)
            case None:
                # f+1 contain a correct one, so the round has failed for somebody who waited in earnest (P17).
                if self._timeouts.count(timeout.round) > self._validators.faults:
                    self._time_out(now_ms)

    # Checkpoints

    def _sign_cosignature(self, block: TreeBlock, now_ms: int) -> CheckpointCosignature | None:
        """Cosign the log after the newest block that `block`'s own chain commits (P20a)."""
        safety = self._safety
        if safety is None:
            return None
        root = self._application.log_root(block.commits_size)
        if root is not None and block.commits_height > 0:
            safety.sign_cosignature(height=block.commits_height, size=block.commits_size, root=root, now_ms=now_ms)
        # The last one goes along again until its size has a quorum: whom it was sent to may be dead.
        return self._open_cosignature()

    def _open_cosignature(self) -> CheckpointCosignature | None:
        """Return the own last cosignature if no checkpoint of its size or a larger one has a quorum here."""
        last = self._safety.record.last_cosigned if self._safety is not None else None
        if last is None or (self._checkpoint is not None and last.size <= self._checkpoint.size):
            return None
        return last

    def _on_cosignature(self, statement: CheckpointCosignature) -> None:
        if not self._cosignatures.needs(statement):
            return
        size = self._application.log_size(statement.height)
        if size is not None and size != statement.size:
            raise BadExtensionError(f"the log has {size} entries at height {statement.height}, not {statement.size}")
        self._verifier.check_cosignature(statement)
        self._collect_cosignature(statement)

    def _collect_cosignature(self, statement: CheckpointCosignature) -> None:
        checkpoint = self._cosignatures.add(statement)
        if checkpoint is not None:
            self._take_checkpoint(checkpoint)
            self._emit(Broadcast(checkpoint.encode()))

    def _is_news(self, checkpoint: QuorumCheckpoint) -> bool:
        """Return whether a checkpoint is worth checking a quorum of signatures.

        Several members may have found the same quorum at once. A checkpoint on another root than the own log's is
        always worth it (P20c).

        Raises:
            BadExtensionError: Its height and size do not belong together.
        """
        self._check_size(checkpoint)
        known = self._checkpoint
        if known is None or checkpoint.size > known.size:
            return True
        return self._application.log_root(checkpoint.size) != checkpoint.root

    def _check_checkpoint(self, checkpoint: QuorumCheckpoint) -> None:
        self._check_size(checkpoint)
        self._verifier.check_checkpoint(checkpoint)

    def _check_size(self, checkpoint: QuorumCheckpoint) -> None:
        """Compare the height, which is not under the cosignatures, with the own log."""
        size = self._application.log_size(checkpoint.height)
        if size is not None and size != checkpoint.size:
            raise BadExtensionError(f"the log has {size} entries at height {checkpoint.height}, not {checkpoint.size}")

    def _take_checkpoint(self, checkpoint: QuorumCheckpoint) -> None:
        """Keep a verified checkpoint if it is larger than the last; stop if it shows another history (P20c)."""
        root = self._application.log_root(checkpoint.size)
        if root is None:
            if self._unreached is None or checkpoint.size > self._unreached.size:
                self._unreached = checkpoint
            return
        if root != checkpoint.root:
            reason = (
                f"a quorum attests root {checkpoint.root.hex()} for the log at height {checkpoint.height}, "
                f"this member has {root.hex()}"
            )
            if self._safety is not None:
                self._safety.stop(reason)
            self._emit(Halt(reason))
            return
        if self._checkpoint is not None and checkpoint.size <= self._checkpoint.size:
            return
        if self._application.log_size(checkpoint.height) != checkpoint.size:
            # The height is not under the cosignatures, so a false one blames nobody and just is not used.
            return
        self._checkpoint = checkpoint
        self._cosignatures.settle(checkpoint.size)
        self._emit(Append(Frame(FrameKind.CHECKPOINT, Height(checkpoint.height), checkpoint.encode())))
        self._emit(CheckpointAdvanced(checkpoint))

    # Status and block sync

    def _status(self) -> Status:
        return Status(high_qc=self._high_qc, high_tc=self._entry_tc(), checkpoint=self._checkpoint)

    def _on_status(self, status: Status, now_ms: int) -> None:
        self._verifier.check_quorum_certificate(status.high_qc)
        if status.high_tc is not None:
            self._verifier.check_timeout_certificate(status.high_tc)
        checkpoint = status.checkpoint if status.checkpoint is not None and self._is_news(status.checkpoint) else None
        if checkpoint is not None:
            self._check_checkpoint(checkpoint)
        self._take_quorum_certificate(status.high_qc, now_ms)
        if status.high_tc is not None:
            self._take_timeout_certificate(status.high_tc, now_ms)
        if checkpoint is not None:
            self._take_checkpoint(checkpoint)

    def _on_block_request(self, peer: ValidatorIndex, request: BlockRequest, now_ms: int) -> None:
        """Answer with committed blocks above the asker's, then those on the way to the target, all certified."""
        if not self._answers.allows(peer, now_ms):
            return
        root = self._tree.root
        raws: list[tuple[bytes, QuorumCertificate | None]] = []
        size = 0
        # One more than an answer holds: the certificate of the last block is inside the next one.
        for height in range(request.above + 1, min(root.height, request.above + BLOCKS_PER_RESPONSE_MAX + 1) + 1):
            raw = self._application.committed_block(height)
            if raw is None:
                break
            raws.append((raw, root.certificate if height == root.height else None))
            size += len(raw)
            if size > FRAME_BYTES_MAX and len(raws) > 1:
                break
        if request.above + len(raws) == root.height:
            target = self._tree.get(request.target) or root
            raws += [(b.proposal.raw, b.certificate) for b in self._tree.branch(target) if b.proposal is not None]
        self._emit(Send(peer, answer(raws).encode()))

    def _on_block_response(self, peer: ValidatorIndex, response: BlockResponse, now_ms: int) -> None:
        """Take certified blocks. Who certified them judged them, so only their place is looked at."""
        if not self._sync.expects(peer):
            return
        proposals, certificates = read_response(response, self._tree, self._verifier, self._cache)
        height = self._tree.root.height
        for proposal, certificate in zip(proposals, certificates, strict=True):
            parent = self._tree.get(proposal.header.parent)
            if self._tree.get(proposal.id) is None:
                if parent is None or not self._tree.extends_root(parent):
                    continue
                self._waiting.pop(proposal.id, None)
                self._proposals.setdefault((proposal.header.round, proposal.header.author), proposal)
                self._adopt(self._tree.place(proposal, parent), now_ms)
            self._take_quorum_certificate(certificate, now_ms)
        if self._sync.target is not None and self._tree.root.height > height:
            self._fetch(now_ms)

    def _fetch(self, now_ms: int) -> None:
        """Ask for the blocks on the way to the target, and again if they do not come (P19)."""
        request, signers = self._sync.ask(self._tree.root.height)
        if request is not None:
            self._effects += [Send(signer, request.encode()) for signer in signers]
            self._arm(SYNC_TIMER, now_ms + RETRY_MS)

    # The end of every event

    def _finish(self, now_ms: int) -> list[Effect]:
        self._settle_down(now_ms)
        reason = self._safety.stopped if self._safety is not None else None
        if reason is not None and not self._stop_reported:
            self._stop_reported = True
            self._emit(SigningStopped(reason))
        effects, self._effects = self._effects, []
        return effects

    def _settle_down(self, now_ms: int) -> None:
        """Vote, watch the clock and propose until nothing moves any more."""
        while True:
            round_ = self._pacemaker.round
            self._vote(now_ms)
            self._watch(now_ms)
            if not self._propose(now_ms) and self._pacemaker.round == round_:
                return

    def _watch(self, now_ms: int) -> None:
        """Time the current round if there is something to wait for; else only the end of the idle time (P16, P16a)."""
        if not self._started or self._timeout_message is not None:
            return
        if self._is_active(now_ms):
            self._disarm(IDLE_TIMER)
            if ROUND_TIMER not in self._armed:
                self._arm(ROUND_TIMER, now_ms + self._pacemaker.timeout_ms())
        elif (tip := self._tree.get(self._high_qc.block)) is not None:
            self._arm(IDLE_TIMER, tip.time_ms + self._timing.idle_ms)

    def _is_active(self, now_ms: int) -> bool:
        """Return whether the current round should bring a block (P16a)."""
        tip = self._tree.get(self._high_qc.block)
        if tip is None or any(r == self._pacemaker.round for r, _ in self._proposals):
            return True
        if self._application.has_payload() or now_ms >= tip.time_ms + self._timing.idle_ms:
            return True
        return tip.unsettled and tip.empty_run < EMPTY_RUN_MAX

    def _propose(self, now_ms: int) -> bool:
        """Propose a block if this member leads the round and there is something to propose; return whether it did."""
        safety, round_ = self._safety, self._pacemaker.round
        parent = self._tree.get(self._high_qc.block)
        if safety is None or safety.silent or parent is None or not self._started:
            return False
        if round_ <= safety.record.last_proposed_round or round_ <= safety.record.last_voted_round:
            return False
        if self._leaders.leader(round_, parent, self._tree) != self._me or not self._is_active(now_ms):
            return False
        # A parent may be dated ahead of this clock (P8). To wait for that time would cost its child the round.
        due_ms = min(parent.time_ms, self._entered_ms) + self._timing.block_interval_ms
        if now_ms < due_ms:
            self._arm(PROPOSE_TIMER, due_ms)
            return False
        proposal = self._build(parent, round_, now_ms, safety)
        if proposal is None:
            return False
        block = self._tree.place(proposal, parent)
        self._proposals[round_, safety.me] = proposal
        self._add(block, now_ms)
        vote = self._sign_vote(block, now_ms)
        if vote is None:
            self._save_safety()
        self._emit(Broadcast(proposal.raw))
        if vote is not None:
            self._send_vote(vote, block, now_ms)
        return True

    def _build(self, parent: TreeBlock, round_: int, now_ms: int, safety: Safety) -> Proposal | None:
        checkpoint = self._checkpoint
        if checkpoint is not None and checkpoint.size <= parent.checkpoint_size:
            checkpoint = None
        covered = checkpoint.height if checkpoint is not None else parent.checkpoint_height
        height = Height(parent.height + 1)
        payload: tuple[bytes, ...] = ()
        if height <= covered + EXECUTION_LAG_MAX:
            payload = self._application.take_payload(
                _proposals_of(self._tree.branch(parent)), height=height, bytes_max=self._timing.payload_bytes_max
            )
        justification = Justification(parent_qc=self._high_qc, timeout_certificate=self._entry_tc())
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

    def _stop_listening(self, now_ms: int) -> None:
        """Take part again after a restart (P23)."""
        if self._safety is not None:
            self._safety.listening = False
            self._speak_again(now_ms)

    def _speak_again(self, now_ms: int) -> None:
        """Say what was signed last, if its round is still the current one: a restart may have cut it off (P21)."""
        safety = self._safety
        if safety is None or safety.silent:
            return
        vote, timeout = safety.record.last_vote, safety.record.last_timeout
        if vote is not None and vote.data.round == self._pacemaker.round:
            block = self._tree.get(vote.data.block)
            if block is not None:
                self._send_vote(VoteMessage(vote=vote, cosignature=self._open_cosignature()), block, now_ms)
        if timeout is not None and timeout.round == self._pacemaker.round:
            self._time_out(now_ms)

    # Small things

    def _accuse(self, evidence: Evidence) -> None:
        """Report evidence, once for each validator, round and kind."""
        charge = (evidence.kind, evidence.validator, evidence.round)
        if self._accused.get(charge) is None:
            self._accused.put(charge, True)
            self._emit(EvidenceFound(evidence))

    def _journal(self, block: TreeBlock) -> None:
        """Journal the block and its ancestors, oldest first, as far as the journal does not hold them."""
        missing = []
        for ancestor in self._tree.chain_down(block):
            if ancestor.journaled:
                break
            missing.append(ancestor)
        for one in reversed(missing):
            assert one.proposal is not None
            one.journaled = True
            self._emit(Append(Frame(FrameKind.BLOCK, Height(one.height), one.proposal.raw)))

    def _journal_quorum_certificate(self, certificate: QuorumCertificate, block: TreeBlock | None) -> None:
        height = Height(block.height if block is not None else self._tree.root.height)
        self._emit(Append(Frame(FrameKind.QUORUM_CERTIFICATE, height, certificate.encode())))

    def _save_safety(self) -> None:
        assert self._safety is not None
        self._emit(SaveSafety(record_bytes(self._safety.record)))

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _arm(self, timer: str, deadline_ms: int) -> None:
        if self._armed.get(timer) != deadline_ms:
            self._armed[timer] = deadline_ms
            self._emit(SetTimer(timer, deadline_ms))

    def _disarm(self, timer: str) -> None:
        if self._armed.pop(timer, None) is not None:
            self._emit(CancelTimer(timer))


def _signed_header(proposal: Proposal) -> SignedHeader:
    return SignedHeader(header=proposal.header, signature=proposal.block.signature)


def _proposals_of(branch: list[TreeBlock]) -> list[Proposal]:
    return [block.proposal for block in branch if block.proposal is not None]
