"""What the state holds of reorganisations: what is to change, who has approved it, and what passed to whom."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ledger.blocks.genesis import ProvenKey
from ledger.encoding import Canonical, ShortText, UInt63
from ledger.members.departments import CreditCodeText
from ledger.registers.shared import ResponsibilityId

ReorganisationId = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[0-9A-Z]+(-[0-9A-Z]+)*$")]
"""Chosen by the registrar, for example `2018-R1`; used once."""

PASSINGS_MAX = 256
"""Responsibilities that one reorganisation moves: what carrying it out costs. Larger departments move in parts."""

LINKS_MAX = 256
"""Predecessors or successors of one department: they stand in its value."""

FIRST_KEY = "envelope/1"
"""Purpose of the key with which a newcomer begins."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Role = Literal["auditor", "department", "directory_authority", "provider", "registrar"]


class Rename(Canonical, tag="members/rename", kw_only=True):
    """A department has another name from now on, and nothing else changes."""

    department: CreditCodeText
    name_zh: Name
    name_en: ShortText


class Merge(Canonical, tag="members/merge", kw_only=True):
    """Some departments end; one takes their place, their roles, and those of their responsibilities that are named."""

    predecessors: Annotated[tuple[CreditCodeText, ...], Meta(min_length=1, max_length=16)]
    successor: CreditCodeText
    responsibilities: Annotated[tuple[ResponsibilityId, ...], Meta(max_length=PASSINGS_MAX)]
    """Each of a predecessor. What is not named is left without a department: it becomes an orphan."""


class Passing(Canonical, tag="members/passing", kw_only=True):
    """One responsibility and the department that has it from now on."""

    responsibility: ResponsibilityId
    successor: CreditCodeText


class Split(Canonical, tag="members/split", kw_only=True):
    """Responsibilities of one department pass to others. It goes on with the rest, or ends."""

    department: CreditCodeText
    """One that has ended already may still leave responsibilities to pass."""
    ends: bool
    passings: Annotated[tuple[Passing, ...], Meta(min_length=1, max_length=PASSINGS_MAX)]


Plan = Rename | Merge | Split


class Newcomer(Canonical, tag="members/newcomer", kw_only=True):
    """A department that comes into being with a reorganisation: a member with a key, and without a vote."""

    credit_code: CreditCodeText
    code: Annotated[str, Meta(min_length=1, max_length=8)]
    """Short code by which people call it; nobody checks that it is the only one."""
    name_zh: Name
    name_en: ShortText
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=5)]
    envelope_key: ProvenKey
    """Becomes its envelope key number 1; the proof is that of a founder's."""


class Reorganisation(Canonical, tag="members/reorganisation", kw_only=True):
    """A change of the departments themselves, from its proposal to its end."""

    id: ReorganisationId
    plan: Plan
    newcomers: tuple[Newcomer, ...]
    from_height: UInt63
    """First height at which it may be carried out."""
    legal_basis: ShortText
    proposed_height: UInt63
    approvals: tuple[CreditCodeText, ...]
    """Departments with a vote that have approved it, ascending."""
    status: Literal["proposed", "carried_out", "withdrawn"]
    settled_height: UInt63
    """Height at which it was carried out or withdrawn; 0 before."""


class Succession(Canonical, tag="members/succession", kw_only=True):
    """How a responsibility came to the department that has it, by the last reorganisation that moved it."""

    responsibility: ResponsibilityId
    predecessor: CreditCodeText
    department: CreditCodeText
    """Who has it since."""
    height: UInt63
    """Of the block that moved it."""
    reorganisation: ReorganisationId


REORGANISATIONS = b"members/reorganisation/"
SUCCESSIONS = b"members/succession/"


def reorganisation_key(name: str) -> bytes:
    """Return the state key of a reorganisation."""
    return REORGANISATIONS + name.encode()


def succession_key(responsibility: str) -> bytes:
    """Return the state key under which it is found how a responsibility last passed on."""
    return SUCCESSIONS + responsibility.encode()
