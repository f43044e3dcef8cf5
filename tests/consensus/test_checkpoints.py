"""Checkpoints: who may cosign what, when a quorum is one, and what a foreign one means."""

from __future__ import annotations

import msgspec
import pytest

from ledger.blocks.checkpoint import Cosignature, QuorumCheckpoint, checkpoint_text, cosigned_bytes
from ledger.consensus.cosigning import SIZES_MAX, CosignatureCollector
from ledger.consensus.effects import Halt
from ledger.consensus.messages import CheckpointCosignature
from ledger.errors import InvalidInputError, InvariantBrokenError
from ledger.identifiers import Digest, ValidatorIndex
from tests.consensus.network import Member, TestNetwork, signers_of


def cosigned(network: TestNetwork, *, height: int, size: int, root: Digest, signers: int = 3) -> QuorumCheckpoint:
    text = checkpoint_text(network.validators.origin, size, root)
    cosignatures = tuple(
        Cosignature(validator=i, time_s=7, signature=signers_of(i).cosigner.sign(cosigned_bytes(text, 7)))
        for i in range(signers)
    )
    return QuorumCheckpoint(epoch=0, height=height, size=size, root=root, cosignatures=cosignatures)


def busy_network() -> tuple[TestNetwork, Member]:
    network = TestNetwork(4)
    network.start()
    network.submit(b"envelope")
    network.run(3_000)
    return network, network.members[3]


def test_a_quorum_on_another_root_stops_the_member() -> None:
    """P20c: it signs nothing more and says at which height, and which two roots."""
    network, member = busy_network()
    height = member.engine.height
    size = member.ledger.log_size(height)
    assert size is not None
    foreign = cosigned(network, height=height, size=size, root=Digest(bytes(32)))
    effects = member.engine.on_message(ValidatorIndex(0), foreign, network.now_ms)
    [halt] = [effect for effect in effects if isinstance(effect, Halt)]
    own = member.ledger.log_root(size)
    assert own is not None
    for part in (str(height), bytes(32).hex(), own.hex()):
        assert part in halt.reason
    assert member.safety.stopped is not None


def test_a_quorum_on_another_root_of_a_size_long_attested_stops_the_member_too() -> None:
    """P20c does not ask whether the size is newer than the own checkpoint."""
    network, member = busy_network()
    assert member.engine.checkpoint is not None
    assert member.engine.checkpoint.height > 1
    size = member.ledger.log_size(1)
    assert size is not None
    foreign = cosigned(network, height=1, size=size, root=Digest(bytes(32)))
    effects = member.engine.on_message(ValidatorIndex(0), foreign, network.now_ms)
    assert any(isinstance(effect, Halt) for effect in effects)


def test_a_checkpoint_that_says_nothing_new_costs_no_signature_check() -> None:
    """At 53 members several find the same quorum at once, and each tells everybody."""
    network, member = busy_network()
    checkpoint = member.engine.checkpoint
    assert checkpoint is not None
    again = msgspec.structs.replace(checkpoint, cosignatures=())
    assert not any(
        isinstance(effect, Halt) for effect in member.engine.on_message(ValidatorIndex(0), again, network.now_ms)
    )
    assert member.engine.checkpoint == checkpoint


def test_fewer_than_a_quorum_prove_nothing() -> None:
    """Two of four on another root are refused, and the member goes on."""
    network, member = busy_network()
    size = member.ledger.log_size(member.engine.height)
    assert size is not None
    few = cosigned(network, height=member.engine.height, size=size, root=Digest(bytes(32)), signers=2)
    with pytest.raises(InvalidInputError):
        member.engine.on_message(ValidatorIndex(0), few, network.now_ms)
    assert member.safety.stopped is None


def test_a_checkpoint_with_a_false_height_is_refused() -> None:
    """The height is not under the cosignatures, so it is compared with the own log."""
    network, member = busy_network()
    checkpoint = member.engine.checkpoint
    assert checkpoint is not None
    false = msgspec.structs.replace(checkpoint, height=checkpoint.height - 1)
    with pytest.raises(InvalidInputError):
        member.engine.on_message(ValidatorIndex(0), false, network.now_ms)


def test_a_checkpoint_beyond_the_own_log_waits_until_it_is_reached() -> None:
    """Members that catch up hear of checkpoints first; they use them once they have executed as far."""
    network, member = busy_network()
    before = member.engine.checkpoint
    ahead = cosigned(network, height=member.engine.height + 50, size=10_000, root=Digest(bytes(32)))
    assert member.engine.on_message(ValidatorIndex(0), ahead, network.now_ms) == []
    assert member.engine.checkpoint == before


def statement(validator: int, size: int, root: bytes = bytes(32)) -> CheckpointCosignature:
    cosignature = Cosignature(validator=validator, time_s=1, signature=bytes(64))
    return CheckpointCosignature(epoch=0, height=size, size=size, root=Digest(root), cosignature=cosignature)


def test_equal_cosignatures_of_a_quorum_make_a_checkpoint_once() -> None:
    """P20a: by size and root; another root in between neither helps nor hinders."""
    collector = CosignatureCollector(TestNetwork(4).validators)
    assert collector.add(statement(2, 9)) is None
    assert collector.add(statement(3, 9, b"\x01" * 32)) is None
    assert collector.add(statement(0, 9)) is None
    checkpoint = collector.add(statement(1, 9))
    assert checkpoint is not None
    assert [c.validator for c in checkpoint.cosignatures] == [0, 1, 2]
    assert not collector.needs(statement(3, 9))
    assert not collector.needs(statement(3, 8))
    assert collector.needs(statement(3, 10))


def test_one_validator_cannot_fill_the_collector() -> None:
    """Each keeps its newest 64 places; what others cosigned stays."""
    collector = CosignatureCollector(TestNetwork(4).validators)
    collector.add(statement(0, 5))
    for size in range(6, 1_000):
        collector.add(statement(1, size))
    assert not collector.needs(statement(0, 5))
    assert not collector.needs(statement(1, 999))
    assert collector.needs(statement(1, 999 - SIZES_MAX))
    collector.add(statement(2, 5))
    assert collector.add(statement(3, 5)) is not None


@pytest.mark.parametrize("journal_kept", [True, False])
def test_a_log_that_is_not_the_one_cosigned_stops_the_member(journal_kept: bool) -> None:
    """P20b: compared as soon as the log is rebuilt as far, from the journal or from what the others send."""
    network, member = busy_network()
    cosigned_before = member.safety.record.last_cosigned
    assert cosigned_before is not None
    other = msgspec.structs.replace(cosigned_before, root=Digest(bytes(32)))
    member.disk.safety = msgspec.structs.replace(member.safety.record, last_cosigned=other).encode()
    if not journal_kept:
        member.disk.frames.clear()
        member.disk.synced = 0

    def come_back() -> None:
        network.restart(3)
        network.run(10_000)

    with pytest.raises(InvariantBrokenError, match=f"{bytes(32).hex()}.*{cosigned_before.root.hex()}"):
        come_back()
