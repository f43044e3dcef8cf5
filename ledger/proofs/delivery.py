"""The receipt of a delivery: one file that proves that data went from one department to another, signed by both.

It holds the requester's request, the provider's statement of what it sealed, and the requester's acknowledgement, each
with its place in the log, and how the delivery stands in the state. Where a reorganisation has ended the requester, and
whoever took its place acknowledged, the receipt shows that too. Of the data it shows how many rows there were, of
which table, and a keyed commitment. Whoever has the key of the commitment and the chunks can show what they were;
once the key is destroyed nobody can, and the receipt still verifies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from msgspec import UNSET, UnsetType

from ledger.crypto.signatures import StrictCheck, verify_strict
from ledger.errors import ProofError
from ledger.identifiers import CreditCode
from ledger.members.departments import CreditCodeText, Department, department_key, envelope_key_key
from ledger.proofs.bundle import prove_hop, prove_value, receivers_of, signers_of
from ledger.proofs.canonical_json import Document, SafeIndex, parse
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.head import check_head
from ledger.proofs.hops import Hop, HopRecords, LoggedHop, check_one_delivery, log_hop
from ledger.proofs.inclusion import EntryProof
from ledger.proofs.notes import note_for
from ledger.proofs.policy import parse_policy
from ledger.proofs.signed import check_signatures
from ledger.proofs.state import ValueProof
from ledger.proofs.view import LedgerView
from ledger.registers.sharing.values import Delivery, DeliveryStatus, delivery_key

FORMAT: Literal["mulu.delivery/1"] = "mulu.delivery/1"

_CLAIM = re.compile(rb'"format"\s*:\s*"mulu\.delivery/')
"""Inside a text of JSON each quote has a backslash before it, so that no text can say this."""


class SuccessionProof(Document, frozen=True, kw_only=True):
    """That one department acts in the place of another, as the state has both."""

    requester: ValueProof
    """The department that requested; a reorganisation has ended it."""
    successor: ValueProof
    """The department that has something of it, and acknowledged."""

    def check(self, requester: CreditCodeText, successor: CreditCodeText, *, root: bytes) -> None:
        """Check that these are the two departments, and that the second took the place of the first.

        Args:
            root: 32-byte state root, trusted already. That it was so when it acknowledged follows from that the ledger
                accepted it: no department comes back, and none loses a predecessor.

        Raises:
            ProofError: They are others in this state, or the second did not.
            DecodeError: A value is no department.
        """
        ended = self.requester.check(Department, key=department_key(requester), root=root)
        heir = self.successor.check(Department, key=department_key(successor), root=root)
        if ended.valid_to is None or requester not in heir.predecessors:
            raise ProofError(f"{successor} did not take the place of {requester}, which requested")


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
    succession: SuccessionProof | UnsetType = UNSET
    """There if and only if another department acknowledged than the one that requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenDelivery:
    """What a receipt proves under a policy."""

    grant: str
    number: int
    provider: CreditCodeText
    requester: CreditCodeText
    acknowledged_by: CreditCodeText
    """The requester, or who took its place in a reorganisation."""
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
    requester, acknowledged_by = receivers_of(records)
    receipt = DeliveryReceipt(
        format=FORMAT,
        grant=grant,
        number=number,
        records=records,
        delivery=prove_value(view, delivery_key(grant, number)),
        keys=tuple(prove_value(view, envelope_key_key(*signer)) for signer in signers_of(signed)),
        block=EntryProof(entry=view.entry(last), index=last, path=tuple(view.inclusion_path(last))),
        checkpoint=note_for(view),
        succession=UNSET if acknowledged_by == requester else _prove_succession(view, requester, acknowledged_by),
    )
    return receipt.print()


def is_receipt(data: bytes) -> bool:
    """Return whether a file claims to be the receipt of a delivery, of whatever version and spelling."""
    return _CLAIM.search(data) is not None


def verify_receipt(data: bytes, policy_text: str, check: StrictCheck = verify_strict) -> ProvenDelivery:
    """Return what a receipt proves. Offline; needs no clock, because a delivery that was acknowledged stays so.

    Args:
        data: The file's bytes, from anywhere.
        policy_text: From somebody whom the reader trusts, never from where the receipt came from. That its last day is
            not past is not checked here.

    Raises:
        DecodeError: It is not a receipt, or the policy is none.
        NotEstablishedError: It is not evidence under this policy, or leaves out in whose place it was acknowledged.
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
    _check_requester(receipt, hop, state_root)
    if any((a.index, a.position) >= (b.index, b.position) for a, b in pairwise(records)):
        raise ProofError("request, delivery and acknowledgement do not follow each other in the log")
    _check_stands(delivery, hop.records)
    check_signatures(records, receipt.keys, policy, state_root, check)
    return ProvenDelivery(
        grant=receipt.grant,
        number=receipt.number,
        provider=hop.provider,
        requester=hop.request.entry.header.department,
        acknowledged_by=hop.requester,
        data_item=hop.records.request.data_item,
        purpose=hop.records.request.purpose,
        delivery=delivery,
        signers=head.signers,
    )


def _prove_succession(view: LedgerView, requester: CreditCodeText, successor: CreditCodeText) -> SuccessionProof:
    return SuccessionProof(
        requester=prove_value(view, department_key(requester)), successor=prove_value(view, department_key(successor))
    )


def _check_requester(receipt: DeliveryReceipt, hop: LoggedHop, state_root: bytes) -> None:
    """Check that the delivery was acknowledged by who requested it, or by a department that took its place."""
    requester = hop.request.entry.header.department
    match receipt.succession:
        case SuccessionProof() as succession if hop.requester != requester:
            succession.check(requester, hop.requester, root=state_root)
        case SuccessionProof():
            raise ProofError(f"a successor is shown, and {requester} acknowledged by itself")
        case UnsetType() if hop.requester != requester:
            # The ledger accepted it, so that the receipt is not forged: it is one that says less than a reader needs.
            raise NotEstablishedError(
                f"{hop.requester} acknowledged what {requester} requested, and the receipt does not show that it took "
                "the place of it: get a newer receipt"
            )


def _check_stands(delivery: Delivery, records: HopRecords) -> None:
    """Check that the records are those that made the delivery what it is in the state."""
    stated = records.delivery
    for name in stated.__struct_fields__:
        if getattr(stated, name) != getattr(delivery, name):
            raise ProofError(f"the delivery in the state has another {name} than the one that was stated")
    if delivery.status is not DeliveryStatus.ACKNOWLEDGED:
        raise ProofError(f"the delivery is {delivery.status.value}, not acknowledged")
