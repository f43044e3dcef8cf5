"""Hops: which data reached a certificate's issuer from other departments before it issued the certificate.

A hop is a delivery under the register `sharing` with its receipt: the requester asked for a data item and said what
for, its owner delivered, and the requester acknowledged what had come. All three are in the log, signed and accepted.
So a hop shows who had which data from whom, for which purpose and since when. That the certificate was issued because
of them is the issuer's word, and no record says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.encoding import decode
from ledger.errors import ProofError
from ledger.proofs.canonical_json import Document
from ledger.proofs.inclusion import LoggedRecord, RecordProof
from ledger.registers.sharing.records import Acknowledge, Deliver, RequestSharing


class Hop(Document, frozen=True, kw_only=True):
    """One delivery."""

    request: RecordProof
    """What the requester asked for: the data item, the fields and the purpose."""
    delivery: RecordProof
    acknowledgement: RecordProof


@dataclass(frozen=True, slots=True, kw_only=True)
class HopRecords:
    """What the three records of a hop say."""

    request: RequestSharing
    delivery: Deliver
    acknowledgement: Acknowledge


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedHop:
    """A hop whose records were shown to be in the log."""

    records: HopRecords
    request: LoggedRecord
    delivery: LoggedRecord
    acknowledgement: LoggedRecord

    @property
    def provider(self) -> str:
        """Credit code of the department that delivered."""
        return self.delivery.entry.header.department

    @property
    def requester(self) -> str:
        """Credit code of the department that received: who requested, or took the place of that one."""
        return self.acknowledgement.entry.header.department

    def logged(self) -> Iterator[LoggedRecord]:
        """Yield the three records in the order in which they must stand in the log."""
        yield from (self.request, self.delivery, self.acknowledgement)


def log_hop(hop: Hop, *, size: int, root: bytes) -> LoggedHop:
    """Return the hop, whose records the log of `size` entries under `root`, which is trusted already, holds.

    Raises:
        ProofError: As `RecordProof.check`.
        DecodeError: Likewise, or a record is not of the kind that belongs in its place.
    """
    request, delivery, acknowledgement = (
        proof.check(size=size, root=root) for proof in (hop.request, hop.delivery, hop.acknowledgement)
    )
    records = HopRecords(
        request=decode(RequestSharing, request.record),
        delivery=decode(Deliver, delivery.record),
        acknowledgement=decode(Acknowledge, acknowledgement.record),
    )
    return LoggedHop(records=records, request=request, delivery=delivery, acknowledgement=acknowledgement)


def check_hops(hops: Sequence[LoggedHop], *, issuer: str, issue: LoggedRecord) -> None:
    """Check that each hop is one delivery, and that together they lead to the issuer before the issue.

    Args:
        hops: In the order in which the data came: each to the issuer, or to the provider of a later hop.
        issuer: Credit code of the department that issued the certificate.
        issue: The issue itself.

    Raises:
        ProofError: Records of different deliveries, not in the order of the log, or a hop that leads elsewhere.
    """
    reached = {issuer: _place(issue)}
    for hop in reversed(hops):
        check_one_delivery(hop)
        if hop.request.entry.header.department != hop.requester:
            raise ProofError(f"delivery {_name(hop)} was acknowledged by {hop.requester}, which did not request it")
        before = reached.get(hop.requester)
        if before is None:
            raise ProofError(f"delivery {_name(hop)} reached {hop.requester}, neither the issuer nor a later provider")
        places = [*map(_place, hop.logged()), before]
        if any(earlier >= later for earlier, later in pairwise(places)):
            raise ProofError(f"delivery {_name(hop)} was not acknowledged before what is said to have come of it")
        # A department that provides twice has had what came to it before the last of its deliveries.
        reached[hop.provider] = max(_place(hop.delivery), reached.get(hop.provider, (0, 0)))


def check_one_delivery(hop: LoggedHop) -> None:
    """Check that the three records of a hop are of one delivery. Who signed them is not compared here.

    Raises:
        ProofError: They are not.
    """
    request, delivery, acknowledgement = hop.records.request, hop.records.delivery, hop.records.acknowledgement
    delivered = (delivery.grant, delivery.number, delivery.commitment, delivery.sealed)
    acknowledged = (
        acknowledgement.grant,
        acknowledgement.number,
        acknowledgement.commitment,
        acknowledgement.sealed,
    )
    if delivered != acknowledged or request.id != delivery.grant:
        raise ProofError(f"the records of delivery {_name(hop)} are not of one delivery")


def _name(hop: LoggedHop) -> str:
    return f"{hop.records.delivery.grant}/{hop.records.delivery.number}"


def _place(record: LoggedRecord) -> tuple[int, int]:
    return record.index, record.position
