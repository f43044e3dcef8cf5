"""What a member may sign, rule by rule, with nothing around it."""

from __future__ import annotations

import msgspec
import pytest

from ledger.consensus.certificates import Verifier
from ledger.consensus.messages import (
    CommitInfo,
    QuorumCertificate,
    Timeout,
    TimeoutCertificate,
    Vote,
    VoteData,
    genesis_certificate,
)
from ledger.consensus.safety import Safety, blank_record, read_record, record_bytes
from ledger.errors import DecodeError, InvariantBrokenError
from ledger.identifiers import Digest, ValidatorIndex
from ledger.members.validators import ValidatorSet
from ledger.storage.safety_slots import SLOT_PAYLOAD_BYTES_MAX
from tests.consensus.network import genesis_of, signers_of

VALIDATORS = ValidatorSet.of_genesis(genesis_of(4))
ROOT = Digest(bytes(32))


def safety() -> Safety:
    keys = signers_of(0)
    return Safety(validators=VALIDATORS, me=ValidatorIndex(0), consensus=keys.consensus, cosigner=keys.cosigner)


def data_of(round_: int, parent_round: int, block: int = 0) -> VoteData:
    commit = CommitInfo(height=1, block=ROOT, payload_root=ROOT, time_ms=5) if round_ == parent_round + 1 else None
    return VoteData(
        epoch=0,
        round=round_,
        block=Digest(bytes([block]) * 32),
        parent_round=parent_round,
        parent=ROOT,
        commit=commit,
    )


def certificate_of(round_: int, *voters: int) -> QuorumCertificate:
    return QuorumCertificate(vote=data_of(round_, round_ - 1), voters=voters, signatures=bytes(64 * len(voters)))


def timeouts_of(round_: int, *authors: int) -> TimeoutCertificate:
    return TimeoutCertificate(
        epoch=0,
        round=round_,
        authors=authors,
        high_qc_rounds=(0,) * len(authors),
        signatures=bytes(64 * len(authors)),
        high_qc=genesis_certificate(VALIDATORS.chain),
    )


def time_out(member: Safety, round_: int, high: QuorumCertificate | None = None) -> Timeout | None:
    high = high or certificate_of(round_ - 1)
    return member.sign_timeout(current_round=round_, high_qc=high, entry_tc=None)


def test_a_round_gets_one_vote_and_rounds_only_rise() -> None:
    """P11: in the current round, above everything signed so far."""
    member = safety()
    vote = member.sign_vote(data_of(3, 2), current_round=3)
    assert vote is not None
    Verifier(VALIDATORS).check_vote(vote)
    assert member.record.last_vote == vote
    assert (member.record.last_voted_round, member.record.locked_round) == (3, 2)
    assert member.sign_vote(data_of(3, 2, block=1), current_round=3) is None
    assert member.sign_vote(data_of(2, 1), current_round=2) is None
    assert member.sign_vote(data_of(5, 4), current_round=4) is None
    later = member.sign_vote(data_of(6, 1), current_round=6)
    assert later is not None
    assert member.record.locked_round == 2


def test_a_timeout_may_follow_a_vote_but_no_vote_a_timeout() -> None:
    """P12, its last sentence."""
    member = safety()
    assert member.sign_vote(data_of(3, 2), current_round=3) is not None
    assert time_out(member, 3) is not None
    other = safety()
    assert time_out(other, 3) is not None
    assert other.sign_vote(data_of(3, 2), current_round=3) is None
    assert other.sign_vote(data_of(4, 3), current_round=4) is not None


def test_a_timeout_never_names_less_than_the_lock() -> None:
    """P12, I4: a member that has voted on a parent of round 4 does not say that it knows of round 2 only."""
    member = safety()
    member.sign_vote(data_of(5, 4), current_round=5)
    entry = timeouts_of(5)
    assert member.sign_timeout(current_round=6, high_qc=certificate_of(2), entry_tc=entry) is None
    assert member.sign_timeout(current_round=6, high_qc=certificate_of(4), entry_tc=entry) is not None


def test_a_timeout_asked_again_is_the_stored_one() -> None:
    """P13: even if a higher certificate has come in the meantime."""
    member = safety()
    entry = timeouts_of(5)
    first = member.sign_timeout(current_round=6, high_qc=certificate_of(2), entry_tc=entry)
    assert member.sign_timeout(current_round=6, high_qc=certificate_of(4), entry_tc=entry) is first


def test_no_timeout_for_a_round_below_the_last_vote() -> None:
    """P12: r >= last_voted_round."""
    member = safety()
    member.sign_vote(data_of(7, 6), current_round=7)
    assert time_out(member, 6) is None


def test_a_timeout_without_proof_of_entry_is_a_mistake_of_ours() -> None:
    """I7: the caller must hold the certificate of the round before."""
    with pytest.raises(InvariantBrokenError):
        safety().sign_timeout(current_round=6, high_qc=certificate_of(2), entry_tc=None)


def test_cosignatures_grow_in_size_and_never_go_back_in_time() -> None:
    """P20b."""
    member = safety()
    first = member.sign_cosignature(height=1, size=3, root=ROOT, now_ms=9_000)
    assert first is not None
    Verifier(VALIDATORS).check_cosignature(first)
    assert member.sign_cosignature(height=1, size=3, root=ROOT, now_ms=10_000) is None
    assert member.sign_cosignature(height=1, size=2, root=ROOT, now_ms=10_000) is None
    second = member.sign_cosignature(height=2, size=4, root=ROOT, now_ms=1_000)
    assert second is not None
    assert second.cosignature.time_s == first.cosignature.time_s
    assert member.record.last_cosigned == second


def test_own_cosignatures_are_kept_by_size_and_the_last_comes_back_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever wants this department's word alone asks for a size; the newest are kept, as many as the bound says."""
    monkeypatch.setattr("ledger.consensus.cosigning.OWN_SIZES_MAX", 3)
    member = safety()
    signed = {
        size: member.sign_cosignature(height=size, size=size, root=ROOT, now_ms=9_000) for size in (3, 4, 6, 9, 12)
    }
    assert member.cosigned.sizes == [12, 9, 6]
    assert member.cosigned.at(9) == signed[9]
    assert member.cosigned.at(4) is None
    assert member.cosigned.at(5) is None
    restored = safety()
    restored.restore(read_record(record_bytes(member.record), VALIDATORS))
    assert restored.cosigned.sizes == [12]
    assert restored.cosigned.at(12) == signed[12]


def test_the_record_comes_back_from_a_slot_and_fits_it() -> None:
    """P10: one byte form, refused for another chain or epoch."""
    member = safety()
    member.sign_vote(data_of(3, 2), current_round=3)
    time_out(member, 3)
    member.sign_cosignature(height=1, size=3, root=ROOT, now_ms=9_000)
    payload = record_bytes(member.record)
    assert len(payload) <= SLOT_PAYLOAD_BYTES_MAX
    assert read_record(payload, VALIDATORS) == member.record
    restored = safety()
    restored.restore(read_record(payload, VALIDATORS))
    assert restored.sign_vote(data_of(3, 2), current_round=3) is None
    assert time_out(restored, 3) == member.record.last_timeout
    blank = blank_record(VALIDATORS)
    for wrong in (msgspec.structs.replace(blank, chain=Digest(bytes(32))), msgspec.structs.replace(blank, epoch=1)):
        with pytest.raises(DecodeError):
            read_record(record_bytes(wrong), VALIDATORS)


def test_one_unreadable_slot_takes_everything_provable_for_signed() -> None:
    """P21: nothing up to the highest round that the journal shows, and no repetition of what may not be the last."""
    member = safety()
    member.sign_vote(data_of(3, 2), current_round=3)
    member.assume_signed(round_=8, locked_round=6)
    assert member.sign_vote(data_of(8, 7), current_round=8) is None
    assert (member.record.last_vote, member.record.locked_round) == (None, 6)
    assert member.sign_vote(data_of(9, 8), current_round=9) is not None


@pytest.mark.parametrize(
    "hear",
    [
        lambda m: m.hear_quorum_certificate(certificate_of(4, 0, 1, 2)),
        lambda m: m.hear_timeout_certificate(timeouts_of(4, 0, 1, 2)),
        lambda m: m.hear_own_vote(Vote(data=data_of(4, 3), voter=0, signature=bytes(64))),
        lambda m: m.hear_own_vote(Vote(data=data_of(3, 2, block=1), voter=0, signature=bytes(64))),
        lambda m: m.hear_own_timeout(Timeout(epoch=0, round=4, high_qc_round=0, author=0, signature=bytes(64))),
        lambda m: m.hear_own_timeout(Timeout(epoch=0, round=3, high_qc_round=1, author=0, signature=bytes(64))),
    ],
    ids=["certificate", "timeouts", "later vote", "other vote", "later timeout", "other timeout"],
)
def test_a_member_that_hears_itself_say_what_it_did_not_say_falls_silent(hear) -> None:  # type: ignore[no-untyped-def]
    """P22, P23: whichever way the foreign signature shows, nothing more is signed, the record stays as it is."""
    member = safety()
    member.sign_vote(data_of(3, 2), current_round=3)
    time_out(member, 3)
    hear(member)
    assert member.stopped is not None
    record = member.record
    assert member.sign_vote(data_of(9, 8), current_round=9) is None
    assert time_out(member, 9) is None
    assert member.sign_cosignature(height=9, size=99, root=ROOT, now_ms=1) is None
    assert member.record == record


def test_a_member_that_hears_what_it_said_goes_on() -> None:
    """Own signatures come back in certificates all the time."""
    member = safety()
    vote = member.sign_vote(data_of(3, 2), current_round=3)
    timeout = time_out(member, 3)
    assert vote is not None
    assert timeout is not None
    member.hear_own_vote(vote)
    member.hear_own_timeout(timeout)
    member.hear_quorum_certificate(certificate_of(3, 0, 1, 2))
    member.hear_quorum_certificate(certificate_of(9, 1, 2, 3))
    member.hear_timeout_certificate(timeouts_of(3, 0, 1, 2))
    assert member.stopped is None


def test_nothing_is_signed_while_listening() -> None:
    """P23: after a restart a member first listens for a second host with its key."""
    member = safety()
    member.listening = True
    assert member.sign_vote(data_of(3, 2), current_round=3) is None
    assert time_out(member, 3) is None
    assert member.record == blank_record(VALIDATORS)
