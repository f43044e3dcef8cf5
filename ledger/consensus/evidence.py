"""Evidence (I13): two signed statements of one validator for one round that no correct validator signs both of.

Each is a pair that anybody can check with the validator's public key alone. *Not* evidence: a vote followed by a
timeout, which P12 allows, and two legal authors in one round, one by a quorum certificate and one by a timeout
certificate.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ledger.blocks.block import BlockHeader, proposal_signing_bytes
from ledger.consensus.messages import Timeout, Vote
from ledger.crypto.signatures import verify_signature
from ledger.encoding import Canonical, Signature64
from ledger.errors import InvalidInputError
from ledger.limits import JUSTIFICATION_BYTES_MAX
from ledger.members.validators import ValidatorSet


class NotEvidenceError(InvalidInputError):
    """The two statements do not exclude each other, or one of them was not signed by the accused."""

    code = "not_evidence"


class SignedHeader(Canonical, tag="signed-header", kw_only=True):
    """A proposal without its payload, which its author's signature does not need."""

    header: BlockHeader
    signature: Signature64


class Evidence(Canonical, tag="evidence", kw_only=True):
    """Two proposals, two votes or two timeouts of one author for one round."""

    size_max: ClassVar[int] = 2 * (JUSTIFICATION_BYTES_MAX + 65_536) + 1_024

    kind: Literal["proposal", "vote", "timeout"]
    validator: Annotated[int, Meta(ge=0)]
    round: Annotated[int, Meta(ge=0)]
    first: SignedHeader | Vote | Timeout
    second: SignedHeader | Vote | Timeout


def evidence_of(first: SignedHeader | Vote | Timeout, second: SignedHeader | Vote | Timeout) -> Evidence:
    """Return the pair as evidence. The caller has verified both signatures and compared author and round."""
    author, round_, kind = _described(first)
    return Evidence(kind=kind, validator=author, round=round_, first=first, second=second)


def check_evidence(evidence: Evidence, validators: ValidatorSet) -> None:
    """Check that `evidence` convicts the validator it names, as a third party would.

    Raises:
        NotEvidenceError: Not two different statements of one kind, author, epoch and round.
        SignatureError: One of them was not signed by the validator.
    """
    named = (evidence.validator, evidence.round, evidence.kind)
    if _described(evidence.first) != named or _described(evidence.second) != named:
        raise NotEvidenceError("the two statements differ in kind, author or round")
    if evidence.validator >= len(validators):
        raise NotEvidenceError(f"there is no validator {evidence.validator}")
    if _signed(evidence.first, validators) == _signed(evidence.second, validators):
        raise NotEvidenceError("both statements say the same")
    public = validators.validators[evidence.validator].consensus
    for statement in (evidence.first, evidence.second):
        epoch = statement.header.epoch if isinstance(statement, SignedHeader) else _epoch_of(statement)
        if epoch != validators.epoch:
            raise NotEvidenceError(f"a statement of epoch {epoch} checked against epoch {validators.epoch}")
        verify_signature(public, _signed(statement, validators), statement.signature)


def _epoch_of(statement: Vote | Timeout) -> int:
    return statement.data.epoch if isinstance(statement, Vote) else statement.epoch


def _described(
    statement: SignedHeader | Vote | Timeout,
) -> tuple[int, int, Literal["proposal", "vote", "timeout"]]:
    match statement:
        case SignedHeader():
            return statement.header.author, statement.header.round, "proposal"
        case Vote():
            return statement.voter, statement.data.round, "vote"
        case Timeout():
            return statement.author, statement.round, "timeout"


def _signed(statement: SignedHeader | Vote | Timeout, validators: ValidatorSet) -> bytes:
    if isinstance(statement, SignedHeader):
        return proposal_signing_bytes(statement.header.id)
    return statement.signing_bytes(validators.chain)
