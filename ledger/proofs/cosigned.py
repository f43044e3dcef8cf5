"""Whether a checkpoint note counts under a policy: a line of a known log, and cosignatures by exactly a quorum.

A line is matched to a key of the policy by name and key hash; no key ever comes from the note. One that the policy does
not know proves nothing, neither for nor against: it may be of validators the policy has never heard of.
"""

from __future__ import annotations

from ledger.blocks.checkpoint import cosigned_bytes
from ledger.crypto.signatures import verify_strict
from ledger.errors import InvalidInputError, SignatureError
from ledger.identifiers import CreditCode
from ledger.proofs.notes import SignatureLine, SignedCheckpoint
from ledger.proofs.policy import Policy

_TIME_BYTES = 8


class NotEstablishedError(InvalidInputError):
    """What is here neither proves nor refutes: it is not the evidence that this reader needs."""

    code = "not_established"


def check_cosigned(note: SignedCheckpoint, policy: Policy) -> tuple[CreditCode, ...]:
    """Return the departments that cosigned, in the order of their lines.

    Raises:
        NotEstablishedError: Another network, a signer that the policy does not know, not exactly a quorum, or lines in
            another order than that of credit codes.
        SignatureError: A signature by a key of the policy does not verify with standard tools.
    """
    if note.origin != policy.origin:
        raise NotEstablishedError(f"the bundle is of {note.origin}; the policy is for {policy.origin}")
    log, *cosignatures = note.lines
    public = policy.log_keys.get(log.key_hash) if log.name == policy.origin else None
    if public is None:
        raise NotEstablishedError(f"the first line must be by a log key of the policy, and is by {log.name}")
    verify_strict(public, note.body.encode(), log.signature)
    signers: list[CreditCode] = []
    for line in cosignatures:
        known = policy.cosigner_keys.get((line.name, line.key_hash))
        if known is None:
            raise NotEstablishedError(f"the policy of epoch {policy.epoch} knows no cosigner {line.name} with this key")
        credit_code, public = known
        if signers and credit_code <= signers[-1]:
            raise NotEstablishedError(
                f"the cosignature of {credit_code} follows that of {signers[-1]}: out of order or repeated"
            )
        _check_cosignature(public, line, note.body)
        signers.append(credit_code)
    if len(signers) != policy.quorum:
        raise NotEstablishedError(
            f"{len(signers)} of {len(policy.cosigners)} departments cosigned; a bundle carries exactly {policy.quorum}"
        )
    return tuple(signers)


def _check_cosignature(public: bytes, line: SignatureLine, body: str) -> None:
    time, signature = line.signature[:_TIME_BYTES], line.signature[_TIME_BYTES:]
    try:
        verify_strict(public, cosigned_bytes(body, int.from_bytes(time, "big")), signature)
    except SignatureError as error:
        raise SignatureError(f"the cosignature of {line.name} does not verify") from error
