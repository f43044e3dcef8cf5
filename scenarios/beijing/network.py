"""A city as a network: its members as founders, and for runs in one process all keys from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.blocks.genesis import CalendarDay, Genesis, Parameters
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import Signer, SigningKey
from ledger.identifiers import CreditCode
from ledger.members.founding import MemberProfile, NodeSigners, found_member, found_network
from scenarios.beijing.city import City
from scenarios.simulator.streams import Streams

NETWORK = "beijing.mulu.example"
"""Name of the city's network; the first part of its log's origin."""


@dataclass(frozen=True, slots=True)
class FoundedNetwork:
    """A genesis with all the keys behind it."""

    genesis: Genesis
    nodes: Mapping[CreditCode, NodeSigners]
    """Of the members with a vote."""
    envelopes: Mapping[str, Signer]
    """Key number 1 of every member, by short code."""


def profiles_of(city: City) -> list[MemberProfile]:
    """Return the members of a city, as a network is founded by them."""
    return [row.profile for row in city.departments]


def calendar_of(city: City) -> list[CalendarDay]:
    """Return the days that differ from Monday to Friday."""
    return [CalendarDay(date=row.date, working=row.working) for row in city.calendar_days]


def validators_of(city: City) -> list[CreditCode]:
    """Return the credit codes of the departments with a vote, by rank."""
    return [row.uscc for row in city.validators]


def found_from_seed(city: City, *, name: str, seed: int, created_ms: int, parameters: Parameters) -> FoundedNetwork:
    """Found a network whose keys anybody can compute from the seed: for simulations, never for real nodes.

    Nothing connects to a node's transport here, so that its transport key is the hash of a text.
    """
    streams = Streams(seed)

    def key(*names: str) -> SigningKey:
        return SigningKey.from_seed(streams.named("key", *names).bytes(32))

    votes = {row.code for row in city.validators}
    founders, nodes, envelopes = [], {}, {}
    for profile in profiles_of(city):
        code = profile.code
        envelopes[code] = key(code, "envelope/1")
        node = None
        if code in votes:
            node = nodes[profile.credit_code] = NodeSigners(
                consensus=key(code, "consensus"), cosigner=key(code, "cosigner"), log=key(code, "log")
            )
        founders.append(
            found_member(
                profile,
                network=name,
                envelope=envelopes[code],
                node=node,
                tls=None if node is None else sha256(f"no transport of {code}".encode()),
            )
        )
    genesis = found_network(
        name=name, created_ms=created_ms, parameters=parameters, calendar=calendar_of(city), founders=founders
    )
    return FoundedNetwork(genesis, nodes, envelopes)
