"""Each checker finds what it is there for, and is silent where nothing is wrong."""

from __future__ import annotations

import msgspec
import pytest

from ledger.blocks.block import Block, BlockHeader, payload_root
from ledger.blocks.checkpoint import Cosignature, QuorumCheckpoint
from ledger.blocks.log import BlockRecord
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
from ledger.consensus.evidence import evidence_of
from ledger.consensus.messages import (
    CheckpointCosignature,
    CommitInfo,
    Justification,
    QuorumCertificate,
    Timeout,
    TimeoutCertificate,
    TimeoutMessage,
    Vote,
    VoteData,
    VoteMessage,
    decode_message,
)
from ledger.consensus.safety import SafetyRecord
from ledger.encoding import Canonical
from ledger.identifiers import BlockId, Digest, Height, ValidatorIndex
from ledger.storage.frames import Frame, FrameKind
from scenarios.simulator.checkers import (
    Agreement,
    Certification,
    Checker,
    NoFalseAccusation,
    PersistBeforeSend,
    Signing,
)
from scenarios.simulator.disk import VirtualDisk
from scenarios.simulator.loop import EventLoop
from scenarios.simulator.node import DiskSpeed, Node
from scenarios.simulator.streams import Stream
from scenarios.simulator.workload import small_network
from tests.simulator.fake_member import FakeMember

GENESIS = small_network(4).genesis
CORRECT = frozenset({0, 1, 2})
"""Validator 3 is not, so that nothing it does may count."""


def digest(name: str) -> Digest:
    return Digest(name.encode().ljust(32, b"."))


def new_node(index: int) -> Node:
    return Node(
        instance=index,
        index=ValidatorIndex(index),
        code=GENESIS.founders[index].credit_code,  # type: ignore[arg-type]
        loop=EventLoop(0, Stream(1)),
        disk=VirtualDisk(GENESIS.chain, Stream(2)),
        make_member=FakeMember,
        watchers=(),
        disk_speed=DiskSpeed(),
    )


NODES = [new_node(index) for index in range(4)]


def found(checker: Checker, *seen: tuple[int, Effect]) -> list[str]:
    """Return the invariants that the checker says were violated by these effects of nodes."""
    for index, effect in seen:
        checker.carried_out(NODES[index], effect)
    checker.finish()
    return [violation.invariant for violation in checker.violations]


def vote(round_: int, block: str, *, parent_round: int | None = None, voter: int = 0) -> Vote:
    parent_round = round_ - 1 if parent_round is None else parent_round
    data = VoteData(
        epoch=0, round=round_, block=digest(block), parent_round=parent_round, parent=digest("parent"), commit=None
    )
    return Vote(data=data, voter=voter, signature=bytes(64))


def sent(message: Canonical) -> Effect:
    return Broadcast(message.encode())


def voted(*arguments: object, **options: object) -> Effect:
    return Send(
        ValidatorIndex(1),
        VoteMessage(vote=vote(*arguments, **options), cosignature=None).encode(),  # type: ignore[arg-type]
    )


def certificate(round_: int, block: str) -> QuorumCertificate:
    return QuorumCertificate(vote=vote(round_, block).data, voters=(0, 1, 2), signatures=bytes(192))


def committing(round_: int) -> QuorumCertificate:
    """Return the certificate of a block whose parent is of the round before and so committed by it."""
    parent = CommitInfo(height=1, block=digest("parent"), payload_root=digest("payload"), time_ms=1)
    return msgspec.structs.replace(
        certificate(round_, "child"), vote=msgspec.structs.replace(vote(round_, "child").data, commit=parent)
    )


def timeout_certificate(round_: int, high_qc_round: int) -> TimeoutCertificate:
    return TimeoutCertificate(
        epoch=0,
        round=round_,
        authors=(0, 1, 2),
        high_qc_rounds=(high_qc_round,) * 3,
        signatures=bytes(192),
        high_qc=certificate(high_qc_round, f"block {high_qc_round}"),
    )


def timed_out(round_: int, high_qc_round: int, *, author: int = 0, entry: int | None = None) -> Effect:
    timeout = Timeout(epoch=0, round=round_, high_qc_round=high_qc_round, author=author, signature=bytes(64))
    entry_tc = None if entry is None else timeout_certificate(entry, high_qc_round)
    high_qc = certificate(high_qc_round, f"block {high_qc_round}")
    return sent(TimeoutMessage(timeout=timeout, high_qc=high_qc, entry_tc=entry_tc, vote=None))


def block(
    round_: int, *, author: int = 0, time_ms: int = 1, parent_round: int | None = None, tc: int | None = None
) -> Block:
    parent_qc = certificate(round_ - 1 if parent_round is None else parent_round, "parent")
    entry = None if tc is None else timeout_certificate(tc, parent_qc.round)
    header = BlockHeader(
        chain=Digest(GENESIS.chain),
        epoch=0,
        round=round_,
        height=round_,
        parent=digest("parent"),
        author=author,
        justification=Justification(parent_qc=parent_qc, timeout_certificate=entry).encode(),
        payload_root=payload_root(()),
        payload_count=0,
        checkpoint=None,
        time_ms=time_ms,
    )
    return Block(header=header, suite=1, signature=bytes(64), payload=())


def committed(height: int, name: str, round_: int) -> Effect:
    return Committed(Height(height), BlockId(digest(name)), round_)


def executed(height: int, name: str, parent: str, *, root: str = "root") -> Effect:
    record = BlockRecord(
        height=height,
        block=digest(name),
        parent=digest(parent),
        time_ms=height,
        state_root=digest(root),
        validators_hash=digest("validators"),
        deadlines=(),
    )
    return Executed(
        height=Height(height),
        block=block(height + 1),
        record=record,
        results=(),
        entries=(record.encode(),),
        first_index=height,
        touched=(),
        touched_by_deadlines=(),
    )


def advanced(size: int, root: str) -> Effect:
    return CheckpointAdvanced(QuorumCheckpoint(epoch=0, height=1, size=size, root=digest(root), cosignatures=()))


AGREEMENT = {
    "two blocks at a height": ([(0, committed(1, "a", 1)), (1, committed(1, "b", 1))], ["I1"]),
    "another block executed": ([(0, executed(1, "a", "g")), (1, executed(1, "b", "g"))], ["I1", "I9"]),
    "another root": ([(0, executed(1, "a", "g")), (1, executed(1, "a", "g", root="other"))], ["I9"]),
    "another log root": ([(0, advanced(5, "a")), (1, advanced(5, "b"))], ["I9"]),
    "a height left out": ([(0, executed(1, "a", "g")), (0, executed(3, "c", "b"))], ["I6"]),
    "executed twice": ([(0, executed(1, "a", "g")), (0, executed(1, "a", "g"))], ["I6"]),
    "another parent": ([(0, executed(1, "a", "g")), (0, executed(2, "b", "z"))], ["I6"]),
    "rounds that fall": ([(0, committed(1, "a", 5)), (0, committed(2, "b", 5))], ["I6"]),
    "all is well": (
        [
            *((i, committed(h, n, r)) for i in (0, 1) for h, n, r in ((1, "a", 1), (2, "b", 4))),
            *((i, executed(h, n, p)) for i in (0, 1) for h, n, p in ((1, "a", "g"), (2, "b", "a"))),
            *((i, advanced(5, "a")) for i in (0, 1)),
        ],
        [],
    ),
    "a dishonest one": ([(0, committed(1, "a", 1)), (3, committed(1, "b", 2)), (3, executed(7, "x", "y"))], []),
}


@pytest.mark.parametrize(("seen", "expected"), AGREEMENT.values(), ids=AGREEMENT.keys())
def test_agreement_chain_and_roots(seen: list[tuple[int, Effect]], expected: list[str]) -> None:
    """I1, I6, I9 over commits, executions and checkpoints of correct members."""
    assert found(Agreement(CORRECT), *seen) == expected


def test_a_new_life_may_tell_its_heights_again() -> None:
    """After a restart executing goes on from any height that was reached before, not beyond the next."""
    checker = Agreement(CORRECT)
    assert found(checker, (0, executed(1, "a", "g")), (0, executed(2, "b", "a"))) == []
    checker.started(NODES[0])
    assert found(checker, (0, executed(2, "b", "a")), (0, executed(3, "c", "b"))) == []
    checker.started(NODES[0])
    assert found(checker, (0, executed(5, "e", "d"))) == ["I6"]


SIGNING = {
    "two votes in a round": ([voted(3, "a"), voted(3, "b")], ["I3"]),
    "a vote after a later one": ([voted(3, "a"), voted(2, "b")], ["I3"]),
    "a vote after a timeout": ([timed_out(3, 2), voted(3, "a")], ["I3"]),
    "two timeouts in a round": ([timed_out(3, 1, entry=2), timed_out(3, 2)], ["I3"]),
    "a timeout that forgets the lock": ([voted(3, "a"), timed_out(4, 1, entry=3)], ["I4"]),
    "a timeout that forgets a certificate": ([timed_out(5, 4), timed_out(6, 3, entry=5)], ["I4"]),
    "a timeout without entry": ([timed_out(5, 3)], ["I7"]),
    "a timeout of an earlier round": ([timed_out(5, 4), timed_out(4, 4, entry=3)], ["I7"]),
    "two proposals in a round": ([sent(block(3)), sent(block(3, time_ms=2))], ["I3"]),
    "a proposal without entry": ([sent(block(5, parent_round=2))], ["I7"]),
    "all is well": (
        [
            *(voted(1, "a"), voted(1, "a"), voted(2, "b"), timed_out(2, 1), timed_out(2, 1)),
            *(timed_out(3, 1, entry=2), sent(block(4, parent_round=1, tc=3)), voted(4, "c", parent_round=1)),
        ],
        [],
    ),
    "another's vote is no own one": ([voted(3, "a"), voted(3, "b", voter=1)], []),
}


@pytest.mark.parametrize(("seen", "expected"), SIGNING.values(), ids=SIGNING.keys())
def test_what_a_correct_validator_signs(seen: list[Effect], expected: list[str]) -> None:
    """I3, I4, I7 over votes, timeouts and proposals; of a dishonest validator nothing is asked."""
    assert found(Signing(CORRECT, decode_message), *((0, effect) for effect in seen)) == expected
    assert found(Signing(frozenset({1, 2}), decode_message), *((0, effect) for effect in seen)) == []


CERTIFICATION = {
    "two certified blocks in a round": ([sent(certificate(3, "a")), sent(certificate(3, "b"))], ["I2"]),
    "a certificate that forgets a commit": ([sent(committing(5)), sent(timeout_certificate(6, 3))], ["I5"]),
    "a commit that a certificate forgot": ([sent(timeout_certificate(6, 3)), sent(committing(5))], ["I5"]),
    "all is well": (
        [
            *(sent(certificate(3, "a")), sent(certificate(3, "a"))),
            *(sent(committing(5)), sent(timeout_certificate(6, 4)), sent(timeout_certificate(3, 2))),
        ],
        [],
    ),
    "a commit above": ([sent(timeout_certificate(6, 3)), sent(committing(8))], []),
    "certified alone": ([sent(certificate(5, "a")), sent(timeout_certificate(6, 3))], []),
}


@pytest.mark.parametrize(("seen", "expected"), CERTIFICATION.values(), ids=CERTIFICATION.keys())
def test_what_certificates_say(seen: list[Effect], expected: list[str]) -> None:
    """I2, I5 over every certificate that a correct member passes on."""
    assert found(Certification(CORRECT, decode_message), *((0, effect) for effect in seen)) == expected


class Disk:
    """A node whose disk is written by hand, with the checker that watches it."""

    def __init__(self) -> None:
        self.node = new_node(0)
        self.checker = PersistBeforeSend(CORRECT, decode_message)
        self.checker.started(self.node)

    def do(self, effect: Effect) -> None:
        match effect:
            case Append(frame):
                self.node.disk.append(frame)
            case SaveSafety(payload):
                self.node.disk.sync_journal()
                self.node.disk.write_safety(payload)
                self.node.disk.sync_safety()
            case Sync():
                self.node.disk.sync_journal()
        self.checker.carried_out(self.node, effect)

    def found(self) -> list[str]:
        return [violation.invariant for violation in self.checker.violations]


def saved(*, voted: int = 0, locked: int = 0, proposed: int = 0, cosigned: int | None = None) -> Effect:
    statement = None if cosigned is None else cosignature(cosigned)
    record = SafetyRecord(
        chain=Digest(GENESIS.chain),
        epoch=0,
        last_voted_round=voted,
        locked_round=locked,
        last_proposed_round=proposed,
        last_vote=None,
        last_timeout=None,
        last_cosigned=statement,
    )
    return SaveSafety(record.encode())


def cosignature(size: int) -> CheckpointCosignature:
    signed = Cosignature(validator=0, time_s=1, signature=bytes(64))
    return CheckpointCosignature(epoch=0, height=1, size=size, root=digest("root"), cosignature=signed)


def block_frame(round_: int) -> Effect:
    return Append(Frame(FrameKind.BLOCK, Height(round_), block(round_).encode()))


def vote_for(round_: int) -> Effect:
    data = VoteData(
        epoch=0,
        round=round_,
        block=Digest(block(round_).header.id),
        parent_round=round_ - 1,
        parent=digest("parent"),
        commit=None,
    )
    return sent(VoteMessage(vote=Vote(data=data, voter=0, signature=bytes(64)), cosignature=None))


PERSISTENCE: dict[str, tuple[list[Effect], int]] = {
    "a vote as it should be": ([block_frame(3), saved(voted=3, locked=2), vote_for(3)], 0),
    "a vote before its record": ([block_frame(3), Sync(), vote_for(3)], 1),
    "a vote before its lock": ([block_frame(3), saved(voted=3), vote_for(3)], 1),
    "a vote before its block": ([saved(voted=3, locked=2), block_frame(3), vote_for(3)], 2),
    "a timeout as it should be": ([block_frame(3), saved(voted=3), timed_out(3, 2)], 0),
    "a timeout before its record": ([block_frame(3), Sync(), timed_out(3, 2)], 1),
    "a timeout before its certificates": ([saved(voted=3), timed_out(3, 2)], 2),
    "entry by a kept timeout certificate": (
        [
            Append(Frame(FrameKind.TIMEOUT_CERTIFICATE, Height(2), timeout_certificate(2, 1).encode())),
            *(saved(voted=3), timed_out(3, 1, entry=2)),
        ],
        0,
    ),
    "a proposal as it should be": ([saved(proposed=3), sent(block(3))], 0),
    "a proposal before its record": ([saved(proposed=2), sent(block(3))], 1),
    "a cosignature as it should be": ([saved(cosigned=5), sent(cosignature(5))], 0),
    "a cosignature before its record": ([saved(cosigned=4), sent(cosignature(5))], 1),
}


@pytest.mark.parametrize(("effects", "expected"), PERSISTENCE.values(), ids=PERSISTENCE.keys())
def test_nothing_signed_leaves_before_its_record(effects: list[Effect], expected: int) -> None:
    """I8, by comparing what leaves with what the disk would still hold after a power loss."""
    disk = Disk()
    for effect in effects:
        disk.do(effect)
    assert disk.found() == ["I8"] * expected


def test_after_a_restart_only_what_the_disk_kept_counts() -> None:
    """A block that was never synced is not there any more, whatever the checker had seen of it."""
    disk = Disk()
    disk.do(saved(voted=3, locked=2))
    disk.do(block_frame(3))
    disk.node.disk.lose_power()
    disk.node.disk._journal.durable.clear()
    disk.node.disk.read_back()
    disk.checker.started(disk.node)
    disk.do(vote_for(3))
    assert disk.found() == ["I8", "I8"]


@pytest.mark.parametrize(("accused", "expected"), [(0, ["I13"]), (3, [])])
def test_a_correct_validator_is_never_accused(accused: int, expected: list[str]) -> None:
    """Evidence against a dishonest one is what evidence is for."""
    evidence = evidence_of(vote(3, "a", voter=accused), vote(3, "b", voter=accused))
    assert found(NoFalseAccusation(CORRECT), (1, EvidenceFound(evidence))) == expected


def test_a_violation_says_what_when_and_where() -> None:
    """The sentence names the invariant, the time, the instance and the two values that disagree."""
    checker = Agreement(CORRECT)
    found(checker, (0, committed(1, "a", 1)), (1, committed(1, "b", 1)))
    text = str(checker.violations[0])
    assert text.startswith("I1 at 0 us, instance 1: height 1 is ")
    assert digest("a").hex()[:16] in text
    assert digest("b").hex()[:16] in text
