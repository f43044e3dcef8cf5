"""What one hostile validator can make a member hold, compute or answer is bounded."""

from __future__ import annotations

import msgspec
import pytest

from ledger.blocks.block import proposal_signing_bytes
from ledger.consensus.effects import Broadcast, Send
from ledger.consensus.messages import BlockRequest, BlockResponse, Proposal, decode_message, decode_proposal
from ledger.consensus.progress import ROUNDS_BEHIND_KEPT
from ledger.consensus.sync import ANSWER_INTERVAL_MS, ANSWERS_AT_ONCE, answer
from ledger.identifiers import Digest, ValidatorIndex
from tests.consensus.adversary import Adversary
from tests.consensus.network import Member, TestNetwork


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
    kept = late._proposals
    adversary.show(certificate, 2)
    adversary.show(proposals[0], 2)
    for proposal in proposals[2:]:
        adversary.show(proposal, 2)
    assert late.round == 31
    assert {round_ for round_, _ in kept._first} == set(range(31 - ROUNDS_BEHIND_KEPT, 31))
    assert {proposal.header.round for proposal in kept._waiting.values()} == set(range(31 - ROUNDS_BEHIND_KEPT, 31))


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
    assert len(engine._proposals._first) <= ROUNDS_BEHIND_KEPT + 1


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


def committed_network(blocks: int) -> TestNetwork:
    """Return a network whose members 0 to 2 have committed some blocks; member 3 was never there."""
    network = TestNetwork(4)
    network.stop(3)
    network.start()
    for number in range(blocks):
        network.submit(b"envelope %d" % number)
        network.run(5_000)
    assert network.members[0].engine.height >= blocks
    return network


def answers(network: TestNetwork, request: BlockRequest) -> list[BlockResponse]:
    """Return what member 0 answers when member 3 asks."""
    effects = network.members[0].engine.on_message(ValidatorIndex(3), request, network.now_ms)
    messages = [decode_message(effect.message) for effect in effects if isinstance(effect, Send) and effect.to == 3]
    return [message for message in messages if isinstance(message, BlockResponse)]


def test_who_asks_for_blocks_again_and_again_gets_a_few_answers() -> None:
    """A question of a hundred bytes costs its sender nothing and the answer up to a frame: they are rationed."""
    network = committed_network(3)
    request = BlockRequest(target=Digest(bytes(32)), above=0)
    given = [bool(answers(network, request)) for _ in range(1_000)]
    assert given == [True] * ANSWERS_AT_ONCE + [False] * (1_000 - ANSWERS_AT_ONCE)
    network.now_ms += ANSWER_INTERVAL_MS * 4
    assert [bool(answers(network, request)) for _ in range(3)] == [True, False, False]


def test_a_clock_that_was_set_back_does_not_end_the_answers() -> None:
    """What was paid for by another clock counts for no more than all that may be had at once."""
    network = committed_network(3)
    request = BlockRequest(target=Digest(bytes(32)), above=0)
    assert answers(network, request)
    network.now_ms -= 3_600_000
    assert not answers(network, request)
    network.now_ms += ANSWER_INTERVAL_MS * 4
    assert answers(network, request)


@pytest.mark.parametrize("above", range(6))
def test_an_answer_ends_with_a_block_whose_certificate_is_in_it(above: int) -> None:
    """Wherever it begins, also where the certificate of its last block is inside a block that did not fit any more."""
    network = committed_network(5)
    blocks = [proposal.raw for proposal in network.members[0].ledger.blocks]
    (response,) = answers(network, BlockRequest(target=Digest(bytes(32)), above=above))
    assert list(response.blocks) == blocks[above:]
    cut = answer([(raw, None) for raw in blocks])
    assert list(cut.blocks) == blocks[:-1]
    for part in (response, cut):
        last = decode_proposal(part.blocks[-1]) if part.blocks else None
        assert (part.certificate.block if part.certificate else None) == (last.id if last else None)


def test_blocks_that_were_not_asked_for_are_not_looked_at() -> None:
    """Each block costs the check of a certificate; nobody can have a member check those of all history."""
    network = committed_network(3)
    (response,) = answers(network, BlockRequest(target=Digest(bytes(32)), above=0))
    assert len(response.blocks) >= 3
    newcomer = Member(network, 3)
    checked: list[object] = []
    newcomer.engine._verifier.check_quorum_certificate = checked.append  # type: ignore[method-assign]
    assert newcomer.engine.on_message(ValidatorIndex(0), response, network.now_ms) == []
    assert (newcomer.engine.height, checked) == (0, [])
