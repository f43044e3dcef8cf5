"""A small network of made-up departments, and real records for it to put on the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ledger.blocks.envelope import seal
from ledger.blocks.genesis import Genesis, Parameters
from ledger.check_characters import credit_code_check_character, organisation_code_check_character
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import Signer, SigningKey
from ledger.identifiers import CreditCode, Height, KeyId
from ledger.members.departments import DEPARTMENT
from ledger.members.founding import MemberProfile, NodeSigners, found_member, found_network
from ledger.registers.directories.records import PublishResponsibility
from scenarios.simulator.signatures import StandIn, StandInSigner, stand_in
from scenarios.simulator.streams import Stream

NETWORK = "mulu.simulated.example"
CREATED_MS = 1_757_894_400_000
"""2025-09-15T08:00:00+08:00."""
BASE_TIMEOUT_MS = 1_000
BLOCK_INTERVAL_MS = 100
IDLE_MS = 10_000

RESPONSIBILITIES = 40
"""Few enough that departments meet each other's."""

VALID_FOR_BLOCKS = 5_000
"""Far enough ahead that nothing expires in a run of some minutes."""


@dataclass(frozen=True, kw_only=True)
class SmallNetwork:
    """A genesis and everybody's keys."""

    genesis: Genesis
    nodes: Mapping[CreditCode, NodeSigners]
    envelopes: Mapping[CreditCode, Signer]
    """Envelope key number 1 of each department."""
    verification: StandIn | None
    """What the keys must be verified with; None for Ed25519."""


@lru_cache(maxsize=8)
def small_network(departments: int) -> SmallNetwork:
    """Return a network of departments that all have a vote. The same for every seed: what differs is the run."""
    codes = [_credit_code(number) for number in range(1, departments + 1)]
    nodes = {
        code: NodeSigners(consensus=_key(code, "consensus"), cosigner=_key(code, "cosigner"), log=_key(code, "log"))
        for code in codes
    }
    envelopes = {code: _key(code, "envelope/1") for code in codes}
    founders = [
        found_member(
            MemberProfile(
                credit_code=code,
                code=f"D{number}",
                name_zh=f"模拟部门{number}",
                name_en=f"Simulated Department {number}",
                name_before="",
                roles=frozenset({DEPARTMENT}),
            ),
            network=NETWORK,
            envelope=envelopes[code],
            node=nodes[code],
            tls=sha256(code.encode()),
        )
        for number, code in enumerate(codes, start=1)
    ]
    genesis = found_network(
        name=NETWORK,
        created_ms=CREATED_MS,
        parameters=Parameters(
            engine="jolteon",
            base_timeout_ms=BASE_TIMEOUT_MS,
            block_interval_ms=BLOCK_INTERVAL_MS,
            idle_ms=IDLE_MS,
            block_payload_bytes=1 << 20,
            utc_offset_hours=8,
        ),
        calendar=(),
        founders=founders,
    )
    return SmallNetwork(genesis=genesis, nodes=nodes, envelopes=envelopes, verification=None)


def with_stand_ins(network: SmallNetwork) -> SmallNetwork:
    """Return the same network, signing with keyed hashes."""
    nodes = {code: stand_in(node) for code, node in network.nodes.items()}
    envelopes = {code: StandInSigner(signer) for code, signer in network.envelopes.items()}
    signers = [signer for node in nodes.values() for signer in (node.consensus, node.cosigner, node.log)]
    stand_ins = [signer for signer in (*signers, *envelopes.values()) if isinstance(signer, StandInSigner)]
    return SmallNetwork(genesis=network.genesis, nodes=nodes, envelopes=envelopes, verification=StandIn(stand_ins))


class Clerks:
    """Write envelopes in the name of departments, with sequence numbers that each use once."""

    def __init__(self, network: SmallNetwork, draws: Stream) -> None:
        self._network = network
        self._draws = draws
        self._codes = sorted(network.envelopes)
        self._sequences = dict.fromkeys(self._codes, 0)
        self._revisions: dict[str, int] = {}

    def write(self) -> bytes:
        """Return the bytes of a new envelope with one to three records, of which some will be refused."""
        code = self._draws.choice(self._codes)
        self._sequences[code] += 1
        records = [self._record(code) for _ in range(self._draws.between(1, 3))]
        return seal(
            records,
            chain=self._network.genesis.chain,
            department=code,
            key_id=KeyId(1),
            sequence=self._sequences[code],
            valid_until=Height(VALID_FOR_BLOCKS),
            signer=self._network.envelopes[code],
        ).encode()

    def _record(self, code: CreditCode) -> bytes:
        """Return the publication of a responsibility: a new one, the next revision of one, or one of another's."""
        number = self._draws.between(1, RESPONSIBILITIES)
        identifier = f"D-{number}"
        revision = self._revisions.get(identifier, 0) + 1
        # Envelopes of one department may be executed in another order than they were written in, so that what was
        # the next revision then can be too late or too early now: both have their code.
        self._revisions[identifier] = revision
        return PublishResponsibility(
            id=identifier,
            revision=revision,
            office="",
            name_zh=f"模拟职责{number}",
            name_en=f"Simulated responsibility {number} of {code}",
            legal_basis="",
        ).encode()


def _key(*names: str) -> SigningKey:
    return SigningKey.from_seed(sha256("/".join((NETWORK, *names)).encode()))


def _credit_code(number: int) -> CreditCode:
    first8 = f"D{number:07d}"
    first17 = f"11110000{first8}{organisation_code_check_character(first8)}"
    return CreditCode(first17 + credit_code_check_character(first17))
