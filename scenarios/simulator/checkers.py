"""What must hold in every run, whatever goes wrong in it. Each checker watches from outside and shares no code with
the engine but the form of its messages.

    I1   agreement: one block a height
    I2   unique certification: one certified block a round
    I3   vote monotony: never two votes or a timeout and then a vote in a round, across restarts too
    I4   lock: the certificates that a validator names never fall back behind what it voted on
    I5   TC bound: no timeout certificate forgets a committed block
    I6   chain: heights and rounds rise, parents close
    I7   round entry: proven, and never backwards
    I8   persist before send
    I9   execution: one result and one root a height
    I13  no correct validator is ever accused

I12 (progress after the faults) is asked of a whole run, in `scenarios.simulator.campaign`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ledger.consensus.effects import (
    Append,
    Broadcast,
    CheckpointAdvanced,
    Committed,
    Effect,
    EvidenceFound,
    Executed,
    SaveSafety,
    Send,
    Sync,
)
from ledger.consensus.messages import (
    BlockResponse,
    CheckpointCosignature,
    Message,
    Proposal,
    QuorumCertificate,
    Status,
    Timeout,
    TimeoutCertificate,
    TimeoutMessage,
    Vote,
    VoteMessage,
)
from ledger.consensus.safety import SafetyRecord
from ledger.encoding import decode
from ledger.identifiers import Digest
from ledger.storage.frames import Frame, FrameKind
from scenarios.simulator.node import Node, Watcher

Decode = Callable[[bytes], Message]


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    time_us: int
    instance: int
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.time_us} us, instance {self.instance}: {self.text}"


class Checker(Watcher):
    """A watcher that keeps what it finds wrong. Only correct validators are held to anything."""

    def __init__(self, correct: frozenset[int]) -> None:
        """Args: correct: Indices of the validators that run as one instance."""
        self.correct = correct
        self.violations: list[Violation] = []

    def finish(self) -> None:
        """Check what can be checked at the end only."""

    def violated(self, invariant: str, node: Node, text: str) -> None:
        """Keep a violation."""
        self.violations.append(Violation(invariant, node.now_us, node.instance, text))


class Agreement(Checker):
    """I1, I6, I9: correct members commit the same blocks in the same order, and execution gives them the same roots."""

    def __init__(self, correct: frozenset[int]) -> None:
        super().__init__(correct)
        self.heights: dict[int, int] = {}
        """Highest executed height of each instance."""
        self._blocks: dict[int, bytes] = {}
        self._results: dict[int, tuple[bytes, ...]] = {}
        self._rounds: dict[int, int] = {}
        self._logs: dict[int, bytes] = {}
        self._next: dict[int, int] = {}

    def started(self, node: Node) -> None:
        """A new life may tell of the heights again from any that the last one had reached."""
        self._next.pop(node.instance, None)

    def carried_out(self, node: Node, effect: Effect) -> None:
        """Compare every commit, execution and checkpoint with what others said before."""
        if node.index not in self.correct:
            return
        match effect:
            case Committed(height, block_id, round_):
                self._commit(node, height, block_id, round_)
            case Executed():
                self._execute(node, effect)
            case CheckpointAdvanced(checkpoint):
                root = self._logs.setdefault(checkpoint.size, checkpoint.root)
                if root != checkpoint.root:
                    self.violated(
                        "I9", node, f"log of size {checkpoint.size} has roots {root.hex()}, {checkpoint.root.hex()}"
                    )

    def _commit(self, node: Node, height: int, block_id: bytes, round_: int) -> None:
        known = self._blocks.setdefault(height, bytes(block_id))
        if known != block_id:
            self.violated("I1", node, f"height {height} is {block_id.hex()[:16]} here, {known.hex()[:16]} elsewhere")
        if self._rounds.setdefault(height, round_) != round_:
            self.violated("I6", node, f"height {height} has rounds {round_} and {self._rounds[height]}")
        if self._rounds.get(height - 1, -1) >= round_:
            self.violated("I6", node, f"height {height} has round {round_}, its parent {self._rounds[height - 1]}")

    def _execute(self, node: Node, executed: Executed) -> None:
        height, record = int(executed.height), executed.record
        highest = self.heights.get(node.instance, 0)
        expected = self._next.get(node.instance)
        if height > highest + 1 or (expected is not None and height != expected):
            self.violated("I6", node, f"executed height {height} after {highest if expected is None else expected - 1}")
        self._next[node.instance] = height + 1
        self.heights[node.instance] = max(highest, height)
        known = self._blocks.setdefault(height, bytes(record.block))
        if known != record.block or record.height != height:
            self.violated("I1", node, f"executed {record.block.hex()[:16]} at height {height}, not {known.hex()[:16]}")
        parent = self._blocks.get(height - 1)
        if parent is not None and parent != record.parent:
            self.violated("I6", node, f"height {height} has parent {record.parent.hex()[:16]}, not {parent.hex()[:16]}")
        results = self._results.setdefault(height, executed.entries)
        if results != executed.entries:
            self.violated("I9", node, f"executing height {height} gave other log entries than elsewhere")


class Signing(Checker):
    """I3, I4, I7: what each correct validator signs, over all of its lives."""

    def __init__(self, correct: frozenset[int], decode_message: Decode) -> None:
        super().__init__(correct)
        self._decode = decode_message
        self._votes: dict[tuple[int, int], bytes] = {}
        self._timeouts: dict[tuple[int, int], int] = {}
        self._proposals: dict[tuple[int, int], bytes] = {}
        self._top_vote: dict[int, int] = {}
        self._top_timeout: dict[int, int] = {}
        self._lock: dict[int, int] = {}
        self._certified: dict[int, int] = {}

    def carried_out(self, node: Node, effect: Effect) -> None:
        """Look at every statement that a correct validator makes for itself."""
        if node.index not in self.correct or not isinstance(effect, Send | Broadcast):
            return
        message = self._decode(effect.message)
        match message:
            case VoteMessage(vote=vote) if vote.voter == node.index:
                self._vote(node, vote)
            case TimeoutMessage(timeout=timeout) if timeout.author == node.index:
                if message.vote is not None:
                    self._vote(node, message.vote)
                self._timeout(node, message)
            case Proposal() if message.header.author == node.index:
                self._proposal(node, message)

    def _vote(self, node: Node, vote: Vote) -> None:
        place = (node.index, vote.data.round)
        known = self._votes.get(place)
        if known is not None:
            if known != vote.data.encode():
                self.violated("I3", node, f"two votes in round {vote.data.round}")
            return
        if vote.data.round <= self._top_timeout.get(node.index, 0):
            self.violated(
                "I3",
                node,
                f"a vote in round {vote.data.round} after a timeout in round {self._top_timeout[node.index]}",
            )
        if vote.data.round < self._top_vote.get(node.index, 0):
            self.violated("I3", node, f"a vote in round {vote.data.round} after one in {self._top_vote[node.index]}")
        self._votes[place] = vote.data.encode()
        self._top_vote[node.index] = vote.data.round
        self._lock[node.index] = max(self._lock.get(node.index, 0), vote.data.parent_round)

    def _timeout(self, node: Node, message: TimeoutMessage) -> None:
        timeout, entry = message.timeout, message.entry_tc
        place = (node.index, timeout.round)
        known = self._timeouts.setdefault(place, timeout.high_qc_round)
        if known != timeout.high_qc_round:
            self.violated("I3", node, f"two timeouts in round {timeout.round}")
        if timeout.round < self._top_vote.get(node.index, 0):
            self.violated("I3", node, f"a timeout in round {timeout.round} after a vote in a later one")
        if timeout.round < self._top_timeout.get(node.index, 0):
            self.violated("I7", node, f"a timeout in round {timeout.round} after one in a later round")
        if timeout.high_qc_round < max(self._lock.get(node.index, 0), self._certified.get(node.index, 0)):
            self.violated("I4", node, f"the timeout of round {timeout.round} names certificate {timeout.high_qc_round}")
        if timeout.round - 1 not in (message.high_qc.round, entry.round if entry is not None else None):
            self.violated("I7", node, f"entry to round {timeout.round} is not proven")
        self._top_timeout[node.index] = max(timeout.round, self._top_timeout.get(node.index, 0))
        self._certified[node.index] = max(timeout.high_qc_round, self._certified.get(node.index, 0))

    def _proposal(self, node: Node, proposal: Proposal) -> None:
        round_ = proposal.header.round
        if self._proposals.setdefault((node.index, round_), proposal.id) != proposal.id:
            self.violated("I3", node, f"two proposals in round {round_}")
        tc = proposal.justification.timeout_certificate
        if round_ - 1 not in (proposal.parent_qc.round, tc.round if tc is not None else None):
            self.violated("I7", node, f"entry to round {round_} is not proven by the proposal")


class Certification(Checker):
    """I2, I5: what certificates say, whoever passes them on."""

    def __init__(self, correct: frozenset[int], decode_message: Decode) -> None:
        super().__init__(correct)
        self._decode = decode_message
        self._certified: dict[tuple[int, int], bytes] = {}
        self._timeout_certificates: dict[int, int] = {}
        self._committed_rounds: set[int] = set()
        """Of blocks that a certificate of the very next round commits. For those that are committed only because a
        later block is, earlier timeout certificates need not know of them."""
        self._last: Node | None = None

    def carried_out(self, node: Node, effect: Effect) -> None:
        """Collect certificates; a certificate says itself what it commits."""
        if node.index not in self.correct:
            return
        self._last = node
        if isinstance(effect, Send | Broadcast):
            for certificate in _certificates_in(self._decode(effect.message)):
                self._certificate(node, certificate)

    def finish(self) -> None:
        """Hold every timeout certificate against the committed blocks of earlier rounds (I5)."""
        for round_, high_qc_round in sorted(self._timeout_certificates.items()):
            before = max((r for r in self._committed_rounds if r < round_), default=0)
            if high_qc_round < before and self._last is not None:
                self.violated(
                    "I5",
                    self._last,
                    f"the timeout certificate of round {round_} names certificate "
                    f"{high_qc_round}, below committed round {before}",
                )

    def _certificate(self, node: Node, certificate: QuorumCertificate | TimeoutCertificate) -> None:
        if isinstance(certificate, TimeoutCertificate):
            lowest = min(certificate.high_qc_round, self._timeout_certificates.get(certificate.round, 1 << 62))
            self._timeout_certificates[certificate.round] = lowest
            return
        place = (certificate.vote.epoch, certificate.round)
        if self._certified.setdefault(place, bytes(certificate.block)) != certificate.block:
            self.violated("I2", node, f"two certified blocks in epoch {place[0]}, round {place[1]}")
        if certificate.vote.commit is not None:
            self._committed_rounds.add(certificate.vote.parent_round)


class PersistBeforeSend(Checker):
    """I8: nothing signed is on the wire before what must outlive a power loss is on the disk."""

    def __init__(self, correct: frozenset[int], decode_message: Decode) -> None:
        super().__init__(correct)
        self._decode = decode_message
        self._kept: dict[int, _Kept] = {}
        self._records: dict[int, tuple[bytes, SafetyRecord]] = {}

    def started(self, node: Node) -> None:
        """Begin with what the disk holds."""
        kept = self._kept[node.instance] = _Kept(self._decode)
        for frame in node.disk.frames():
            kept.append(frame)
        kept.sync()

    def carried_out(self, node: Node, effect: Effect) -> None:
        """Follow the disk, and compare what leaves with it."""
        match effect:
            case Append(frame):
                self._kept[node.instance].append(frame)
            case SaveSafety() | Sync():
                self._kept[node.instance].sync()
            case Send() | Broadcast() if node.index in self.correct:
                self._leaves(node, self._decode(effect.message))

    def _leaves(self, node: Node, message: Message) -> None:
        match message:
            case VoteMessage(vote=vote) if vote.voter == node.index:
                self._vote(node, vote)
                if message.cosignature is not None:
                    self._cosignature(node, message.cosignature)
            case TimeoutMessage(timeout=timeout) if timeout.author == node.index:
                self._timeout(node, timeout)
            case Proposal() if message.header.author == node.index:
                if self._record(node).last_proposed_round < message.header.round:
                    self.violated("I8", node, f"the proposal of round {message.header.round} left before its record")
            case CheckpointCosignature() if message.cosignature.validator == node.index:
                self._cosignature(node, message)

    def _vote(self, node: Node, vote: Vote) -> None:
        record, data = self._record(node), vote.data
        if record.last_voted_round < data.round or record.locked_round < data.parent_round:
            self.violated("I8", node, f"the vote of round {data.round} left before its record")
        kept = self._kept[node.instance]
        if data.block not in kept.blocks:
            self.violated("I8", node, f"the vote of round {data.round} left before its block was durable")
        self._entry(node, data.round)

    def _timeout(self, node: Node, timeout: Timeout) -> None:
        record = self._record(node)
        if record.last_voted_round < timeout.round:
            self.violated("I8", node, f"the timeout of round {timeout.round} left before its record")
        if timeout.high_qc_round > 0 and timeout.high_qc_round not in self._kept[node.instance].certified:
            self.violated("I8", node, f"the certificate {timeout.high_qc_round} that a timeout names is not durable")
        self._entry(node, timeout.round)

    def _entry(self, node: Node, round_: int) -> None:
        kept = self._kept[node.instance]
        if round_ > 1 and round_ - 1 not in kept.certified and round_ - 1 not in kept.timed_out:
            self.violated("I8", node, f"signed in round {round_} before what proves entry to it was durable")

    def _cosignature(self, node: Node, statement: CheckpointCosignature) -> None:
        last = self._record(node).last_cosigned
        if last is None or last.size < statement.size:
            self.violated("I8", node, f"the cosignature of size {statement.size} left before its record")

    def _record(self, node: Node) -> SafetyRecord:
        payload = node.disk.durable_safety
        known = self._records.get(node.instance)
        if known is None or known[0] is not payload:
            record = _NOTHING_SIGNED if payload is None else decode(SafetyRecord, payload)
            known = self._records[node.instance] = (payload or b"", record)
        return known[1]


class NoFalseAccusation(Checker):
    """I13, its second half: no evidence names a correct validator."""

    def carried_out(self, node: Node, effect: Effect) -> None:
        """Look at the accused."""
        if isinstance(effect, EvidenceFound) and effect.evidence.validator in self.correct:
            evidence = effect.evidence
            self.violated(
                "I13",
                node,
                f"validator {evidence.validator} is accused of two {evidence.kind}s in round {evidence.round}",
            )


class _Kept:
    """What a member's journal holds, by what it proves."""

    def __init__(self, decode_message: Decode) -> None:
        self.blocks: set[bytes] = set()
        self.certified: set[int] = set()
        self.timed_out: set[int] = set()
        self._decode = decode_message
        self._pending: list[Frame] = []

    def append(self, frame: Frame) -> None:
        if frame.kind in _PROVING:
            self._pending.append(frame)

    def sync(self) -> None:
        for frame in self._pending:
            # A block, a certificate: each is a message too, so that what all members keep is decoded once.
            message = self._decode(frame.payload)
            if isinstance(message, Proposal):
                self.blocks.add(message.id)
            self._certificates(_certificates_in(message))
        self._pending.clear()

    def _certificates(self, certificates: Iterable[QuorumCertificate | TimeoutCertificate]) -> None:
        for certificate in certificates:
            if isinstance(certificate, QuorumCertificate):
                self.certified.add(certificate.round)
            else:
                self.timed_out.add(certificate.round)
                self.certified.add(certificate.high_qc.round)


_PROVING = frozenset({FrameKind.BLOCK, FrameKind.QUORUM_CERTIFICATE, FrameKind.TIMEOUT_CERTIFICATE})
"""Kinds of frames that prove something about rounds."""

_NOTHING_SIGNED = SafetyRecord(
    chain=Digest(bytes(32)),
    epoch=0,
    last_voted_round=0,
    locked_round=0,
    last_proposed_round=0,
    last_vote=None,
    last_timeout=None,
    last_cosigned=None,
)


def all_checkers(correct: frozenset[int], decode_message: Decode) -> list[Checker]:
    """Return one of each checker that needs the members' messages."""
    return [
        Agreement(correct),
        Signing(correct, decode_message),
        Certification(correct, decode_message),
        PersistBeforeSend(correct, decode_message),
        NoFalseAccusation(correct),
    ]


def round_of(message: Message) -> int | None:
    """Return the protocol round that a message belongs to; None for what belongs to no round."""
    match message:
        case Proposal():
            return message.header.round
        case VoteMessage():
            return message.vote.data.round
        case TimeoutMessage():
            return message.timeout.round
        case QuorumCertificate() | TimeoutCertificate():
            return message.round
    return None


def _certificates_in(message: Message) -> Iterator[QuorumCertificate | TimeoutCertificate]:
    match message:
        case Proposal():
            yield message.parent_qc
            if (tc := message.justification.timeout_certificate) is not None:
                yield tc
                yield tc.high_qc
        case TimeoutMessage():
            yield message.high_qc
            if message.entry_tc is not None:
                yield message.entry_tc
        case Status():
            yield message.high_qc
            if message.high_tc is not None:
                yield message.high_tc
        case BlockResponse():
            if message.certificate is not None:
                yield message.certificate
        case QuorumCertificate():
            yield message
        case TimeoutCertificate():
            yield message
            yield message.high_qc
