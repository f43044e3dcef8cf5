"""One faulty validator of four, who leads every round and decides what reaches whom.

It signs what it likes with its own key. Of the three correct ones it has only the signatures that they really gave.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.blocks.block import Block, BlockHeader, payload_root, proposal_signing_bytes
from ledger.consensus.block_tree import BlockTree, TreeBlock
from ledger.consensus.collectors import TimeoutCollector, VoteCollector
from ledger.consensus.effects import Broadcast
from ledger.consensus.leader import LeaderChoice
from ledger.consensus.messages import (
    Justification,
    Message,
    Proposal,
    QuorumCertificate,
    Timeout,
    TimeoutCertificate,
    TimeoutMessage,
    Vote,
    VoteMessage,
    decode_message,
    decode_proposal,
    genesis_certificate,
    timeout_signing_bytes,
)
from ledger.crypto.suites import ED25519_SHA256
from ledger.identifiers import Digest, ValidatorIndex
from ledger.members.validators import ValidatorSet
from tests.consensus.network import CREATED_MS, Member, TestNetwork, signers_of

FAULTY = 3


class FaultyLeads:
    """Every round is led by the faulty validator."""

    history = 0

    def __init__(self, validators: ValidatorSet) -> None:
        pass

    def leader(self, round_: int, parent: TreeBlock, tree: BlockTree) -> ValidatorIndex:
        return ValidatorIndex(FAULTY)


class NoQuorumError(Exception):
    """The correct ones did not give enough signatures: the attack ends here."""


class Adversary:
    """The faulty validator, with the correct ones in its hand."""

    def __init__(self, leaders: Callable[[ValidatorSet], LeaderChoice] = FaultyLeads) -> None:
        self.network = TestNetwork(4, leaders=leaders)
        self.network.cut = lambda sender, to, message: True
        self.network.start()
        self.network.submit(b"work")
        self.validators = self.network.validators
        self.chain = self.validators.chain
        self.key = signers_of(FAULTY).consensus
        self.tree = BlockTree(self.chain, created_ms=CREATED_MS, history=0)
        self.genesis = genesis_certificate(self.chain)
        self.votes: dict[tuple[int, bytes], Vote] = {}
        self.timeouts: dict[tuple[int, int], TimeoutMessage] = {}

    def member(self, index: int) -> Member:
        return self.network.members[index]

    def propose(
        self,
        round_: int,
        parent: QuorumCertificate,
        entry: TimeoutCertificate | None = None,
        *,
        payload: bytes | None = None,
        time_ms: int | None = None,
    ) -> Proposal:
        """Return a signed proposal on the block that `parent` certifies."""
        below = self.tree.get(parent.block)
        assert below is not None
        payload = payload if payload is not None else b"payload %d" % round_
        justification = Justification(parent_qc=parent, timeout_certificate=entry)
        header = BlockHeader(
            chain=Digest(self.chain),
            epoch=0,
            round=round_,
            height=below.height + 1,
            parent=Digest(below.id),
            author=FAULTY,
            justification=justification.encode(),
            payload_root=payload_root((payload,)),
            payload_count=1,
            checkpoint=None,
            time_ms=time_ms or below.time_ms + 1,
        )
        signature = self.key.sign(proposal_signing_bytes(header.id))
        block = Block(header=header, suite=ED25519_SHA256, signature=signature, payload=(payload,))
        proposal = decode_proposal(block.encode())
        self.tree.add(self.tree.place(proposal, below))
        return proposal

    def show(self, message: Message, *to: int) -> None:
        """Deliver a message to these members, and take from them whatever they sign."""
        raw = message.raw if isinstance(message, Proposal) else message.encode()
        for index in to:
            self.member(index).receive(FAULTY, raw)
        self.listen()

    def listen(self) -> None:
        for member in self.network.members[:FAULTY]:
            for effect in member.found(Broadcast):
                assert isinstance(effect, Broadcast)
                match decode_message(effect.message):
                    case VoteMessage(vote=vote):
                        self.votes[vote.voter, bytes(vote.data.block)] = vote
                    case TimeoutMessage() as message:
                        self.timeouts[message.timeout.author, message.timeout.round] = message

    def time_out(self, *members: int) -> None:
        """Let the round's timer go off at these members."""
        for index in members:
            member = self.member(index)
            deadline_ms = member.timers.get("round")
            if deadline_ms is not None:
                self.network.now_ms = max(self.network.now_ms, deadline_ms)
                member.fire("round", deadline_ms)
        self.listen()

    def certify(self, proposal: Proposal, *members: int) -> QuorumCertificate:
        """Return a certificate of the votes of these members and the own one."""
        block = self.tree.get(proposal.id)
        assert block is not None
        parent = self.tree.parent_of(block)
        assert parent is not None
        data = block.vote_data(parent, 0)
        own = Vote(data=data, voter=FAULTY, signature=self.key.sign(data.signing_bytes(self.chain)))
        collector = VoteCollector(self.validators)
        result = collector.add(own)
        for index in members:
            vote = self.votes.get((index, bytes(proposal.id)))
            if vote is not None:
                result = collector.add(vote)
        if not isinstance(result, QuorumCertificate):
            raise NoQuorumError(f"no quorum for round {proposal.header.round}")
        return result

    def certify_timeouts(self, round_: int, *members: int) -> TimeoutCertificate:
        """Return a certificate of the timeouts of these members and an own one that names the genesis."""
        signature = self.key.sign(timeout_signing_bytes(self.chain, 0, round_, 0, FAULTY))
        own = Timeout(epoch=0, round=round_, high_qc_round=0, author=FAULTY, signature=signature)
        collector = TimeoutCollector(self.validators)
        result = collector.add(own, self.genesis)
        for index in members:
            message = self.timeouts.get((index, round_))
            if message is not None:
                result = collector.add(message.timeout, message.high_qc)
        if not isinstance(result, TimeoutCertificate):
            raise NoQuorumError(f"no quorum of timeouts in round {round_}")
        return result

    def restart(self, *members: int) -> None:
        """Cut the power of these members, start them again, and wait until they have listened."""
        for index in members:
            member = self.network.restart(index)
            self.network.now_ms = deadline_ms = member.timers["listen"]
            member.fire("listen", deadline_ms)

    @property
    def forked(self) -> bool:
        """Whether two correct members have committed different blocks at one height (I1)."""
        chains = [self.member(index).chain for index in range(3)]
        return any(a != b for first in chains for second in chains for a, b in zip(first, second, strict=False))
