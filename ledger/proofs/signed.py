"""Records of the log under their departments' signatures: accepted, and signed with keys that the state has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.signatures import StrictCheck, verify_signature
from ledger.crypto.suites import ED25519_SHA256
from ledger.errors import ProofError, SignatureError
from ledger.identifiers import ChainId
from ledger.members.departments import EnvelopeKey, envelope_key_key
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.inclusion import LoggedRecord
from ledger.proofs.policy import Policy
from ledger.proofs.state import ValueProof


def check_accepted(records: Iterable[LoggedRecord]) -> None:
    """Check that each record was accepted.

    Raises:
        ProofError: One was refused.
    """
    for record in records:
        if record.result != ACCEPTED:
            raise ProofError(f"the record at log entry {record.index} was refused, with code {record.result}")


def check_signatures(
    records: Sequence[LoggedRecord], keys: Sequence[ValueProof], policy: Policy, root: bytes, check: StrictCheck
) -> None:
    """Check every envelope's signature under the key that the state has for it.

    Args:
        keys: One for each department and key number that signed, ascending by both.
        root: Of the state, trusted already.
        check: Checks each signature, or takes note of it for later.

    Raises:
        ProofError: A key is missing or too many, is not in the state, or an envelope is for another network.
        SignatureError: A signature does not verify.
        NotEstablishedError: One verifies by this ledger's rule alone, or its suite is unknown here.
    """
    headers = [record.entry.header for record in records]
    signers = sorted({(header.department, header.key_id) for header in headers})
    if len(signers) != len(keys):
        raise ProofError(f"{len(keys)} envelope keys are here; {len(signers)} signed the records")
    public = {
        signer: proof.check(EnvelopeKey, key=envelope_key_key(*signer), root=root).public
        for signer, proof in zip(signers, keys, strict=True)
    }
    for record in records:
        header = record.entry.header
        if ChainId(header.chain) != policy.chain:
            raise ProofError(f"the envelope at log entry {record.index} was signed for another network")
        if record.entry.suite != ED25519_SHA256:
            raise NotEstablishedError(f"the signature suite {record.entry.suite} is unknown here")
        _check_signature(public[header.department, header.key_id], header.id, record, check)


def _check_signature(public: bytes, message: bytes, record: LoggedRecord, check: StrictCheck) -> None:
    try:
        check(public, message, record.entry.signature)
    except SignatureError:
        verify_signature(public, message, record.entry.signature)
        raise NotEstablishedError(
            f"the envelope at log entry {record.index} is recorded, but not checkable by standard tools"
        ) from None
