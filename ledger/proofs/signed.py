"""Records of the log under their departments' signatures, by keys that the state has."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.crypto.signatures import StrictCheck
from ledger.crypto.suites import ED25519_SHA256
from ledger.errors import ProofError, SignatureError
from ledger.identifiers import ChainId
from ledger.members.departments import EnvelopeKey, envelope_key_key
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.inclusion import LoggedRecord
from ledger.proofs.policy import Policy
from ledger.proofs.state import ValueProof


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
        NotEstablishedError: Standard tools do not accept a signature, or its suite is unknown here. The log proves that
            the ledger recorded the envelope all the same, so that the bundle is not changed: perhaps the signature
            satisfies the ledger's own rule, which is wider, and nobody can be asked to rely on it.
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
        try:
            check(public[header.department, header.key_id], header.id, record.entry.signature)
        except SignatureError:
            raise NotEstablishedError(
                f"the envelope at log entry {record.index} is recorded, but not checkable by standard tools"
            ) from None
