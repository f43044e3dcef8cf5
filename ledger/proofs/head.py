"""The head of a log: a checkpoint that counts under a policy, and the block record that is its last entry."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.blocks.log import BlockRecord
from ledger.crypto.signatures import StrictCheck, verify_strict
from ledger.identifiers import CreditCode
from ledger.proofs.cosigned import NotEstablishedError, check_cosigned
from ledger.proofs.inclusion import EntryProof, check_last_block
from ledger.proofs.notes import SignedCheckpoint, parse_note
from ledger.proofs.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a quorum vouches for. Everything else is shown to follow from it."""

    log: SignedCheckpoint
    """Size and root of the log."""
    signers: tuple[CreditCode, ...]
    """Exactly a quorum of the policy's departments, in the order of their lines."""
    block: BlockRecord
    """The newest block, whose state root makes values true."""


def check_head(checkpoint: str, block: EntryProof, policy: Policy, check: StrictCheck = verify_strict) -> Head:
    """Return the head of the log that `checkpoint` and `block` show under the policy.

    Args:
        check: Checks each signature, or takes note of it for later.

    Raises:
        DecodeError: One of them cannot be read.
        NotEstablishedError: The checkpoint is not evidence under this policy, or the block record is not its last
            entry, so that its state is an older one.
        ProofError, SignatureError: A signature does not verify, or the log does not hold the block record.
    """
    log = parse_note(checkpoint)
    signers = check_cosigned(log, policy, check)
    record = check_last_block(block, size=log.size, root=log.root)
    if block.index != log.size - 1:
        raise NotEstablishedError(
            f"the block record is entry {block.index} of {log.size}: it is true, but says nothing about now"
        )
    return Head(log=log, signers=signers, block=record)
