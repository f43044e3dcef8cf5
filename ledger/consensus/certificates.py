"""What has to hold before a statement or a certificate counts. Every check is here once, whoever sent the thing.

Two rules of acceptance: what a collector puts into certificates must pass the strict rule that every standard tool
shares, so that whatever a correct node builds is accepted everywhere; what comes inside a certificate is judged by
ZIP-215, the rule of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.blocks.checkpoint import QuorumCheckpoint, checkpoint_text, cosigned_bytes
from ledger.consensus.cache import SharedCache
from ledger.consensus.messages import (
    SIGNATURE_BYTES,
    CheckpointCosignature,
    Justification,
    Proposal,
    QuorumCertificate,
    TimeoutCertificate,
    TimeoutMessage,
    Vote,
    VoteData,
    genesis_certificate,
    timeout_signing_bytes,
)
from ledger.crypto.signatures import verify_batch, verify_strict
from ledger.errors import InvalidInputError, SignatureError
from ledger.identifiers import Digest
from ledger.members.validators import ValidatorSet

VerifyBatch = Callable[[Sequence[tuple[bytes, bytes, bytes]]], list[bool]]
"""For each `(public, message, signature)`, whether it is valid under ZIP-215."""

VerifyStrict = Callable[[bytes, bytes, bytes], None]
"""`(public, message, signature)`; raises SignatureError where plain OpenSSL refuses."""


class CertificateError(InvalidInputError):
    """A certificate, or a message that carries one, contradicts itself or the rules."""

    code = "bad_certificate"


class WrongEpochError(InvalidInputError):
    """A message of another epoch. Certificates never cross epochs (P26)."""

    code = "wrong_epoch"

    def __init__(self, *, expected: int, got: int) -> None:
        super().__init__(f"a message of epoch {got} in epoch {expected}")
        self.expected, self.got = expected, got


class UnknownValidatorError(InvalidInputError):
    """A statement names a validator that is not in the set."""

    code = "unknown_validator"

    def __init__(self, index: int, *, count: int) -> None:
        super().__init__(f"validator {index} is not one of {count}")
        self.index, self.count = index, count


class Verifier:
    """Checks of what one epoch's validators say. Holds no state but the cache of what was found to hold."""

    def __init__(
        self,
        validators: ValidatorSet,
        *,
        batch: VerifyBatch = verify_batch,
        strict: VerifyStrict = verify_strict,
        cache: SharedCache | None = None,
    ) -> None:
        self.validators = validators
        self._batch = batch
        self._strict = strict
        self._cache = cache or SharedCache()
        self._genesis = genesis_certificate(validators.chain, validators.epoch)

    def check_proposal(self, proposal: Proposal) -> None:
        """Check the author's signature, and that a chain, an epoch and an author of ours are named (P5).

        Raises:
            CertificateError: Of another chain.
            WrongEpochError, UnknownValidatorError, SignatureError: As they say.
        """
        header = proposal.header
        if bytes(header.chain) != self.validators.chain:
            raise CertificateError(f"a block of chain {header.chain.hex()} on chain {self.validators.chain.hex()}")
        public = self._consensus_key(header.epoch, header.author)
        self._check_strictly(public, proposal.signing_bytes, proposal.block.signature)

    def check_vote(self, vote: Vote) -> None:
        """Check form and signature of one vote.

        Raises:
            CertificateError: The commit part is there without consecutive rounds, missing with them, or names another
                block than the parent.
            WrongEpochError, UnknownValidatorError, SignatureError: As they say.
        """
        public = self._consensus_key(vote.data.epoch, vote.voter)
        _check_vote_data(vote.data)
        self._check_strictly(public, vote.signing_bytes(self.validators.chain), vote.signature)

    def check_timeout_message(self, message: TimeoutMessage) -> None:
        """Check a timeout with everything it carries: the certificate it names, entry to its round, the vote (P4).

        Raises:
            CertificateError: One part does not belong to the others.
            WrongEpochError, UnknownValidatorError, NotAQuorumError, SignatureError: As they say.
        """
        timeout, entry_tc, vote = message.timeout, message.entry_tc, message.vote
        public = self._consensus_key(timeout.epoch, timeout.author)
        if timeout.high_qc_round != message.high_qc.round:
            raise CertificateError(
                f"a timeout names round {timeout.high_qc_round} and carries a certificate of {message.high_qc.round}",
            )
        if timeout.high_qc_round >= timeout.round:
            raise CertificateError(f"a timeout of round {timeout.round} names a later {timeout.high_qc_round}")
        _check_entry(timeout.round, message.high_qc, entry_tc)
        if vote is not None and (vote.voter != timeout.author or vote.data.round != timeout.round):
            raise CertificateError("a timeout carries a vote of another validator or round")
        self._check_strictly(public, timeout.signing_bytes(self.validators.chain), timeout.signature)
        self.check_quorum_certificate(message.high_qc)
        if entry_tc is not None:
            self.check_timeout_certificate(entry_tc)
        if vote is not None:
            self.check_vote(vote)

    def check_quorum_certificate(self, certificate: QuorumCertificate) -> None:
        """Check that a quorum signed exactly this vote, or that it is the epoch's genesis certificate (P3, P6).

        Raises:
            CertificateError: The parts do not fit each other.
            WrongEpochError, NotAQuorumError, SignatureError: As they say.
        """
        if certificate == self._genesis:
            return
        fact = ("quorum certificate", self.validators.hash, certificate)
        if self._cache.knows(fact):
            return
        vote = certificate.vote
        self._check_epoch(vote.epoch)
        _check_vote_data(vote)
        _check_signature_count(certificate.voters, certificate.signatures)
        self.validators.check_distinct_quorum(certificate.voters)
        message = vote.signing_bytes(self.validators.chain)
        self._check_all([(voter, message, signature) for voter, signature in certificate.signed()])
        self._cache.learn(fact)

    def check_timeout_certificate(self, certificate: TimeoutCertificate) -> None:
        """Check that a quorum timed out, and that the certificate inside is of the highest round they signed (P4).

        Raises:
            CertificateError: The parts do not fit each other.
            WrongEpochError, NotAQuorumError, SignatureError: As they say.
        """
        fact = ("timeout certificate", self.validators.hash, certificate)
        if self._cache.knows(fact):
            return
        self._check_epoch(certificate.epoch)
        _check_signature_count(certificate.authors, certificate.signatures)
        if len(certificate.high_qc_rounds) != len(certificate.authors):
            raise CertificateError(
                f"{len(certificate.high_qc_rounds)} rounds stand beside {len(certificate.authors)} authors",
            )
        self.validators.check_distinct_quorum(certificate.authors)
        check_highest_round(certificate)
        chain, epoch, round_ = self.validators.chain, certificate.epoch, certificate.round
        self._check_all(
            [
                (author, timeout_signing_bytes(chain, epoch, round_, high_qc_round, author), signature)
                for author, high_qc_round, signature in certificate.signed()
            ]
        )
        self.check_quorum_certificate(certificate.high_qc)
        self._cache.learn(fact)

    def check_cosignature(self, statement: CheckpointCosignature) -> None:
        """Check one validator's cosignature by the strict rule: it is for tools that know no other.

        Raises:
            WrongEpochError, UnknownValidatorError, SignatureError: As they say.
        """
        cosignature = statement.cosignature
        self._check_epoch(statement.epoch)
        self._check_index(cosignature.validator)
        text = checkpoint_text(self.validators.origin, statement.size, statement.root)
        public = self.validators.validators[cosignature.validator].cosigner
        self._check_strictly(public, cosigned_bytes(text, cosignature.time_s), cosignature.signature)

    def check_checkpoint(self, checkpoint: QuorumCheckpoint) -> None:
        """Check that a quorum cosigned the checkpoint. Its height and root are compared with the log elsewhere.

        Raises:
            NotAQuorumError, SignatureError: As `ValidatorSet.check_checkpoint`.
        """
        fact = ("checkpoint", self.validators.hash, checkpoint)
        if not self._cache.knows(fact):
            self.validators.check_checkpoint(checkpoint, self._check_strictly)
            self._cache.learn(fact)

    def _consensus_key(self, epoch: int, index: int) -> bytes:
        self._check_epoch(epoch)
        self._check_index(index)
        return self.validators.validators[index].consensus

    def _check_epoch(self, epoch: int) -> None:
        if epoch != self.validators.epoch:
            raise WrongEpochError(expected=self.validators.epoch, got=epoch)

    def _check_index(self, index: int) -> None:
        if index >= len(self.validators):
            raise UnknownValidatorError(index, count=len(self.validators))

    def _check_strictly(self, public: bytes, message: bytes, signature: bytes) -> None:
        fact = ("strict", public, message, signature)
        if not self._cache.knows(fact):
            self._strict(public, message, signature)
            self._cache.learn(fact)

    def _check_all(self, signed: Sequence[tuple[int, Digest, bytes]]) -> None:
        keys = self.validators.validators
        # What the strict rule accepted one by one need not be checked again: ZIP-215 accepts all of that and more.
        items = [
            (keys[index].consensus, bytes(message), signature)
            for index, message, signature in signed
            if not self._cache.knows(("strict", keys[index].consensus, message, signature))
        ]
        for (public, _, _), valid in zip(items, self._batch(items), strict=True):
            if not valid:
                raise SignatureError(f"a signature in a certificate does not verify under key {public.hex()}")


def check_justification(round_: int, justification: Justification) -> None:
    """Check that a block of `round_` may extend the block that `parent_qc` certifies (P6, P7); signatures elsewhere.

    Raises:
        CertificateError: Rounds do not rise, entry to the round is not proven or proven twice, or the parent is older
            than one that a timeout in the certificate of the round before has named.
    """
    parent_qc, entry_tc = justification.parent_qc, justification.timeout_certificate
    if parent_qc.round >= round_:
        raise CertificateError(f"a block of round {round_} extends one of round {parent_qc.round}")
    _check_entry(round_, parent_qc, entry_tc)
    if entry_tc is not None and parent_qc.round < entry_tc.high_qc_round:
        raise CertificateError(
            f"a block extends round {parent_qc.round} although a timeout named round {entry_tc.high_qc_round}",
        )


def check_highest_round(certificate: TimeoutCertificate) -> None:
    """Check that the quorum certificate inside has the highest of the *signed* rounds, which is below the own (P4).

    Raises:
        CertificateError: It has another one.
    """
    highest = certificate.high_qc_round
    if certificate.high_qc.round != highest:
        raise CertificateError(
            f"timeouts name a certificate of round {highest}; one of round {certificate.high_qc.round} is there",
        )
    if highest >= certificate.round:
        raise CertificateError(f"timeouts of round {certificate.round} name a certificate of round {highest}")


def _check_entry(round_: int, high_qc: QuorumCertificate, entry_tc: TimeoutCertificate | None) -> None:
    """Check that exactly one certificate of the round before proves entry to `round_`."""
    if high_qc.round == round_ - 1:
        if entry_tc is not None:
            raise CertificateError(f"entry to round {round_} is proven by a quorum certificate and by timeouts")
    elif entry_tc is None:
        raise CertificateError(f"nothing proves entry to round {round_}")
    elif entry_tc.round != round_ - 1:
        raise CertificateError(f"timeouts of round {entry_tc.round} do not prove entry to round {round_}")


def _check_vote_data(vote: VoteData) -> None:
    if vote.parent_round >= vote.round:
        raise CertificateError(f"a vote of round {vote.round} for a child of round {vote.parent_round}")
    if (vote.commit is not None) != (vote.round == vote.parent_round + 1):
        raise CertificateError("a vote names a commit exactly if its rounds are consecutive")
    if vote.commit is not None and vote.commit.block != vote.parent:
        raise CertificateError("a vote commits another block than its parent")


def _check_signature_count(signers: Sequence[int], signatures: bytes) -> None:
    if len(signatures) != SIGNATURE_BYTES * len(signers):
        raise CertificateError(f"{len(signatures)} bytes of signatures stand beside {len(signers)} signers")
