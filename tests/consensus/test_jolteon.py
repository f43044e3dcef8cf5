"""Jolteon among a few members: agreement, progress after faults, quiet when there is nothing to do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.consensus.block_tree import BlockTree, TreeBlock
from ledger.consensus.effects import Broadcast, CheckpointAdvanced, Committed, EvidenceFound, SigningStopped
from ledger.consensus.evidence import check_evidence
from ledger.consensus.leader import Reputation, RoundRobin
from ledger.consensus.messages import BLOCKS_PER_RESPONSE_MAX, Proposal, TimeoutMessage, VoteMessage, decode_message
from ledger.consensus.voting import CLOCK_AHEAD_MS
from ledger.identifiers import ValidatorIndex
from ledger.members.validators import ValidatorSet
from tests.consensus.adversary import FAULTY, Adversary
from tests.consensus.network import TIMING, TestNetwork

LEADERS = pytest.mark.parametrize("leaders", [RoundRobin, Reputation])


def holds(network: TestNetwork, envelope: bytes) -> bool:
    return all(
        any(envelope in proposal.block.payload for proposal in member.ledger.blocks)
        for member in network.members
        if member.up
    )


def run_until_held(network: TestNetwork, envelope: bytes, *, within_ms: int) -> None:
    for _ in range(0, within_ms, 1_000):
        network.run(1_000)
        if holds(network, envelope):
            return
    raise AssertionError(f"{envelope!r} is not committed everywhere after {within_ms} ms")


@LEADERS
@pytest.mark.parametrize("count", [4, 7, 13])
def test_members_commit_the_same_blocks_in_the_same_order(count: int, leaders: type) -> None:
    """I1, I6: every envelope is committed once, at the same place everywhere; 13 members send votes to one leader."""
    network = TestNetwork(count, leaders=leaders)
    network.start()
    for number in range(6):
        network.submit(b"envelope %d" % number)
        network.run(300)
    network.run(2_000)
    network.check_agreement()
    for member in network.members:
        payloads = [envelope for proposal in member.ledger.blocks for envelope in proposal.block.payload]
        assert payloads == [b"envelope %d" % number for number in range(6)]
        assert not member.refusals


@pytest.mark.parametrize("count", [4, 7])
def test_an_idle_network_is_quiet_and_its_last_payload_is_under_a_checkpoint(count: int) -> None:
    """P16a: after the last payload has its checkpoint nothing is sent and no round is timed."""
    network = TestNetwork(count)
    network.start()
    network.run(5_000)
    assert all(not member.ledger.blocks and set(member.timers) == {"idle"} for member in network.members)
    network.submit(b"only")
    network.run(3_000)
    sent = network.sent
    network.run(1_000_000)
    assert network.sent == sent
    for member in network.members:
        checkpoint = member.engine.checkpoint
        assert checkpoint is not None
        [height] = [p.header.height for p in member.ledger.blocks if p.block.payload]
        assert checkpoint.height >= height
        assert checkpoint.root == member.ledger.log_root(checkpoint.size)
        assert member.found(CheckpointAdvanced)
        assert set(member.timers) == {"idle"}


def test_an_idle_network_brings_an_empty_block_once_in_a_while() -> None:
    """P16a: time-driven rules are late by at most the idle time."""
    network = TestNetwork(4)
    network.start()
    network.run(network.members[0].timers["idle"] - network.now_ms + 3_000)
    assert all(member.engine.height == 0 and member.engine.round > 1 for member in network.members)


@LEADERS
@pytest.mark.parametrize(("count", "dead"), [(4, (0,)), (4, (2,)), (7, (0, 1)), (7, (2, 5)), (13, (0, 1, 2, 3))])
def test_the_others_go_on_without_f_dead_members(count: int, dead: tuple[int, ...], leaders: type) -> None:
    """I12: as many members as the protocol allows are silent, leaders among them, and envelopes still commit."""
    network = TestNetwork(count, leaders=leaders)
    for index in dead:
        network.stop(index)
    network.start()
    network.run(31_000)
    for number in range(4):
        network.submit(b"envelope %d" % number)
        run_until_held(network, b"envelope %d" % number, within_ms=40_000)
    network.check_agreement()


def test_reputation_leaves_dead_members_out_after_a_while() -> None:
    """P18: rounds led by a member that never votes become rare; under round-robin every seventh pair is lost."""

    def failed_rounds(leaders: type) -> int:
        network = TestNetwork(7, leaders=leaders)
        network.stop(3)
        network.start()
        network.run(1_000)
        for number in range(40):
            network.submit(b"envelope %d" % number)
            run_until_held(network, b"envelope %d" % number, within_ms=40_000)
        return sum(
            isinstance(decode_message(effect.message), TimeoutMessage)
            for effect in network.members[0].found(Broadcast)
            if isinstance(effect, Broadcast)
        )

    assert failed_rounds(Reputation) * 4 < failed_rounds(RoundRobin)


@settings(max_examples=12)
@given(seed=st.integers(0, 1_000), count=st.sampled_from([4, 7]), loss=st.sampled_from([0.1, 0.3]))
def test_lost_late_and_reordered_messages_cost_time_only(seed: int, count: int, loss: float) -> None:
    """I1 throughout; I12 once messages arrive again."""
    network = TestNetwork(count, seed=seed, loss=loss, delay_ms=(1, 1_500), leaders=Reputation)
    network.start()
    for number in range(5):
        network.submit(b"envelope %d" % number)
        network.run(4_000)
    network.check_agreement()
    network.loss, network.delay_ms = 0.0, (1, 20)
    network.connect()
    network.submit(b"last")
    run_until_held(network, b"last", within_ms=60_000)
    network.check_agreement()
    assert not any(member.found(EvidenceFound) + member.found(SigningStopped) for member in network.members)
    assert not any(member.refusals for member in network.members)


@settings(max_examples=8)
@given(seed=st.integers(0, 1_000))
def test_members_that_lose_their_power_at_any_time_come_back(seed: int) -> None:
    """P21: from synced frames and the safety record alone, one after the other and all at once."""
    network = TestNetwork(4, seed=seed, delay_ms=(1, 40))
    network.start()
    for number in range(6):
        network.submit(b"envelope %d" % number)
        network.run(network.random.randint(1, 400))
        for index in range(4) if number == 3 else [network.random.randrange(4)]:
            network.restart(index)
        network.run(3_000)
    network.submit(b"last")
    run_until_held(network, b"last", within_ms=60_000)
    network.check_agreement()
    assert not any(member.found(SigningStopped) for member in network.members)


def test_a_member_that_was_away_fetches_what_it_missed() -> None:
    """P19: by the certificate that others show it, oldest block first, without having heard a single proposal."""
    network = TestNetwork(4, leaders=Reputation)
    network.start()
    network.stop(3)
    for number in range(150):
        network.submit(b"envelope %d" % number)
        network.run(250)
    network.run(20_000)
    # More than one answer of block sync holds.
    assert network.members[0].engine.height > BLOCKS_PER_RESPONSE_MAX
    network.restart(3)
    network.run(10_000)
    assert network.members[3].engine.height == network.members[0].engine.height
    network.check_agreement()


def test_a_restarted_member_says_again_what_it_said_before() -> None:
    """P13, P21: the same timeout with the same certificate and the same vote, byte for byte; nothing is signed anew."""
    adversary = Adversary()
    a1 = adversary.propose(1, adversary.genesis)
    adversary.show(a1, 0, 1, 2)
    qc_a1 = adversary.certify(a1, 0, 1)
    a2 = adversary.propose(2, qc_a1)
    adversary.show(a2, 0)
    adversary.time_out(0)

    def said() -> list[bytes]:
        messages = [e.message for e in adversary.member(0).found(Broadcast) if isinstance(e, Broadcast)]
        return [m for m in messages if isinstance(decode_message(m), VoteMessage | TimeoutMessage)]

    vote, timeout = said()[-2:]
    adversary.restart(0)
    assert said() == [vote, timeout]


def test_a_repeated_timeout_is_the_same_bytes() -> None:
    """P13: the repeat timer sends what was sent, whatever has been learnt since."""
    adversary = Adversary()
    adversary.time_out(0)
    first = [e.message for e in adversary.member(0).found(Broadcast) if isinstance(e, Broadcast)][-1]
    member = adversary.member(0)
    adversary.network.now_ms = deadline_ms = member.timers["repeat"]
    member.fire("repeat", deadline_ms)
    assert [e.message for e in member.found(Broadcast) if isinstance(e, Broadcast)][-1] == first


def test_an_equivocating_leader_is_convicted_and_breaks_nothing() -> None:
    """I13: both of its proposals reach everybody; each has evidence that a third party accepts, and votes once."""
    adversary = Adversary()
    first = adversary.propose(1, adversary.genesis, payload=b"one")
    second = adversary.propose(1, adversary.genesis, payload=b"two")
    adversary.show(first, 0, 1)
    adversary.show(second, 2)
    adversary.show(second, 0, 1)
    adversary.show(first, 2)
    for index in range(3):
        member = adversary.member(index)
        [found] = member.found(EvidenceFound)
        assert isinstance(found, EvidenceFound)
        check_evidence(found.evidence, adversary.validators)
        assert found.evidence.validator == FAULTY
        votes = [key for key in adversary.votes if key[0] == index]
        assert len(votes) == 1
        assert not member.refusals


def test_blocks_over_gaps_in_rounds_are_committed_once_in_order() -> None:
    """I6: blocks 1 and 3 are certified with a failed round between them; 4 commits both, the older first, once."""
    adversary = Adversary()
    a1 = adversary.propose(1, adversary.genesis, payload=b"1")
    adversary.show(a1, 0, 1, 2)
    qc1 = adversary.certify(a1, 0, 1)
    adversary.show(qc1, 0, 1, 2)
    adversary.time_out(0, 1, 2)
    a3 = adversary.propose(3, qc1, adversary.certify_timeouts(2, 0, 1), payload=b"3")
    adversary.show(a3, 0, 1, 2)
    qc3 = adversary.certify(a3, 0, 1)
    a4 = adversary.propose(4, qc3, payload=b"4")
    adversary.show(a4, 0, 1, 2)
    assert all(adversary.member(index).chain == [] for index in range(3))
    qc4 = adversary.certify(a4, 0, 1)
    a5 = adversary.propose(5, qc4, payload=b"5")
    adversary.show(qc4, 0)
    adversary.show(a5, 0, 1)
    adversary.show(adversary.certify(a5, 0, 1), 0)
    committed = [effect.height for effect in adversary.member(0).found(Committed) if isinstance(effect, Committed)]
    assert committed == [1, 2, 3]
    assert adversary.member(0).chain == [a1.id, a3.id, a4.id]


def test_a_proposal_of_somebody_else_than_the_leader_is_refused() -> None:
    """P5, P18: whoever leads by the proposal's own justification must have signed it."""
    adversary = Adversary()
    adversary.network.leaders = RoundRobin
    member = adversary.network.restart(0)
    adversary.show(adversary.propose(1, adversary.genesis), 0)
    assert [error.code for error in member.refusals] == ["wrong_leader"]


def test_a_vote_is_withheld_from_a_payload_that_the_member_refuses() -> None:
    """P9a: the filter is local: no refusal of the sender, no vote."""
    adversary = Adversary()
    adversary.show(adversary.propose(1, adversary.genesis, payload=b"malformed"), 0, 1, 2)
    assert not adversary.votes
    assert not any(member.refusals for member in adversary.network.members)


def test_f_plus_one_timeouts_pull_the_others_along() -> None:
    """P17: two of four have given up the round, so a third does too without waiting for its own timer."""
    adversary = Adversary()
    adversary.time_out(0, 1)
    third = adversary.member(2)
    assert not [key for key in adversary.timeouts if key[0] == 2]
    for author in (0, 1):
        third.receive(author, adversary.timeouts[author, 1].encode())
    adversary.listen()
    assert (2, 1) in adversary.timeouts
    assert third.engine.round == 2


def test_a_second_host_with_the_same_key_silences_the_member() -> None:
    """P22, P23: an own vote above the record in a certificate means that the record is old, or the key copied."""
    adversary = Adversary()
    a1 = adversary.propose(1, adversary.genesis)
    adversary.show(a1, 0, 1)
    qc_a1 = adversary.certify(a1, 0, 1)
    adversary.member(0).disk.safety = None
    adversary.restart(0)
    adversary.show(qc_a1, 0)
    member = adversary.member(0)
    assert len(member.found(SigningStopped)) == 1
    votes = dict(adversary.votes)
    adversary.show(adversary.propose(2, qc_a1), 0)
    assert adversary.votes == votes
    assert member.engine.on_connected(ValidatorIndex(1), adversary.network.now_ms)


class FaultyBegins:
    """The faulty validator leads the first round, member 0 all others."""

    history = 0

    def __init__(self, validators: ValidatorSet) -> None:
        pass

    def leader(self, round_: int, parent: TreeBlock, tree: BlockTree) -> ValidatorIndex:
        return ValidatorIndex(FAULTY if round_ == 1 else 0)


def test_a_block_dated_ahead_does_not_cost_the_next_leader_its_round() -> None:
    """P8 lets a block be 2 s ahead, longer than a round: the next one is due by the clock, not by that date."""
    adversary = Adversary(leaders=FaultyBegins)
    network = adversary.network
    dated_ahead = adversary.propose(1, adversary.genesis, time_ms=network.now_ms + CLOCK_AHEAD_MS)
    adversary.show(dated_ahead, 0, 1, 2)
    entered_ms = network.now_ms
    adversary.show(adversary.certify(dated_ahead, 0, 1), 0)
    leader = adversary.member(0)
    assert leader.engine.round == 2
    network.run(TIMING.block_interval_ms)
    said = [decode_message(effect.message) for effect in leader.effects if isinstance(effect, Broadcast)]
    (proposal,) = [message for message in said if isinstance(message, Proposal)]
    assert proposal.header.time_ms == dated_ahead.header.time_ms + 1
    assert network.now_ms == entered_ms + TIMING.block_interval_ms
    adversary.show(proposal, 1, 2)
    assert {voter for voter, block in adversary.votes if block == bytes(proposal.id)} == {0, 1, 2}
