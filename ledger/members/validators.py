"""The validators of one epoch: who votes, with which keys, and how many of them make a quorum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ledger.blocks.checkpoint import QuorumCheckpoint, checkpoint_text, cosigned_bytes
from ledger.blocks.genesis import Genesis
from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.signatures import verify_strict
from ledger.errors import InvalidInputError
from ledger.identifiers import ChainId, CreditCode, Digest, ValidatorIndex


class NotAQuorumError(InvalidInputError):
    """Too few distinct validators stand behind a certificate or a checkpoint, or one of them does not count."""

    code = "not_a_quorum"


def quorum(validators: int) -> int:
    """Return how many of `validators` equal votes decide: floor(2n/3) + 1. Two quorums share a correct validator."""
    return 2 * validators // 3 + 1


def faults(validators: int) -> int:
    """Return how many of `validators` may be arbitrarily faulty: floor((n-1)/3)."""
    return (validators - 1) // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """A department's node with a vote, and its public keys (32 bytes each)."""

    index: ValidatorIndex
    credit_code: CreditCode
    consensus: bytes
    cosigner: bytes
    log: bytes
    tls: Digest
    """SHA-256 of the transport certificate's SubjectPublicKeyInfo."""


@dataclass(frozen=True, kw_only=True)
class ValidatorSet:
    """The validators of one epoch, in ascending order of credit code; a validator's index is its position."""

    chain: ChainId
    origin: str
    epoch: int
    validators: tuple[Validator, ...]

    @classmethod
    def of_genesis(cls, genesis: Genesis) -> ValidatorSet:
        """Return the set of epoch 0: every founder with validator keys."""
        founders = sorted((f for f in genesis.founders if f.validator is not None), key=lambda f: f.credit_code)
        validators = []
        for position, founder in enumerate(founders):
            keys = founder.validator
            assert keys is not None
            validators.append(
                Validator(
                    index=ValidatorIndex(position),
                    credit_code=CreditCode(founder.credit_code),
                    consensus=keys.consensus.public,
                    cosigner=keys.cosigner.public,
                    log=keys.log.public,
                    tls=Digest(keys.tls),
                )
            )
        return cls(chain=genesis.chain, origin=genesis.origin, epoch=0, validators=tuple(validators))

    def __len__(self) -> int:
        return len(self.validators)

    @cached_property
    def quorum(self) -> int:
        """Votes that decide."""
        return quorum(len(self.validators))

    @cached_property
    def faults(self) -> int:
        """Arbitrarily faulty validators that the set withstands."""
        return faults(len(self.validators))

    @cached_property
    def hash(self) -> Digest:
        """32 bytes over the epoch and every validator's code and public keys."""
        lines = [f"{self.epoch}"]
        for v in self.validators:
            lines.append(f"{v.credit_code} {v.consensus.hex()} {v.cosigner.hex()} {v.log.hex()} {v.tls.hex()}")
        return tagged_hash(Tag.VALIDATORS, "\n".join(lines).encode())

    @cached_property
    def _index_by_code(self) -> dict[CreditCode, ValidatorIndex]:
        return {v.credit_code: v.index for v in self.validators}

    def index_of(self, credit_code: CreditCode) -> ValidatorIndex | None:
        """Return the index of a department, or None if it has no vote in this epoch."""
        return self._index_by_code.get(credit_code)

    def cosigner_name(self, index: int) -> str:
        """Return the name on a cosigner's signature lines; a rename of the department does not change it."""
        return f"{self.origin}/{self.validators[index].credit_code}"

    def check_distinct_quorum(self, indices: Iterable[int]) -> None:
        """Check that `indices` are ascending, distinct, of this set, and at least a quorum.

        Raises:
            NotAQuorumError: One of these does not hold.
        """
        seen = list(indices)
        if any(not 0 <= i < len(self.validators) for i in seen):
            raise NotAQuorumError(f"a validator index is outside 0..{len(self.validators) - 1}")
        if any(a >= b for a, b in pairwise(seen)):
            raise NotAQuorumError("validator indices are not in strictly ascending order")
        if len(seen) < self.quorum:
            raise NotAQuorumError(f"{len(seen)} of {len(self.validators)} validators signed; {self.quorum} are needed")

    def check_checkpoint(
        self,
        checkpoint: QuorumCheckpoint,
        verify: Callable[[bytes, bytes, bytes], None] = verify_strict,
    ) -> None:
        """Check that a quorum of this set cosigned the checkpoint. Its root is not compared with any log here.

        Args:
            verify: `(public, message, signature)`, raises SignatureError; plain OpenSSL acceptance, because
                cosignatures are for tools that know no other rule.

        Raises:
            NotAQuorumError: Another epoch, or not a quorum of distinct validators.
            SignatureError: A cosignature does not verify; every one that is there must.
        """
        if checkpoint.epoch != self.epoch:
            raise NotAQuorumError(f"checkpoint of epoch {checkpoint.epoch} checked against epoch {self.epoch}")
        self.check_distinct_quorum(c.validator for c in checkpoint.cosignatures)
        text = checkpoint_text(self.origin, checkpoint.size, checkpoint.root)
        for c in checkpoint.cosignatures:
            verify(self.validators[c.validator].cosigner, cosigned_bytes(text, c.time_s), c.signature)
