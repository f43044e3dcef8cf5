"""The receipt of a delivery: one file that proves that data went from one department to another, signed by both.

It holds the requester's request, the provider's statement of what it sealed, and the requester's acknowledgement, each
with its place in the log, and how the delivery stands in the state. Of the data it shows how many rows there were, of
which table, and a keyed commitment. Whoever has the key of the commitment and the chunks can show what they were;
once the key is destroyed nobody can, and the receipt still verifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ledger.crypto.signatures import StrictCheck, verify_strict
from ledger.errors import ProofError
from ledger.identifiers import CreditCode
from ledger.members.departments import CreditCodeText, envelope_key_key
from ledger.proofs.bundle import prove_hop, prove_value, signers_of
from ledger.proofs.canonical_json import Document, SafeIndex, parse
from ledger.proofs.head import check_head
from ledger.proofs.hops import Hop, HopRecords, check_one_delivery, log_hop
from ledger.proofs.inclusion import EntryProof
from ledger.proofs.notes import note_for
from ledger.proofs.policy import parse_policy
from ledger.proofs.signed import check_signatures
from ledger.proofs.state import ValueProof
from ledger.proofs.view import LedgerView
from ledger.registers.sharing.values import Delivery, DeliveryStatus, delivery_key

FORMAT: Literal["mulu.delivery/1"] = "mulu.delivery/1"


class DeliveryReceipt(Document, frozen=True, kw_only=True):
    """The JSON object; its parts mean what they mean in a bundle."""

    format: Literal["mulu.delivery/1"]
    grant: str
    number: SafeIndex
    records: Hop
    """Request, delivery and acknowledgement."""
    delivery: ValueProof
    """How the delivery stands in the state."""
    keys: tuple[ValueProof, ...]
    """Envelope keys that signed the records, ascending by credit code and key number."""
    block: EntryProof
    """The block record whose state root `delivery` and `keys` lead to; the last entry of the checkpoint."""
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenDelivery:
    """What a receipt proves under a policy."""

    grant: str
    number: int
    provider: CreditCodeText
    requester: CreditCodeText
    data_item: str
    purpose: str
    delivery: Delivery
    """As the state has it: rows, table, commitment, times."""
    signers: tuple[CreditCode, ...]
    """The quorum that vouches for the log."""


def build_receipt(view: LedgerView, grant: str, number: int) -> bytes:
    """Return the receipt of a delivery as of the view's checkpoint.

    Raises:
        NotFoundError: There is no such delivery, or it was not acknowledged.
    """
    records, last = prove_hop(view, grant, number), view.checkpoint.size - 1
    signed = (records.request, records.delivery, records.acknowledgement)
    receipt = DeliveryReceipt(
        format=FORMAT,
        grant=grant,
        number=number,
        records=records,
        delivery=prove_value(view, delivery_key(grant, number)),
        keys=tuple(prove_value(view, envelope_key_key(*signer)) for signer in signers_of(signed)),
        block=EntryProof(entry=view.entry(last), index=last, path=tuple(view.inclusion_path(last))),
        checkpoint=note_for(view),
    )
    return receipt.print()


def verify_receipt(data: bytes, policy_text: str, check: StrictCheck = verify_strict) -> ProvenDelivery:
    """Return what a receipt proves. Offline; needs no clock, because a delivery that was acknowledged stays so.

    Args:
        data: The file's bytes, from anywhere.
        policy_text: From somebody whom the reader trusts, never from where the receipt came from. That its last day is
            not past is not checked here.

    Raises:
        DecodeError: It is not a receipt, or the policy is none.
        NotEstablishedError: It is not evidence under this policy.
        ProofError, SignatureError: It can be read, and does not hold together: another grant's, forged or changed.
    """
    policy = parse_policy(policy_text)
    receipt = parse(DeliveryReceipt, data)
    head = check_head(receipt.checkpoint, receipt.block, policy, check)
    size, log_root, state_root = head.log.size, head.log.root, head.block.state_root
    delivery = receipt.delivery.check(Delivery, key=delivery_key(receipt.grant, receipt.number), root=state_root)
    hop = log_hop(receipt.records, size=size, root=log_root)
    records = tuple(hop.logged())
    check_one_delivery(hop)
    if any((a.index, a.position) >= (b.index, b.position) for a, b in pairwise(records)):
        raise ProofError("request, delivery and acknowledgement do not follow each other in the log")
    _check_stands(delivery, hop.records)
    check_signatures(records, receipt.keys, policy, state_root, check)
    return ProvenDelivery(
        grant=receipt.grant,
        number=receipt.number,
        provider=hop.provider,
        requester=hop.requester,
        data_item=hop.records.request.data_item,
        purpose=hop.records.request.purpose,
        delivery=delivery,
        signers=head.signers,
    )


def _check_stands(delivery: Delivery, records: HopRecords) -> None:
    """Check that the records are those that made the delivery what it is in the state."""
    stated = records.delivery
    for name in stated.__struct_fields__:
        if getattr(stated, name) != getattr(delivery, name):
            raise ProofError(f"the delivery in the state has another {name} than the one that was stated")
    if delivery.status is not DeliveryStatus.ACKNOWLEDGED:
        raise ProofError(f"the delivery is {delivery.status.value}, not acknowledged")
