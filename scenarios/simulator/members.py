"""Who sits at a node: the real `Replica`, as any node hosts it, and the same one without its self-control."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.blocks.genesis import Genesis
from ledger.identifiers import CreditCode
from ledger.members.founding import NodeSigners
from ledger.replica import MemberCache, Replica
from scenarios.simulator.signatures import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What a member is given when it is made, at every start of its node anew."""

    genesis: Genesis
    code: CreditCode
    signers: NodeSigners
    verification: Verification
    cache: MemberCache | None
    """Shared with other members, or None for one of its own."""
    is_twin: bool
    """Whether the validator runs more than once under these keys."""


def replica_at(seat: Seat) -> Replica:
    """Return the member of a department.

    A twin is an adversary, so it must not do what P23 asks of the honest: fall silent on hearing a second voice under
    its own key. Nothing else is changed in it.
    """
    replica = Replica(
        genesis=seat.genesis,
        me=seat.code,
        signers=seat.signers,
        verify=seat.verification.batch,
        strict=seat.verification.strict,
        shared=seat.cache,
    )
    if seat.is_twin:
        _silence_conscience(replica)
    return replica


def _silence_conscience(replica: Replica) -> None:
    # Reaches into the engine, because no honest member has a switch for this.
    safety = replica.engine._safety  # type: ignore[attr-defined]
    safety.stop = lambda reason: None
