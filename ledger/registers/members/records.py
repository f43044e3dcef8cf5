"""What is stated about the members: their keys, each about its own, and the departments themselves, by a quorum."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.blocks.genesis import ProvenKey
from ledger.blocks.record import Record
from ledger.encoding import ShortText, UInt63
from ledger.members.departments import KeyNumber
from ledger.registers.members.values import Newcomer, Plan, ReorganisationId


class AddEnvelopeKey(Record, tag="members.add_key", kw_only=True):
    """The signing department will also sign with this key, from the next block on."""

    key_id: KeyNumber
    """Any number that the department has not used yet; the key of genesis is number 1."""
    key: ProvenKey
    """The proof is over `possession_bytes(network, department, "envelope/<key id>", public)`."""


class RevokeEnvelopeKey(Record, tag="members.revoke_key", kw_only=True):
    """The signing department stops signing with a key, after this block."""

    key_id: KeyNumber
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class ProposeReorganisation(Record, tag="members.propose_reorganisation", kw_only=True):
    """The registrar proposes that departments are renamed, merged or split. Nothing changes yet."""

    id: ReorganisationId
    plan: Plan
    newcomers: Annotated[tuple[Newcomer, ...], Meta(max_length=4)]
    """Departments that come into being, each a successor in the plan."""
    from_height: UInt63
    """First height at which it may be carried out."""
    legal_basis: ShortText
    """The decision that orders it, or empty."""


class ApproveReorganisation(Record, tag="members.approve_reorganisation", kw_only=True):
    """The signing department, which has a vote, agrees to a reorganisation as it was proposed."""

    id: ReorganisationId


class WithdrawReorganisation(Record, tag="members.withdraw_reorganisation", kw_only=True):
    """The registrar takes a proposal back."""

    id: ReorganisationId
    reason: Annotated[str, Meta(min_length=1, max_length=2_000)]


class CarryOutReorganisation(Record, tag="members.carry_out_reorganisation", kw_only=True):
    """What a quorum has approved becomes true with this record, whoever sends it."""

    id: ReorganisationId
