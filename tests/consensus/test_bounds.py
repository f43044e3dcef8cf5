"""What one hostile validator can make a member hold, compute or answer is bounded."""

from __future__ import annotations

import msgspec

from ledger.blocks.block import proposal_signing_bytes
from ledger.consensus.effects import Broadcast
from ledger.consensus.jolteon import ROUNDS_BEHIND_KEPT
from ledger.consensus.messages import Proposal, decode_message
from tests.consensus.adversary import Adversary
from tests.consensus.network import TestNetwork


def test_timeouts_that_name_no_round_are_refused_like_other_nonsense() -> None:
    """A certificate of timeouts with authors and without rounds is looked at before its quorum is; P7 raises nothing
    else than a refusal."""
    adversary = Adversary()
    adversary.time_out(0, 1)
    tc1 = msgspec.structs.replace(adversary.certify_timeouts(1, 0, 1), high_qc_rounds=())
    adversary.show(adversary.propose(2, adversary.genesis, tc1), 0)
    assert [refusal.code for refusal in adversary.member(0).refusals] == ["bad_certificate"]


def test_proposals_of_rounds_long_over_are_not_kept() -> None:
    """A member that is far behind hears its newest round first; blocks of all rounds before it may be of any size."""
    adversary = Adversary()
    proposals, certificate = [], adversary.genesis
    for round_ in range(1, 31):
        proposal = adversary.propose(round_, certificate)
        adversary.show(proposal, 0, 1)
        certificate = adversary.certify(proposal, 0, 1)
        proposals.append(proposal)
    late = adversary.member(2).engine
    adversary.show(certificate, 2)
    adversary.show(proposals[0], 2)
    for proposal in proposals[2:]:
        adversary.show(proposal, 2)
    assert late.round == 31
    assert {round_ for round_, _ in late._proposals} == set(range(31 - ROUNDS_BEHIND_KEPT, 31))
    assert {proposal.header.round for proposal in late._waiting.values()} == set(range(31 - ROUNDS_BEHIND_KEPT, 31))


def test_proposals_are_forgotten_as_rounds_pass_without_a_commit() -> None:
    """Rounds that end by timeouts cost no memory, however long nothing is committed."""
    adversary = Adversary()
    entry = None
    for round_ in range(1, 31):
        adversary.show(adversary.propose(round_, adversary.genesis, entry, payload=b"%d" % round_), 0, 1)
        adversary.time_out(0, 1)
        entry = adversary.certify_timeouts(round_, 0, 1)
    engine = adversary.member(0).engine
    assert engine.height == 0
    assert len(engine._proposals) <= ROUNDS_BEHIND_KEPT + 1


def test_a_second_own_proposal_of_a_round_silences_the_member() -> None:
    """P23: whoever made it has the key; that the round is not above the record does not make it one's own."""
    network = TestNetwork(4)
    network.cut = lambda sender, to, message: True
    network.start()
    network.submit(b"work")
    member = network.members[0]
    said = [decode_message(effect.message) for effect in member.effects if isinstance(effect, Broadcast)]
    (own,) = [message for message in said if isinstance(message, Proposal)]
    member.receive(1, own.raw)
    assert member.safety.stopped is None
    header = msgspec.structs.replace(own.header, time_ms=own.header.time_ms + 1)
    signature = member.signers.consensus.sign(proposal_signing_bytes(header.id))
    other = msgspec.structs.replace(own.block, header=header, signature=signature)
    member.receive(1, other.encode())
    assert member.safety.stopped is not None
