"""Directed attacks on single rules: each fails against the rules, and works once its rule is taken out.

All but one of them fork the ledger. Without P4's maximum nothing forks, since P7 looks at what was signed; but correct
leaders are made to propose what nobody may vote for.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from ledger.consensus.block_tree import BlockTree, TreeBlock
from ledger.consensus.effects import Broadcast
from ledger.identifiers import ValidatorIndex
from ledger.members.validators import ValidatorSet
from tests.consensus.adversary import FAULTY, Adversary, NoQuorumError
from tests.consensus.network import Member
from tests.mutants.consensus_rules import MUTANTS


def commit_over_a_gap(adversary: Adversary) -> None:
    """Two branches are certified in turns, never in consecutive rounds, and each shown to somebody else."""
    a1 = adversary.propose(1, adversary.genesis, payload=b"a1")
    adversary.show(a1, 0, 1, 2)
    qc_a1 = adversary.certify(a1, 0, 1)
    adversary.time_out(0, 1, 2)
    tc1 = adversary.certify_timeouts(1, 0, 1)
    b2 = adversary.propose(2, adversary.genesis, tc1, payload=b"b2")
    adversary.show(b2, 0, 1, 2)
    qc_b2 = adversary.certify(b2, 0, 1)
    adversary.time_out(0, 1, 2)
    tc2 = adversary.certify_timeouts(2, 0, 1)
    a3 = adversary.propose(3, qc_a1, tc2, payload=b"a3")
    adversary.show(a3, 0, 1, 2)
    qc_a3 = adversary.certify(a3, 0, 1)
    adversary.time_out(1, 2)
    tc3 = adversary.certify_timeouts(3, 1, 2)
    b4 = adversary.propose(4, qc_b2, tc3, payload=b"b4")
    adversary.show(b4, 1, 2)
    qc_b4 = adversary.certify(b4, 1, 2)
    adversary.show(qc_a3, 0)
    adversary.show(qc_b4, 1)


def vote_again_after_a_timeout(adversary: Adversary) -> None:
    """Timeouts that know of nothing are collected first, the votes that they should have ruled out afterwards."""
    a1 = adversary.propose(1, adversary.genesis, payload=b"a1")
    adversary.show(a1, 0, 1, 2)
    qc_a1 = adversary.certify(a1, 0, 1)
    adversary.show(qc_a1, 0, 1)
    adversary.time_out(0, 1)
    tc2 = adversary.certify_timeouts(2, 0, 1)
    a2 = adversary.propose(2, qc_a1, payload=b"a2")
    adversary.show(a2, 0, 1)
    qc_a2 = adversary.certify(a2, 0, 1)
    adversary.show(tc2, 0, 1)
    adversary.time_out(0, 1)
    tc3 = adversary.certify_timeouts(3, 0, 1)
    a3 = adversary.propose(3, qc_a2, payload=b"a3")
    adversary.show(a3, 0, 1)
    qc_a3 = adversary.certify(a3, 0, 1)
    b4 = adversary.propose(4, qc_a1, tc3, payload=b"b4")
    adversary.show(b4, 0, 1)
    qc_b4 = adversary.certify(b4, 0, 1)
    b5 = adversary.propose(5, qc_b4, payload=b"b5")
    adversary.show(b5, 0, 1)
    qc_b5 = adversary.certify(b5, 0, 1)
    adversary.show(a2, 2)
    adversary.show(a3, 2)
    adversary.show(qc_a3, 2)
    adversary.show(qc_b5, 0)


def vote_again_after_a_restart(adversary: Adversary) -> None:
    """Members are asked for a vote, lose their power, and are asked for another one in the same round."""
    a1 = adversary.propose(1, adversary.genesis, payload=b"a1")
    adversary.show(a1, 0, 1, 2)
    adversary.restart(1, 2)
    b1 = adversary.propose(1, adversary.genesis, payload=b"b1")
    adversary.show(b1, 1, 2)
    qc_a1, qc_b1 = adversary.certify(a1, 1, 2), adversary.certify(b1, 1, 2)
    a2 = adversary.propose(2, qc_a1, payload=b"a2")
    adversary.show(a2, 0, 1)
    adversary.restart(0)
    adversary.show(b1, 0)
    b2 = adversary.propose(2, qc_b1, payload=b"b2")
    adversary.show(b2, 0, 2)
    qc_a2, qc_b2 = adversary.certify(a2, 0, 1), adversary.certify(b2, 0, 2)
    adversary.show(qc_a2, 1)
    adversary.show(qc_b2, 2)


def extend_less_than_timeouts_name(adversary: Adversary) -> None:
    """A block that one member has committed is passed over by a leader who builds on the genesis again."""
    a1 = adversary.propose(1, adversary.genesis, payload=b"a1")
    adversary.show(a1, 0, 1, 2)
    qc_a1 = adversary.certify(a1, 0, 1)
    a2 = adversary.propose(2, qc_a1, payload=b"a2")
    adversary.show(a2, 0, 1, 2)
    qc_a2 = adversary.certify(a2, 0, 1)
    adversary.show(qc_a2, 2)
    adversary.time_out(0, 1)
    tc2 = adversary.certify_timeouts(2, 0, 1)
    b3 = adversary.propose(3, adversary.genesis, tc2, payload=b"b3")
    adversary.show(b3, 0, 1)
    qc_b3 = adversary.certify(b3, 0, 1)
    b4 = adversary.propose(4, qc_b3, payload=b"b4")
    adversary.show(b4, 0, 1)
    adversary.show(adversary.certify(b4, 0, 1), 0)


ATTACKS = {
    "commit without consecutive rounds": commit_over_a_gap,
    "vote after timeout": vote_again_after_a_timeout,
    "voted round not saved": vote_again_after_a_restart,
    "parent below timeouts": extend_less_than_timeouts_name,
}


def forks(attack: Callable[[Adversary], None]) -> bool:
    adversary = Adversary()
    try:
        attack(adversary)
    except NoQuorumError:
        assert not adversary.forked
    return adversary.forked


@pytest.mark.parametrize("name", ATTACKS)
def test_the_rules_withstand_the_attack(name: str) -> None:
    """With all rules in place no two correct members commit different blocks."""
    assert not forks(ATTACKS[name])


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_forks_the_ledger_without_the_rule(name: str) -> None:
    """The rule is what withstands: with it replaced, the same attack makes two histories."""
    with MUTANTS[name].apply():
        assert forks(ATTACKS[name])


class MemberTwoLeadsTheThird:
    """The faulty validator leads all rounds but the third."""

    history = 0

    def __init__(self, validators: ValidatorSet) -> None:
        pass

    def leader(self, round_: int, parent: TreeBlock, tree: BlockTree) -> ValidatorIndex:
        return ValidatorIndex(2 if round_ == 3 else FAULTY)


def misled_leader() -> tuple[Member, Member]:
    """Show a correct leader timeouts that name round 1 with the genesis in its place; return it and a voter.

    The voter is shown what the leader says then.
    """
    adversary = Adversary(leaders=MemberTwoLeadsTheThird)
    a1 = adversary.propose(1, adversary.genesis)
    adversary.show(a1, 0, 1)
    adversary.show(adversary.certify(a1, 0, 1), 0, 1)
    adversary.time_out(0, 1)
    tc2 = adversary.certify_timeouts(2, 0, 1)
    assert tc2.high_qc_rounds == (1, 1, 0)
    adversary.show(msgspec.structs.replace(tc2, high_qc=adversary.genesis), 2)
    leader, voter = adversary.member(2), adversary.member(0)
    adversary.show(tc2, 0)
    for effect in leader.found(Broadcast):
        assert isinstance(effect, Broadcast)
        voter.receive(2, effect.message)
    return leader, voter


def test_a_leader_cannot_be_misled_about_what_timeouts_name() -> None:
    """P4, I5: timeouts with a lower certificate than they name move nobody, so that nobody builds on it."""
    leader, voter = misled_leader()
    assert [refusal.code for refusal in leader.refusals] == ["bad_certificate"]
    assert leader.engine.round == 1
    assert not voter.refusals


def test_a_correct_leader_is_misled_without_the_rule() -> None:
    """With P4 replaced it enters the round and proposes what P7 forbids: its round is lost, however often it leads."""
    with MUTANTS["highest round not checked"].apply():
        leader, voter = misled_leader()
    assert leader.engine.round == 3
    assert leader.engine.high_qc.round == 0
    assert [refusal.code for refusal in voter.refusals] == ["bad_certificate"]


def test_every_mutant_has_its_scenario() -> None:
    """A rule that no scenario holds would be one that nobody misses."""
    assert MUTANTS.keys() == {*ATTACKS, "highest round not checked"}
