"""Whole members: envelopes go in, receipts come out, and the journal alone brings a member back."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import pytest

from ledger.blocks.checkpoint import checkpoint_text
from ledger.blocks.envelope import Envelope, seal
from ledger.consensus.effects import Append, Broadcast, Effect, Executed, Halt, SaveSafety, Send, SetTimer
from ledger.consensus.events import Event, MessageReceived, PeerConnected, TimerFired
from ledger.consensus.messages import EnvelopeBatch, decode_message
from ledger.crypto.hashing import sha256
from ledger.crypto.merkle import leaf_hash, verify_inclusion
from ledger.crypto.signatures import SigningKey
from ledger.errors import DecodeError, InvalidInputError, InvariantBrokenError, SignatureError
from ledger.identifiers import CreditCode, Height, KeyId, ValidatorIndex
from ledger.members.validators import ValidatorSet
from ledger.proofs.notes import parse_note
from ledger.registers.members.records import RevokeEnvelopeKey
from ledger.replica import MemberCache, Replica
from ledger.storage.frames import Frame, FrameKind
from ledger.storage.safety_slots import SlotsRead
from tests.consensus.network import CREATED_MS, Disk, genesis_of, signers_of

NOT_ONE_OF_ITS_KEYS = RevokeEnvelopeKey(key_id=7, reason="there is no such key").encode()
"""A record that is well-formed and always refused, with code 36."""


def envelope_of(
    member: int,
    sequence: int,
    *,
    count: int = 4,
    valid_until: int = 1_000,
    record: bytes = NOT_ONE_OF_ITS_KEYS,
    key_id: int = 1,
) -> Envelope:
    return seal(
        [record],
        chain=genesis_of(count, "solo" if count == 1 else "jolteon").chain,
        department=CreditCode(f"{member:018d}"),
        key_id=KeyId(key_id),
        sequence=sequence,
        valid_until=Height(valid_until),
        signer=SigningKey.from_seed(sha256(f"{member}/envelope".encode())),
    )


@dataclass
class City:
    """All members on one virtual clock, every message 2 ms under way."""

    count: int
    cache: MemberCache | None = field(default_factory=MemberCache)

    def __post_init__(self) -> None:
        self.genesis = genesis_of(self.count, "solo" if self.count == 1 else "jolteon")
        self.validators = ValidatorSet.of_genesis(self.genesis)
        self.members = [self.member(index) for index in range(self.count)]
        self.disks = [Disk() for _ in self.members]
        self.effects: list[list[Effect]] = [[] for _ in self.members]
        self.refusals: list[InvalidInputError] = []
        self.now_ms = CREATED_MS + 1_000
        self._queue: list[tuple[int, int, int, Event]] = []
        self._sequence = 0
        for index, member in enumerate(self.members):
            self.carry_out(index, member.start(self.now_ms))
        for index, member in enumerate(self.members):
            for peer in range(self.count):
                if peer != index:
                    self.carry_out(index, member.handle(PeerConnected(ValidatorIndex(peer)), self.now_ms))

    def member(self, index: int, cache: MemberCache | None = None) -> Replica:
        code = self.validators.validators[index].credit_code
        return Replica(genesis=self.genesis, me=code, signers=signers_of(index), shared=cache or self.cache)

    def carry_out(self, index: int, effects: list[Effect]) -> None:
        for effect in effects:
            self.effects[index].append(effect)
            self.disks[index].carry_out(effect)
            match effect:
                case SetTimer(name, deadline_ms):
                    self._push(max(deadline_ms, self.now_ms), index, TimerFired(name))
                case Send(to, message):
                    self._push(self.now_ms + 2, to, MessageReceived(ValidatorIndex(index), message))
                case Broadcast(message):
                    for to in range(self.count):
                        if to != index:
                            self._push(self.now_ms + 2, to, MessageReceived(ValidatorIndex(index), message))
                case Halt(reason):
                    raise AssertionError(reason)

    def _push(self, at_ms: int, index: int, event: Event) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (at_ms, self._sequence, index, event))

    def run(self, for_ms: int) -> None:
        end_ms = self.now_ms + for_ms
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, index, event = heapq.heappop(self._queue)
            try:
                effects = self.members[index].handle(event, self.now_ms)
            except InvalidInputError as error:
                self.refusals.append(error)
                continue
            self.carry_out(index, effects)
        self.now_ms = end_ms

    def submit(self, index: int, envelope: Envelope) -> bytes:
        envelope_id, effects = self.members[index].submit(envelope.encode(), self.now_ms)
        self.carry_out(index, effects)
        return envelope_id

    def synced_frames(self, index: int) -> list[Frame]:
        return self.disks[index].frames[: self.disks[index].synced]

    def recovered(self, index: int) -> tuple[Replica, list[Effect]]:
        """Return a new member of the same department made of the synced frames and the safety record alone."""
        member = self.member(index, MemberCache())
        slots = SlotsRead(self.disks[index].safety, 2, 0, unreadable=0)
        return member, member.recover(self.synced_frames(index), slots)


@pytest.mark.parametrize("count", [1, 4])
def test_an_envelope_becomes_a_receipt_that_its_member_can_prove(count: int) -> None:
    """Pooled, committed, executed, cosigned; the inclusion path leads to the root that a quorum cosigned."""
    city = City(count)
    envelope = envelope_of(0, 1, count=count)
    envelope_id = city.submit(0, envelope)
    if count > 1:
        assert city.members[0].status_of(envelope.header.id).stage == "pooled"
    city.run(3_000)
    for member in city.members:
        receipt = member.receipt(envelope.header.id)
        assert receipt is not None
        assert receipt.envelope == envelope_id
        assert receipt.results == bytes([36])
        checkpoint = receipt.checkpoint
        city.validators.check_checkpoint(checkpoint)
        verify_inclusion(
            leaf_hash(receipt.entry),
            index=receipt.index,
            size=checkpoint.size,
            path=receipt.path,
            root=checkpoint.root,
        )
        text = checkpoint_text(city.validators.origin, checkpoint.size, checkpoint.root)
        assert receipt.note.startswith(text + "\n— ")
        assert member.status_of(envelope.header.id).stage == "receipt"
    assert not city.refusals


def test_members_agree_on_state_and_log_with_and_without_a_shared_cache() -> None:
    """I9: one root, whatever is computed once for all or by each for itself."""
    roots = set()
    for cache in (MemberCache(), None):
        city = City(4, cache)
        for number in range(12):
            city.submit(number % 4, envelope_of(number % 4, 1 + number // 4))
            city.run(40)
        city.run(3_000)
        sizes = {(member.height, member.log.size, member.log.root(), member.state.root) for member in city.members}
        assert len(sizes) == 1
        assert all(len(member.pool) == 0 for member in city.members)
        roots |= sizes
    assert len(roots) == 1


def test_an_envelope_reaches_all_pools_before_its_block() -> None:
    """P16b: whoever leads next can take it, wherever it was submitted."""
    city = City(4)
    city.submit(3, envelope_of(3, 1))
    city.run(8)
    batches = [e for e in city.effects[3] if isinstance(e, Broadcast)]
    assert any(isinstance(decode_message(e.message), EnvelopeBatch) for e in batches)
    assert [len(member.pool) for member in city.members] == [1, 1, 1, 1]


def test_admission_says_what_execution_would_say() -> None:
    """The code of a refused submission is the label of the refusal; the pool stays empty."""
    city = City(4)
    good = envelope_of(0, 1)
    city.submit(0, good)
    city.run(3_000)
    refused = {
        "replayed_envelope": good,
        "unknown_department": envelope_of(9, 1),
        "expired_envelope": envelope_of(0, 2, valid_until=0),
        "valid_until_too_far": envelope_of(0, 2, valid_until=99_999),
        "malformed_record": envelope_of(0, 2, record=b"\x93nonsense"),
        "bad_signature": envelope_of(0, 2).__class__(
            header=envelope_of(0, 2).header, suite=1, signature=bytes(64), records=(NOT_ONE_OF_ITS_KEYS,)
        ),
        "wrong_chain": envelope_of(0, 2, count=7),
    }
    for code, envelope in refused.items():
        with pytest.raises(InvalidInputError) as caught:
            city.submit(0, envelope)
        assert caught.value.code == code
    with pytest.raises(DecodeError):
        city.members[0].submit(b"not an envelope", city.now_ms)
    assert len(city.members[0].pool) == 0


def test_submitting_the_same_bytes_again_changes_nothing() -> None:
    """A client that did not hear the answer can ask again."""
    city = City(4)
    envelope = envelope_of(0, 1)
    first = city.submit(0, envelope)
    again, effects = city.members[0].submit(envelope.encode(), city.now_ms)
    assert (again, effects) == (first, [])
    assert len(city.members[0].pool) == 1


def test_a_forged_envelope_is_charged_to_the_peer_that_passes_it_on() -> None:
    """Members verify before they pool; a peer that did not is refused, and nothing is pooled."""
    city = City(4)
    genuine = envelope_of(0, 1)
    forged = Envelope(header=genuine.header, suite=1, signature=bytes(64), records=genuine.records)
    batch = EnvelopeBatch(envelopes=(forged.encode(),)).encode()
    with pytest.raises(SignatureError):
        city.members[1].handle(MessageReceived(ValidatorIndex(2), batch), city.now_ms)
    assert len(city.members[1].pool) == 0


@pytest.mark.parametrize("count", [1, 4])
def test_every_member_can_say_alone_what_it_has_cosigned(count: int) -> None:
    """One size is in the hands of a quorum at least, with one root; after a restart the last one still is."""
    city = City(count)
    for number in range(8):
        city.submit(number % count, envelope_of(number % count, 1 + number // count, count=count))
        city.run(100)
    city.run(3_000)
    checkpoint = city.members[0].checkpoint
    assert checkpoint is not None
    notes = [note for member in city.members if (note := member.own_note(checkpoint.size)) is not None]
    assert len(notes) >= city.validators.quorum
    assert {(note.root, note.lines[0].name) for note in map(parse_note, notes)} == {
        (checkpoint.root, city.validators.origin)
    }
    names = {parse_note(note).lines[1].name for note in notes}
    assert len(names) == len(notes)
    assert names <= {city.validators.cosigner_name(index) for index in range(count)}
    assert city.members[0].own_note(checkpoint.size + 1) is None
    after, _ = city.recovered(0)
    (size,) = after.cosigned_sizes
    assert size == city.members[0].cosigned_sizes[0]
    # The log at that size may have to be executed again first.
    if size <= after.log.size:
        assert after.own_note(size) == city.members[0].own_note(size)


@pytest.mark.parametrize("count", [1, 4])
def test_the_journal_alone_brings_a_member_back(count: int) -> None:
    """P21: the synced frames and the safety record give the same log and checkpoint, and every execution again."""
    city = City(count)
    for number in range(8):
        city.submit(number % count, envelope_of(number % count, 1 + number // count, count=count))
        city.run(100)
    city.run(3_000)
    before = city.members[0]
    after, executed = city.recovered(0)
    assert after.height > 0
    assert [effect.height for effect in executed if isinstance(effect, Executed)] == list(range(1, after.height + 1))
    assert after.log.root() == before.log.root(after.log.size)
    # A checkpoint that came after the last sync is fetched again; it is never ahead of what was executed.
    assert after.checkpoint is not None
    assert after.checkpoint.root == before.log.root(after.checkpoint.size)
    assert after.checkpoint.height >= before.height - 2
    effects = after.start(city.now_ms)
    assert not any(isinstance(effect, Send | Broadcast | SaveSafety) for effect in effects)


def test_the_first_frame_of_a_journal_is_the_genesis_record() -> None:
    """Whoever reads a journal offline needs leaf 0 of the log; it is written once."""
    city = City(4)
    city.submit(0, envelope_of(0, 1))
    city.run(3_000)
    frames = city.disks[0].frames
    assert (frames[0].kind, frames[0].height) == (FrameKind.EXECUTED, 0)
    after, _ = city.recovered(0)
    appended = [e.frame for e in after.start(city.now_ms) if isinstance(e, Append)]
    assert all(frame.height > 0 for frame in appended)


def test_a_journal_that_gives_another_execution_stops_the_member() -> None:
    """I9: what was executed before is evidence; a difference is never passed over."""
    city = City(4)
    city.submit(0, envelope_of(0, 1))
    city.run(3_000)
    frames = city.disks[0].frames
    position = next(i for i, f in enumerate(frames) if f.kind is FrameKind.EXECUTED and f.height == 1)
    payload = bytearray(frames[position].payload)
    payload[-20] ^= 1
    frames[position] = Frame(FrameKind.EXECUTED, Height(1), bytes(payload))
    with pytest.raises(InvariantBrokenError, match="height 1"):
        city.recovered(0)


def test_cosignatures_are_durable_before_they_leave() -> None:
    """P20b, I8: each message that carries an own signature comes after the record that knows of it."""
    city = City(4)
    for number in range(6):
        city.submit(number % 4, envelope_of(number % 4, 1 + number // 4))
        city.run(100)
    for effects in city.effects:
        saved = b""
        for effect in effects:
            if isinstance(effect, SaveSafety):
                saved = effect.payload
            elif isinstance(effect, Broadcast):
                message = decode_message(effect.message)
                vote = getattr(message, "vote", None)
                if vote is not None:
                    assert vote.signature in saved
                cosignature = getattr(message, "cosignature", None)
                if cosignature is not None:
                    assert cosignature.cosignature.signature in saved


def test_a_committed_envelope_is_never_said_to_have_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index knows of older ones; who is told that one expired hands in another, and has it twice."""
    monkeypatch.setattr("ledger.replica.history.PLACEMENTS_BLOCKS", 1)
    city = City(1)
    first = city.submit(0, envelope_of(0, 1, count=1, valid_until=2))
    for sequence in range(2, 6):
        city.run(1_000)
        city.submit(0, envelope_of(0, sequence, count=1))
    city.run(1_000)
    member = city.members[0]
    assert member.checkpoint is not None
    assert member.checkpoint.height > 2
    assert member.status_of(first).stage == "unknown"
