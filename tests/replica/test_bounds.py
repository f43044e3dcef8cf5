"""What one hostile peer or client can make a member hold or compute is bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from ledger.blocks.block import Block, BlockHeader, payload_root
from ledger.blocks.envelope import Envelope
from ledger.consensus.cache import BoundedCache
from ledger.consensus.events import MessageReceived
from ledger.consensus.messages import EnvelopeBatch, Justification, Proposal, decode_proposal, genesis_certificate
from ledger.crypto import edwards
from ledger.crypto.backend import use_backend
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey, zip215_accepts
from ledger.errors import SignatureError
from ledger.identifiers import Digest, ValidatorIndex
from ledger.replica import MemberCache, NotAdmittedError
from ledger.replica.signatures import SLOW_CHECKS_MAX
from nodes.backend import choose_backend
from nodes.measurements.crafted_signatures import SMALL_ORDER_POINTS, Item
from tests.consensus.network import CREATED_MS, genesis_of
from tests.replica.test_member import City, envelope_of

KIB = 1 << 10


def test_envelopes_that_are_refused_leave_little_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are decoded before it is known whose they are; what is kept of that is bounded in bytes, not in number."""
    monkeypatch.setattr("ledger.replica.cache.PREPARED_ENVELOPE_BYTES_MAX", 400 * KIB)
    cache = MemberCache()
    member = City(4, cache=cache).members[0]
    for sequence in range(1, 41):
        raw = envelope_of(0, sequence, key_id=7, record=bytes(60 * KIB)).encode()
        if sequence % 2:
            with pytest.raises(NotAdmittedError):
                member.submit(raw, 0)
        else:
            member._intake.take(EnvelopeBatch(envelopes=(raw,)))
        assert cache.envelopes.get(raw) is not None
        assert sum(len(raw) for raw in cache.envelopes._entries) <= 400 * KIB  # type: ignore[arg-type, misc]


def test_a_cache_forgets_the_oldest_half_by_number_or_by_size() -> None:
    """And keeps its newest entry, however large that is."""
    cache: BoundedCache[str] = BoundedCache(4, size_max=100)
    for number in range(5):
        cache.put(number, "few", size=1)
    assert [number for number in range(5) if cache.get(number)] == [2, 3, 4]
    cache.put(5, "large", size=98)
    assert [number for number in range(6) if cache.get(number)] == [5]
    cache.put(6, "larger", size=1_000)
    assert [number for number in range(7) if cache.get(number)] == [6]
    cache.put(7, "small", size=1)
    assert [number for number in range(8) if cache.get(number)] == [7]


@pytest.fixture
def slow_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Item]]:
    """Run on Python's arithmetic, and note each signature that takes the slow check."""
    taken: list[Item] = []

    def noted(*item: bytes) -> bool:
        taken.append(item)
        return zip215_accepts(*item)

    monkeypatch.setattr("ledger.crypto.signatures.zip215_accepts", noted)
    use_backend("python")
    yield taken
    choose_backend()


def with_signature(envelope: Envelope, signature: bytes) -> bytes:
    return replace(envelope, signature=signature).encode()


def falsely_signed(sequence: int) -> bytes:
    return with_signature(envelope_of(0, sequence), envelope_of(0, sequence + 1_000).signature)


def loosely_signed(sequence: int) -> bytes:
    """Return an envelope with a signature that ZIP-215 accepts and OpenSSL refuses: R has a part of small order."""
    envelope = envelope_of(0, sequence)
    seed = sha256(b"0/envelope")
    secret = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
    nonce_point = edwards.add(edwards.multiply(sequence, edwards.BASE_POINT), SMALL_ORDER_POINTS[1])
    nonce = edwards.encode_point(nonce_point)
    public = SigningKey.from_seed(seed).public
    challenge = int.from_bytes(hashlib.sha512(nonce + public + envelope.header.id).digest(), "little")
    response = (sequence + challenge * secret) % edwards.GROUP_ORDER
    return with_signature(envelope, nonce + response.to_bytes(32, "little"))


def proposal_of(payload: list[bytes]) -> Proposal:
    """Return a block with these envelopes, the first of its chain."""
    genesis = genesis_of(4)
    justification = Justification(parent_qc=genesis_certificate(genesis.chain), timeout_certificate=None)
    header = BlockHeader(
        chain=Digest(genesis.chain),
        epoch=0,
        round=1,
        height=1,
        parent=Digest(genesis.chain),
        author=0,
        justification=justification.encode(),
        payload_root=payload_root(payload),
        payload_count=len(payload),
        checkpoint=None,
        time_ms=CREATED_MS + 1,
    )
    block = Block(header=header, suite=1, signature=bytes(64), payload=tuple(payload))
    return decode_proposal(block.encode())


def test_a_block_full_of_false_signatures_costs_a_voter_a_few_slow_checks(slow_checks: list[Item]) -> None:
    """A leader makes such a block for nothing; all of its signatures would take half a minute of every voter."""
    member = City(4, cache=MemberCache()).members[0]
    assert not member.approves(proposal_of([falsely_signed(sequence) for sequence in range(1, 101)]), [])
    assert 0 < len(slow_checks) <= SLOW_CHECKS_MAX


def test_signatures_that_only_the_ledger_accepts_delay_a_vote_and_do_not_prevent_it(slow_checks: list[Item]) -> None:
    """A block with too many of them is withheld; what was found to be valid counts at once in the next one."""
    member = City(4, cache=MemberCache()).members[0]
    payload = [loosely_signed(sequence) for sequence in range(1, 2 * SLOW_CHECKS_MAX + 3)]
    assert [member.approves(proposal_of(payload), []) for _ in range(4)] == [False, False, True, True]
    assert len(slow_checks) == len(payload)


def test_false_signatures_passed_on_cost_a_pool_no_slow_check(slow_checks: list[Item]) -> None:
    """The first one that standard tools refuse ends the message, whatever the ledger's own rule says of it."""
    for passed_on in (falsely_signed, loosely_signed):
        member = City(4, cache=MemberCache()).members[0]
        batch = EnvelopeBatch(envelopes=tuple(passed_on(sequence) for sequence in range(1, 101)))
        with pytest.raises(SignatureError):
            member.handle(MessageReceived(ValidatorIndex(1), batch.encode()), 0)
        assert (slow_checks, len(member.pool)) == ([], 0)


@pytest.mark.parametrize(("count", "approved"), [(SLOW_CHECKS_MAX, True), (SLOW_CHECKS_MAX + 1, False)])
def test_a_vote_is_withheld_from_many_envelopes_under_keys_that_are_not_known(count: int, approved: bool) -> None:
    """A key may be registered by the block before: then their signatures are checked for the first time when executed,
    with nobody left to withhold a vote."""
    member = City(4, cache=MemberCache()).members[0]
    payload = [envelope_of(0, 1).encode()]
    payload += [envelope_of(0, sequence, key_id=7).encode() for sequence in range(1, count + 1)]
    assert member.approves(proposal_of(payload), []) is approved
