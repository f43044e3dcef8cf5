"""Whatever is sent: a value or a DecodeError, a refusal that leaves the engine as it was, or a rule that applies."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.consensus.certificates import Verifier
from ledger.consensus.effects import Broadcast, Send
from ledger.consensus.messages import (
    Proposal,
    QuorumCertificate,
    TimeoutCertificate,
    Vote,
    decode_message,
    genesis_certificate,
)
from ledger.encoding import Canonical
from ledger.errors import DecodeError, InvalidInputError
from ledger.identifiers import ValidatorIndex
from tests.consensus.adversary import Adversary
from tests.consensus.network import Member, TestNetwork


@cache
def traffic() -> tuple[bytes, ...]:
    """Return one message of each kind that a run with a dead member and a late one has sent."""
    network = TestNetwork(4, loss=0.1, seed=3)
    network.start()
    network.stop(0)
    for number in range(8):
        network.submit(b"envelope %d" % number)
        network.run(2_000)
    network.restart(0)
    network.run(20_000)
    kinds: dict[str, list[bytes]] = {}
    for member in network.members:
        for effect in member.effects:
            if isinstance(effect, Send | Broadcast):
                kinds.setdefault(type(decode_message(effect.message)).__name__, []).append(effect.message)
    return tuple(messages[-1] for _, messages in sorted(kinds.items()))


def snapshot(member: Member) -> Any:
    """Return everything that the engine could have changed."""
    return copy.deepcopy(state_of(member.engine, set())), member.safety.record


def state_of(part: object, seen: set[int]) -> dict[str, Any]:
    """Return the attributes of a part of the engine, those of the parts in it as well, each part once."""
    seen.add(id(part))
    given = ("_verifier", "_validators", "_application", "_cache", "_leaders", "_timing", "_safety")
    return {
        name: state_of(value, seen) if hasattr(value, "__dict__") else value
        for name, value in vars(part).items()
        if name not in given and not callable(value) and id(value) not in seen
    }


def test_a_run_shows_every_kind_of_message() -> None:
    """The corpus below is not empty of what matters."""
    kinds = {type(decode_message(message)).__name__ for message in traffic()}
    assert kinds >= {
        "BlockRequest",
        "BlockResponse",
        "Proposal",
        "QuorumCheckpoint",
        "Status",
        "TimeoutMessage",
        "VoteMessage",
    }


@pytest.mark.parametrize("message", traffic(), ids=lambda raw: type(decode_message(raw)).__name__)
def test_messages_come_back_as_the_same_bytes(message: bytes) -> None:
    """One byte form for each message."""
    decoded = decode_message(message)
    assert (decoded.raw if isinstance(decoded, Proposal) else decoded.encode()) == message


@given(data=st.data())
def test_damaged_bytes_decode_or_raise_decode_error(data: st.DataObject) -> None:
    """A turned, cut or inserted byte gives another value, or a DecodeError, and never the same value."""
    message = data.draw(st.sampled_from(traffic()))
    position = data.draw(st.integers(0, len(message) - 1))
    piece = data.draw(st.binary(max_size=3))
    damaged = message[:position] + piece + message[position + data.draw(st.integers(0, 3)) :]
    try:
        decoded = decode_message(damaged)
    except DecodeError:
        return
    assert (decoded.raw if isinstance(decoded, Proposal) else decoded.encode()) == damaged


@given(data=st.data())
def test_a_refused_message_leaves_the_engine_unchanged(data: st.DataObject) -> None:
    """Handlers raise nothing but InvalidInputError, and before anything has moved."""
    message = data.draw(st.sampled_from(traffic()))
    position = data.draw(st.integers(0, len(message) - 1))
    damaged = message[:position] + bytes([message[position] ^ data.draw(st.integers(0, 255))]) + message[position + 1 :]
    member = fresh_member()
    before = snapshot(member)
    try:
        member.engine.on_message(ValidatorIndex(1), decode_message(damaged), member.network.now_ms)
    except InvalidInputError:
        assert snapshot(member) == before


def fresh_member() -> Member:
    network = TestNetwork(4)
    network.start()
    return network.members[2]


def mutations(value: Canonical) -> Iterator[Canonical]:
    """Yield copies of `value` with one field changed, at every depth."""
    for name in value.__struct_fields__:
        if name == "version":
            continue
        field = getattr(value, name)
        for other in changed(field):
            yield msgspec.structs.replace(value, **{name: other})


def changed(field: Any) -> Iterator[Any]:
    match field:
        case Canonical():
            yield from mutations(field)
            if type(field).__name__ in ("CommitInfo", "TimeoutCertificate"):
                yield None
        case bool():
            yield not field
        case int():
            yield field + 1
            if field:
                yield field - 1
        case bytes() if field:
            yield bytes([field[0] ^ 1]) + field[1:]
            yield field[:-1] + bytes([field[-1] ^ 1])
            yield field[:-1]
        case tuple() if field:
            yield field[:-1]
            yield (*field, field[-1])
            for position, item in enumerate(field):
                for other in changed(item):
                    yield (*field[:position], other, *field[position + 1 :])


@cache
def signed_values() -> tuple[Vote, QuorumCertificate, TimeoutCertificate]:
    """Return a vote with a commit, a certificate, and timeouts that name different rounds."""
    adversary = Adversary()
    a1 = adversary.propose(1, adversary.genesis)
    adversary.show(a1, 0, 1, 2)
    qc_a1 = adversary.certify(a1, 0, 1)
    a2 = adversary.propose(2, qc_a1)
    adversary.show(a2, 0, 1)
    adversary.time_out(0, 1)
    tc2 = adversary.certify_timeouts(2, 0, 1)
    return adversary.votes[0, bytes(a2.id)], adversary.certify(a2, 0, 1), tc2


def test_every_field_of_a_vote_is_under_its_signature() -> None:
    """relab/hotstuff #289: the round, like every other field, is signed."""
    vote, _, _ = signed_values()
    verifier = Verifier(TestNetwork(4).validators)
    verifier.check_vote(vote)
    count = 0
    for mutant in mutations(vote):
        with pytest.raises(InvalidInputError):
            verifier.check_vote(mutant)
        count += 1
    assert count > 20


def test_every_field_of_a_quorum_certificate_is_under_its_signatures() -> None:
    """A certificate with any field changed certifies nothing."""
    _, certificate, _ = signed_values()
    verifier = Verifier(TestNetwork(4).validators)
    verifier.check_quorum_certificate(certificate)
    for mutant in mutations(certificate):
        if mutant != genesis_certificate(verifier.validators.chain):
            with pytest.raises(InvalidInputError):
                verifier.check_quorum_certificate(mutant)


def test_every_field_of_a_timeout_certificate_is_under_its_signatures() -> None:
    """Rounds, authors, signatures and the certificate inside: none can be exchanged."""
    _, _, certificate = signed_values()
    verifier = Verifier(TestNetwork(4).validators)
    verifier.check_timeout_certificate(certificate)
    for mutant in mutations(certificate):
        with pytest.raises(InvalidInputError):
            verifier.check_timeout_certificate(mutant)


def test_the_certificate_inside_a_timeout_certificate_is_the_highest_one_signed() -> None:
    """P4: a lower one would let a leader build below what a timeout has named."""
    _, qc_a2, certificate = signed_values()
    verifier = Verifier(TestNetwork(4).validators)
    assert certificate.high_qc_rounds == (1, 1, 0)
    for wrong in (genesis_certificate(verifier.validators.chain), qc_a2):
        with pytest.raises(InvalidInputError, match="timeouts name a certificate of round 1"):
            verifier.check_timeout_certificate(msgspec.structs.replace(certificate, high_qc=wrong))


def test_a_certificate_does_not_count_one_validator_twice() -> None:
    """Quorums are of distinct keys."""
    _, certificate, _ = signed_values()
    verifier = Verifier(TestNetwork(4).validators)
    voters = (certificate.voters[0], *certificate.voters[:-1])
    doubled = msgspec.structs.replace(
        certificate, voters=voters, signatures=certificate.signatures[:64] + certificate.signatures[:-64]
    )
    with pytest.raises(InvalidInputError, match="ascending"):
        verifier.check_quorum_certificate(doubled)
