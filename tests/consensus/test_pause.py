"""A member that must not sign for a while: it signs nothing, follows the others, and takes part again by itself."""

from __future__ import annotations

import pytest

from ledger.consensus.effects import Append, CheckpointAdvanced, Committed, SaveSafety, SigningStopped
from ledger.consensus.engine import Engine
from ledger.consensus.leader import Reputation, RoundRobin
from ledger.consensus.messages import Proposal, TimeoutMessage, VoteMessage, decode_message
from ledger.consensus.safety import Safety, read_record
from ledger.consensus.solo import Solo
from ledger.identifiers import ValidatorIndex
from ledger.members.validators import ValidatorSet
from tests.consensus.network import CREATED_MS, TIMING, Ledger, Member, TestNetwork, genesis_of, signers_of

REASON = "its disk is nearly full"


def statements_of(network: TestNetwork, index: int) -> list[object]:
    """From here on, what this member says that only its key can say: a list that grows."""
    said: list[object] = []

    def hear(sender: int, to: int, raw: bytes) -> bool:
        message = decode_message(raw)
        if sender == index and isinstance(message, Proposal | VoteMessage | TimeoutMessage):
            said.append(message)
        return False

    network.cut = hear
    return said


def pause(member: Member) -> None:
    member.engine.pause(REASON)


def resume(member: Member) -> None:
    member.do(lambda: member.engine.resume(member.network.now_ms))


def submit_some(network: TestNetwork, name: bytes, count: int = 3) -> list[bytes]:
    envelopes = [b"%s %d" % (name, number) for number in range(count)]
    for envelope in envelopes:
        network.submit(envelope)
        network.run(20_000)
    return envelopes


def payloads_of(member: Member) -> list[bytes]:
    return [envelope for proposal in member.ledger.blocks for envelope in proposal.block.payload]


@pytest.mark.parametrize("leaders", [RoundRobin, Reputation])
@pytest.mark.parametrize("count", [4, 13])
def test_a_paused_member_signs_nothing_and_follows_the_others(count: int, leaders: type) -> None:
    """It commits what they decide and writes it down; its safety record is, byte for byte, what it was before."""
    network = TestNetwork(count, leaders=leaders)
    network.start()
    network.run(1_000)
    before = submit_some(network, b"before")
    paused = network.members[0]
    pause(paused)
    record, slot, written = paused.safety.record, paused.disk.safety, len(paused.effects)
    said = statements_of(network, paused.index)
    during = submit_some(network, b"during")
    assert [payloads_of(member) for member in network.members] == [before + during] * count
    assert said == []
    assert (paused.safety.record, paused.disk.safety) == (record, slot)
    kinds = {type(effect) for effect in paused.effects[written:]}
    assert {Append, Committed, CheckpointAdvanced} <= kinds
    assert not {SaveSafety, SigningStopped} & kinds
    network.check_agreement()


@pytest.mark.parametrize("leaders", [RoundRobin, Reputation])
def test_a_member_signs_again_when_the_pause_ends(leaders: type) -> None:
    """It votes again, and a network that needs its vote goes on with it."""
    network = TestNetwork(4, leaders=leaders)
    network.start()
    network.run(1_000)
    paused = network.members[2]
    pause(paused)
    submit_some(network, b"during")
    resume(paused)
    said = statements_of(network, paused.index)
    network.stop(0)
    after = submit_some(network, b"after")
    assert any(isinstance(message, VoteMessage) for message in said)
    assert all(payloads_of(member)[-len(after) :] == after for member in network.members[1:])
    assert paused.disk.safety is not None
    assert read_record(paused.disk.safety, network.validators) == paused.safety.record
    network.check_agreement()


def test_a_network_whose_members_pause_waits_and_goes_on_without_anybody() -> None:
    """More than f disks are nearly full: no block is certified until there is room, and then the envelope commits."""
    network = TestNetwork(4)
    network.start()
    network.run(1_000)
    for member in network.members[:2]:
        pause(member)
    network.submit(b"patient")
    network.run(60_000)
    assert [payloads_of(member) for member in network.members] == [[]] * 4
    resume(network.members[0])
    network.run(60_000)
    assert [payloads_of(member) for member in network.members] == [[b"patient"]] * 4
    network.check_agreement()


def test_a_pause_does_not_end_the_listening_after_a_restart() -> None:
    """P23: whichever of the two ends last, nothing is signed before."""
    network = TestNetwork(4)
    network.start()
    network.run(1_000)
    submit_some(network, b"before")
    said = statements_of(network, 1)
    member = network.restart(1)
    pause(member)
    resume(member)
    assert member.safety.silent
    pause(member)
    submit_some(network, b"during")
    assert not member.safety.listening
    assert said == []
    resume(member)
    after = submit_some(network, b"after")
    assert payloads_of(member)[-len(after) :] == after
    assert any(isinstance(message, VoteMessage) for message in said)


def test_what_is_cut_off_by_a_restart_is_said_when_the_pause_ends() -> None:
    """P21: the listening ended during the pause, so the vote of the current round is repeated after it."""
    network = TestNetwork(4)
    network.start()
    network.run(1_000)
    network.cut = lambda sender, to, raw: isinstance(decode_message(raw), VoteMessage | TimeoutMessage)
    network.submit(b"only")
    network.run(500)
    member = network.members[3]
    vote = member.safety.record.last_vote
    assert vote is not None
    assert vote.data.round == member.engine.round
    member = network.restart(3)
    pause(member)
    network.run(5_000)
    said = statements_of(network, 3)
    resume(member)
    network.run(10)
    assert vote in [message.vote for message in said if isinstance(message, VoteMessage)]


def test_a_stop_outlives_a_pause() -> None:
    """P22, P23: what must never be signed again is not signed because a disk has room."""
    member = TestNetwork(4).members[0].safety
    member.stop("another host has the key")
    member.pause(REASON)
    member.resume()
    assert member.silent
    assert member.stopped == "another host has the key"


def test_a_node_that_orders_alone_orders_nothing_while_paused() -> None:
    """Envelopes wait in its pool; the first block after the pause holds them."""
    validators = ValidatorSet.of_genesis(genesis_of(1, "solo"))
    keys, ledger = signers_of(0), Ledger()
    safety = Safety(validators=validators, me=ValidatorIndex(0), consensus=keys.consensus, cosigner=keys.cosigner)
    engine: Engine = Solo(
        validators=validators, safety=safety, timing=TIMING, created_ms=CREATED_MS, application=ledger
    )
    now_ms = CREATED_MS + 60_000
    engine.start(now_ms)
    engine.pause(REASON)
    record = safety.record
    ledger.waiting.append(b"patient")
    assert engine.on_payload(now_ms) == []
    assert engine.on_timer("next", now_ms + 1_000) == []
    assert (ledger.blocks, safety.record) == ([], record)
    assert any(isinstance(effect, Committed) for effect in engine.resume(now_ms + 2_000))
    assert [proposal.block.payload for proposal in ledger.blocks] == [(b"patient",)]
