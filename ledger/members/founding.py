"""Founding a network: from who the members are and who holds their keys to a genesis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from ledger.blocks.genesis import (
    CalendarDay,
    Founder,
    Genesis,
    Parameters,
    ProvenKey,
    ValidatorKeys,
    possession_bytes,
)
from ledger.crypto.signatures import Signer, check_key_hygiene, verify_signature
from ledger.errors import InvalidInputError
from ledger.identifiers import CreditCode, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberProfile:
    """What people know of a member before it has keys."""

    credit_code: CreditCode
    code: str
    """Short code, for example `AY`."""
    name_zh: str
    name_en: str
    name_before: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSigners:
    """The three signing keys of a validator's node."""

    consensus: Signer
    cosigner: Signer
    log: Signer


def found_member(
    profile: MemberProfile,
    *,
    network: str,
    envelope: Signer,
    node: NodeSigners | None,
    tls: Digest | None,
) -> Founder:
    """Return the genesis entry of a member, with a proof of possession for each of its keys.

    Args:
        network: Name of the genesis.
        envelope: Becomes envelope key number 1.
        node, tls: The keys and transport key hash of its node; both None for a member without a vote.
    """

    def prove(purpose: str, signer: Signer) -> ProvenKey:
        message = possession_bytes(network, profile.credit_code, purpose, signer.public)
        return ProvenKey(public=signer.public, possession=signer.sign(message))

    validator = None
    if node is not None:
        if tls is None:
            raise ValueError(f"{profile.code} has a node but no transport key")
        validator = ValidatorKeys(
            consensus=prove("consensus", node.consensus),
            cosigner=prove("cosigner", node.cosigner),
            log=prove("log", node.log),
            tls=tls,
        )
    return Founder(
        credit_code=profile.credit_code,
        code=profile.code,
        name_zh=profile.name_zh,
        name_en=profile.name_en,
        name_before=profile.name_before,
        roles=tuple(sorted(profile.roles)),
        envelope_key=prove("envelope/1", envelope),
        validator=validator,
    )


def found_network(
    *,
    name: str,
    created_ms: int,
    parameters: Parameters,
    calendar: Iterable[CalendarDay],
    founders: Iterable[Founder],
) -> Genesis:
    """Return the genesis with its lists in canonical order, after `check_genesis`."""
    genesis = Genesis(
        name=name,
        created_ms=created_ms,
        parameters=parameters,
        calendar=tuple(sorted(calendar, key=lambda day: day.date)),
        founders=tuple(sorted(founders, key=lambda founder: founder.credit_code)),
    )
    check_genesis(genesis)
    return genesis


def check_genesis(genesis: Genesis) -> None:
    """Check what a decoded genesis does not show by its form alone.

    Raises:
        InvalidInputError: Lists out of order or with repeats, a key used twice, no validator.
        KeyHygieneError: A key that must not be registered.
        SignatureError: A key without proof of possession.
    """
    _check_ascending("founders", [f.credit_code for f in genesis.founders])
    _check_ascending("calendar", [d.date for d in genesis.calendar])
    if all(f.validator is None for f in genesis.founders):
        raise InvalidInputError("a genesis needs at least one founder with validator keys")
    seen: dict[bytes, str] = {}
    for founder in genesis.founders:
        for purpose, key in _keys_of(founder):
            owner = f"{founder.code} {purpose}"
            if key.public in seen:
                raise InvalidInputError(f"{owner} and {seen[key.public]} share one key; every key has one purpose")
            seen[key.public] = owner
            check_key_hygiene(key.public)
            message = possession_bytes(genesis.name, founder.credit_code, purpose, key.public)
            verify_signature(key.public, message, key.possession)


def _keys_of(founder: Founder) -> list[tuple[str, ProvenKey]]:
    keys = [("envelope/1", founder.envelope_key)]
    if (node := founder.validator) is not None:
        keys += [("consensus", node.consensus), ("cosigner", node.cosigner), ("log", node.log)]
    return keys


def _check_ascending(what: str, names: list[str]) -> None:
    for earlier, later in pairwise(names):
        if earlier >= later:
            raise InvalidInputError(
                f"{what} of a genesis must ascend without repeats: {earlier!r} stands before {later!r}"
            )
