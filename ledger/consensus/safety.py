"""What this member may sign. The only code that holds its consensus and cosigner keys.

Everything here is about one question: can this signature, together with all that were made before, help to certify two
histories? Whether a block is valid, when to time out and who leads is decided elsewhere: a mistake there costs time,
one here costs agreement. A method that refuses returns None; one that signs has already moved the record, and the
caller must have the record saved (`record_bytes`) before the signature leaves (P10 to P13, P20).
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import msgspec

from ledger.blocks.block import BlockHeader, proposal_signing_bytes
from ledger.blocks.checkpoint import Cosignature, checkpoint_text, cosigned_bytes
from ledger.consensus.cosigning import OwnCosignatures
from ledger.consensus.messages import (
    CheckpointCosignature,
    Proposal,
    QuorumCertificate,
    Timeout,
    TimeoutCertificate,
    Vote,
    VoteData,
    timeout_signing_bytes,
)
from ledger.encoding import Canonical, Digest32, UInt63, decode
from ledger.errors import DecodeError, InvariantBrokenError
from ledger.identifiers import BlockId, Digest, ValidatorIndex
from ledger.members.validators import ValidatorSet


class Signer(Protocol):
    """Whatever can sign under one public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""


class SafetyRecord(Canonical, tag="safety-record", kw_only=True):
    """What must survive a crash (P10). The node keeps it in two slots, beside the journal's synced offset."""

    size_max: ClassVar[int] = 4_000

    chain: Digest32
    epoch: UInt63
    last_voted_round: UInt63
    """Highest round that a vote or a timeout was signed in."""
    locked_round: UInt63
    """Highest round of a parent certificate ever voted on."""
    last_proposed_round: UInt63
    last_vote: Vote | None
    last_timeout: Timeout | None
    last_cosigned: CheckpointCosignature | None


def blank_record(validators: ValidatorSet) -> SafetyRecord:
    """Return the record of a key that has never signed."""
    return SafetyRecord(
        chain=Digest(validators.chain),
        epoch=validators.epoch,
        last_voted_round=0,
        locked_round=0,
        last_proposed_round=0,
        last_vote=None,
        last_timeout=None,
        last_cosigned=None,
    )


def record_bytes(record: SafetyRecord) -> bytes:
    """Return the byte form that goes into a slot."""
    return record.encode()


def read_record(payload: bytes, validators: ValidatorSet) -> SafetyRecord:
    """Return the record that a slot holds.

    Raises:
        DecodeError: Not a record, or one of another chain or epoch: the file belongs to another member.
    """
    record = decode(SafetyRecord, payload)
    if bytes(record.chain) != validators.chain:
        raise DecodeError(f"a safety record of chain {record.chain.hex()} on chain {validators.chain.hex()}")
    if record.epoch != validators.epoch:
        raise DecodeError(f"a safety record of epoch {record.epoch} in epoch {validators.epoch}")
    return record


class Safety:
    """One member's signatures in one epoch."""

    def __init__(
        self,
        *,
        validators: ValidatorSet,
        me: ValidatorIndex,
        consensus: Signer,
        cosigner: Signer,
        record: SafetyRecord | None = None,
    ) -> None:
        self.me = me
        self.record = record or blank_record(validators)
        self.stopped: str | None = None
        """Why nothing more is signed in this epoch (P22, P23); None while signing is allowed."""
        self.paused: str | None = None
        """Why nothing is signed for now: the node asked for it, and will say when to go on; None otherwise."""
        self.listening = False
        """After a restart: only listening, to notice a second host with the same key (P23)."""
        self.cosigned = OwnCosignatures()
        """Of this process, and the last of the one before. For reading, once what was signed is durable."""
        self._validators = validators
        self._consensus = consensus
        self._cosigner = cosigner

    @property
    def silent(self) -> bool:
        """Whether nothing may be signed now."""
        return self.listening or self.paused is not None or self.stopped is not None

    def stop(self, reason: str) -> None:
        """Sign nothing more in this epoch. There is no way back; the first reason is kept."""
        self.stopped = self.stopped or reason

    def pause(self, reason: str) -> None:
        """Sign nothing until `resume`. The record stays as it is: what is not signed needs no memory."""
        self.paused = reason

    def resume(self) -> None:
        """Sign again, unless the member is listening or has stopped for good."""
        self.paused = None

    def restore(self, record: SafetyRecord) -> None:
        """Continue from the record that was read at start."""
        self.record = record
        if record.last_cosigned is not None:
            self.cosigned.keep(record.last_cosigned)

    def assume_signed(self, *, round_: int, locked_round: int) -> None:
        """Take for signed all that may have been: a slot is unreadable and the newest record may be lost (P21).

        Args:
            round_: The highest round that the journal holds a block for or proves entry to.
            locked_round: The highest round that the journal holds a quorum certificate of.
        """
        self.record = msgspec.structs.replace(
            self.record,
            last_voted_round=max(self.record.last_voted_round, round_),
            locked_round=max(self.record.locked_round, locked_round),
            last_proposed_round=max(self.record.last_proposed_round, round_),
            last_vote=None,
            last_timeout=None,
        )

    def sign_proposal(self, header: BlockHeader) -> bytes | None:
        """Sign a block as its author, at most one a round (P11)."""
        if self.silent or header.round <= self.record.last_proposed_round:
            return None
        self.record = msgspec.structs.replace(self.record, last_proposed_round=header.round)
        return self._consensus.sign(proposal_signing_bytes(header.id))

    def sign_vote(self, data: VoteData, *, current_round: int) -> Vote | None:
        """Vote for a block that has passed P5 to P9a (P11)."""
        if self.silent or not self.may_vote(data.round, current_round):
            return None
        signature = self._consensus.sign(data.signing_bytes(self._validators.chain))
        vote = Vote(data=data, voter=self.me, signature=signature)
        self.record = record_after_vote(self.record, vote)
        return vote

    def may_vote(self, round_: int, current_round: int) -> bool:
        """Return whether P11 allows a vote in `round_`: the current round, and nothing signed in it or later."""
        return round_ == current_round and round_ > self.record.last_voted_round

    def sign_timeout(
        self,
        *,
        current_round: int,
        high_qc: QuorumCertificate,
        entry_tc: TimeoutCertificate | None,
    ) -> Timeout | None:
        """Time out in the current round (P12); the stored timeout if that was done before (P13).

        Args:
            high_qc: The highest certificate held.
            entry_tc: The certificate of the round before, unless `high_qc` is of that round.
        """
        record = self.record
        if self.silent or current_round < record.last_voted_round:
            return None
        if record.last_timeout is not None and record.last_timeout.round == current_round:
            return record.last_timeout
        if high_qc.round < record.locked_round:
            return None
        entered_by = high_qc.round if entry_tc is None else entry_tc.round
        if entered_by != current_round - 1:
            raise InvariantBrokenError(f"a timeout in round {current_round}, entered by round {entered_by} (I7)")
        chain, epoch = self._validators.chain, self._validators.epoch
        message = timeout_signing_bytes(chain, epoch, current_round, high_qc.round, self.me)
        timeout = Timeout(
            epoch=epoch,
            round=current_round,
            high_qc_round=high_qc.round,
            author=self.me,
            signature=self._consensus.sign(message),
        )
        self.record = record_after_timeout(record, timeout)
        return timeout

    def sign_cosignature(self, *, height: int, size: int, root: Digest, now_ms: int) -> CheckpointCosignature | None:
        """Cosign the own log at `size`, once and only upwards, at a time not before the last one's (P20b).

        Args:
            root: Root of the own log at that size, after executing the block of `height`.
        """
        last = self.record.last_cosigned
        if self.silent or (last is not None and size <= last.size):
            return None
        time_s = max(now_ms // 1_000, last.cosignature.time_s if last is not None else 0)
        text = checkpoint_text(self._validators.origin, size, root)
        signature = self._cosigner.sign(cosigned_bytes(text, time_s))
        statement = CheckpointCosignature(
            epoch=self._validators.epoch,
            height=height,
            size=size,
            root=root,
            cosignature=Cosignature(validator=self.me, time_s=time_s, signature=signature),
        )
        self.record = msgspec.structs.replace(self.record, last_cosigned=statement)
        self.cosigned.keep(statement)
        return statement

    def hear_own_vote(self, vote: Vote) -> None:
        """Look at a verified vote under the own key that came from outside; stop if it was not made here (P23)."""
        mine = self.record.last_vote
        self._hear_own_round(vote.data.round, "vote")
        if mine is not None and mine.data.round == vote.data.round and mine.data != vote.data:
            self.stop(f"another host votes under this key: two votes in round {vote.data.round}")

    def hear_own_timeout(self, timeout: Timeout) -> None:
        """Look at a verified timeout under the own key that came from outside; stop if it was not made here (P23)."""
        mine = self.record.last_timeout
        self._hear_own_round(timeout.round, "timeout")
        if mine is not None and mine.round == timeout.round and mine.high_qc_round != timeout.high_qc_round:
            self.stop(f"another host times out under this key: two timeouts in round {timeout.round}")

    def hear_own_proposal(self, proposal: Proposal, *, first: BlockId) -> None:
        """Look at a verified proposal under the own key that came from outside (P23).

        Args:
            first: The first block under this key that was seen in that round.
        """
        round_ = proposal.header.round
        if round_ > self.record.last_proposed_round or proposal.id != first:
            self.stop(f"another host proposes under this key in round {round_}")

    def hear_quorum_certificate(self, certificate: QuorumCertificate) -> None:
        """Stop if the certificate holds an own vote that the record does not know (P22)."""
        if self.me in certificate.voters:
            self._hear_own_round(certificate.round, "vote")

    def hear_timeout_certificate(self, certificate: TimeoutCertificate) -> None:
        """Stop if the certificate holds an own timeout that the record does not know (P22)."""
        if self.me in certificate.authors:
            self._hear_own_round(certificate.round, "timeout")

    def _hear_own_round(self, round_: int, what: str) -> None:
        if round_ > self.record.last_voted_round:
            self.stop(
                f"a {what} under this key exists in round {round_}, but the safety record ends at round "
                f"{self.record.last_voted_round}: the record is old, or another host has the key"
            )


def record_after_vote(record: SafetyRecord, vote: Vote) -> SafetyRecord:
    """Return the record once `vote` is signed (P11)."""
    return msgspec.structs.replace(
        record,
        last_voted_round=vote.data.round,
        locked_round=max(record.locked_round, vote.data.parent_round),
        last_vote=vote,
    )


def record_after_timeout(record: SafetyRecord, timeout: Timeout) -> SafetyRecord:
    """Return the record once `timeout` is signed: no vote in this round any more (P12)."""
    return msgspec.structs.replace(record, last_voted_round=timeout.round, last_timeout=timeout)
