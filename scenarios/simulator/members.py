"""Who sits at a node: the real `Replica`, as any node hosts it."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.blocks.genesis import Genesis
from ledger.consensus.cache import SharedCache
from ledger.identifiers import CreditCode
from ledger.members.founding import NodeSigners
from scenarios.simulator.node import Member
from scenarios.simulator.signatures import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What a member is given when it is made, at every start of its node anew."""

    genesis: Genesis
    code: CreditCode
    signers: NodeSigners
    verification: Verification
    cache: SharedCache | None
    """Shared with other members, or None for one of its own."""


def replica_at(seat: Seat) -> Member:
    """Return the member of a department."""
    from ledger.replica import Replica

    return Replica(genesis=seat.genesis, me=seat.code, signers=seat.signers, verify=seat.verification.batch)
