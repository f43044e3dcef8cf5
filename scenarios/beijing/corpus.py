"""Blocks for measurements: records of the city's departments in fixed proportions, really signed, from a seed.

The same seed gives the same bytes. What is measured is the way of a block through validation, not its ordering, so one
validator founds the network. The state from which the blocks start has what their records build on: approved
responsibilities, certificate types, data items, tables, and certificates in force.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec.structs

from ledger.blocks.block import Block, BlockHeader, payload_root, proposal_signing_bytes
from ledger.blocks.envelope import seal
from ledger.blocks.genesis import Genesis, Parameters
from ledger.blocks.record import Record
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import Canonical, encode
from ledger.identifiers import ChainId, CreditCode, Digest, Height, KeyId
from ledger.members.founding import NodeSigners, found_member, found_network
from ledger.registers import RULEBOOK
from ledger.registers.certificates.values import Certificate, certificate_key
from ledger.state.store import State
from ledger.state.transition import execute_block
from ledger.validation.envelopes import prepare_block
from scenarios.beijing.actor import Actor
from scenarios.beijing.city import City
from scenarios.beijing.city_files import load_city
from scenarios.beijing.network import calendar_of

STATE_KEYS = 10_000
RECORDS_PER_BLOCK = 4_096
"""With one record an envelope, about half of what a block may hold in bytes."""

BLOCK_INTERVAL_MS = 1_000
VALID_FOR_BLOCKS = 1_000


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A state, and records that go on from it."""

    genesis: Genesis
    height: Height
    time_ms: int
    """Of the state."""
    items: tuple[tuple[bytes, bytes], ...]
    """The state: keys and value bytes."""
    records: Mapping[CreditCode, tuple[bytes, ...]]
    """What each department states, in its order; they can be executed in any order between departments."""
    expected: Mapping[CreditCode, tuple[str, ...]]
    """Beside it, `accepted` or the label of the refusal."""
    keys: Mapping[CreditCode, SigningKey]
    sequences: Mapping[CreditCode, int]
    """Last sequence number that each department has used."""
    proposer: SigningKey
    filler_keys: int = 0
    """Certificates in the state beside `items`, which no record names."""

    @property
    def record_count(self) -> int:
        """How many records there are."""
        return sum(map(len, self.records.values()))

    @property
    def refused_count(self) -> int:
        """How many records must be refused."""
        return sum(label != "accepted" for labels in self.expected.values() for label in labels)

    def state(self) -> State:
        """Return the state that the first block builds on; a new one at each call."""
        values = {key: RULEBOOK.decode_value(raw) for key, raw in self.items}
        if self.filler_keys:
            values.update(_filler(values.values(), self.filler_keys))
        return State(self.genesis, height=self.height, time_ms=self.time_ms, values=values)

    def with_state_keys(self, keys: int) -> Corpus:
        """Return the same records on a state of `keys` keys, or of as many as there must be.

        Certificates that no record names fill it up. They were never issued, so that a million take seconds.
        """
        return replace(self, filler_keys=max(0, keys - len(self.items)))

    def blocks(self, k: int, *, records_per_block: int = RECORDS_PER_BLOCK) -> tuple[bytes, ...]:
        """Return all records in encoded blocks, `k` to an envelope.

        The departments take turns by envelopes, so that each block has as many signers as it can.
        """
        turns = zip(*(self._envelopes(department, k) for department in self.records), strict=True)
        envelopes = [envelope for turn in turns for envelope in turn]
        per_block = max(1, records_per_block // k)
        blocks, parent = [], Digest(self.genesis.chain)
        for number, start in enumerate(range(0, len(envelopes), per_block), start=1):
            block = make_block(
                envelopes[start : start + per_block],
                chain=self.genesis.chain,
                parent=parent,
                height=self.height + number,
                time_ms=self.time_ms + BLOCK_INTERVAL_MS * number,
                proposer=self.proposer,
            )
            blocks.append(block.encode())
            parent = Digest(block.header.id)
        return tuple(blocks)

    def _envelopes(self, department: CreditCode, k: int) -> list[bytes]:
        records = self.records[department]
        return [
            seal(
                records[start : start + k],
                chain=self.genesis.chain,
                department=department,
                key_id=KeyId(1),
                sequence=self.sequences[department] + number,
                valid_until=Height(self.height + VALID_FOR_BLOCKS),
                signer=self.keys[department],
            ).encode()
            for number, start in enumerate(range(0, len(records), k), start=1)
        ]


def make_corpus(
    seed: int = 1,
    *,
    departments: int = 53,
    records_per_department: int = 256,
    state_keys: int = STATE_KEYS,
) -> Corpus:
    """Return the corpus of a seed.

    Args:
        departments: How many sign; the first of the city.
        state_keys: Keys of the state, at least; certificates fill it up.
    """
    rng = random.Random(f"mulu corpus {seed}")
    city = load_city().first(departments)
    ledger = _Ledger(city, rng)
    actors = [Actor(row, city, rng) for row in city.validators]
    registrar, authority = city.with_role("registrar")[0].uscc, city.with_role("directory_authority")[0].uscc
    ledger.put({actor.code: actor.publish_responsibilities() for actor in actors})
    ledger.put({registrar: [record for actor in actors for record in actor.responsibility_approvals()]})
    ledger.put({actor.code: [*actor.define_types(), *actor.publish_data_items()] for actor in actors})
    ledger.put({authority: [record for actor in actors for record in actor.data_item_approvals()]})
    ledger.put({actor.code: actor.publish_tables() for actor in actors})
    certificates = max(8, -(-(state_keys - len(ledger.state)) // len(actors)))
    ledger.put({actor.code: [actor.issue() for _ in range(certificates)] for actor in actors})

    stated = {actor.code: actor.day(records_per_department, others=actors) for actor in actors}
    return Corpus(
        genesis=ledger.genesis,
        height=ledger.state.height,
        time_ms=ledger.state.time_ms,
        items=tuple((key, encode(value)) for key, value in ledger.state.items()),
        records={code: tuple(record.encode() for record, _ in pairs) for code, pairs in stated.items()},
        expected={code: tuple(label for _, label in pairs) for code, pairs in stated.items()},
        keys={code: ledger.keys[code] for code in stated},
        sequences=dict(ledger.sequences),
        proposer=ledger.proposer,
    )


def make_block(
    envelopes: Sequence[bytes],
    *,
    chain: ChainId,
    parent: Digest,
    height: int,
    time_ms: int,
    proposer: SigningKey,
) -> Block:
    """Return a block as a lone validator proposes it."""
    header = BlockHeader(
        chain=Digest(chain),
        epoch=0,
        round=height,
        height=height,
        parent=parent,
        author=0,
        justification=b"",
        payload_root=payload_root(envelopes),
        payload_count=len(envelopes),
        checkpoint=None,
        time_ms=time_ms,
    )
    signature = proposer.sign(proposal_signing_bytes(header.id))
    return Block(header=header, suite=ED25519_SHA256, signature=signature, payload=tuple(envelopes))


class _Ledger:
    """A ledger without consensus on which the corpus's state is made. Its envelopes are not signed."""

    def __init__(self, city: City, rng: random.Random) -> None:
        secret = rng.randbytes(32)
        self.keys = {row.uscc: _key(secret, row.uscc, "envelope") for row in city.departments}
        self.sequences = dict.fromkeys(self.keys, 0)
        first = city.validators[0].uscc
        self.proposer = _key(secret, first, "consensus")
        node = NodeSigners(
            consensus=self.proposer, cosigner=_key(secret, first, "cosigner"), log=_key(secret, first, "log")
        )
        name = "mulu.corpus.example"
        self.genesis = found_network(
            name=name,
            created_ms=city.workload.start_ms,
            parameters=Parameters(
                engine="solo",
                base_timeout_ms=1_000,
                block_interval_ms=BLOCK_INTERVAL_MS,
                idle_ms=10_000,
                block_payload_bytes=2 << 20,
                utc_offset_hours=city.workload.utc_offset_hours,
            ),
            calendar=calendar_of(city),
            founders=[
                found_member(
                    row.profile,
                    network=name,
                    envelope=self.keys[row.uscc],
                    node=node if row.uscc == first else None,
                    tls=sha256(b"no transport") if row.uscc == first else None,
                )
                for row in city.departments
            ],
        )
        self.state = State.of_genesis(self.genesis)

    def put(self, stated: Mapping[CreditCode, Sequence[Record]]) -> None:
        """Execute one block in which each department states what is given; all of it must be accepted."""
        envelopes = []
        for department, records in stated.items():
            for start in range(0, len(records), 256):
                self.sequences[department] += 1
                envelopes.append(
                    seal(
                        [record.encode() for record in records[start : start + 256]],
                        chain=self.genesis.chain,
                        department=department,
                        key_id=KeyId(1),
                        sequence=self.sequences[department],
                        valid_until=Height(VALID_FOR_BLOCKS),
                        signer=_Unsigned(),
                    ).encode()
                )
        block = make_block(
            envelopes,
            chain=self.genesis.chain,
            parent=Digest(self.genesis.chain),
            height=self.state.height + 1,
            time_ms=self.state.time_ms + BLOCK_INTERVAL_MS,
            proposer=self.proposer,
        )
        prepared = prepare_block(block.header.id, block.header, block.payload)
        execution = execute_block(self.state, prepared, lambda items: [True] * len(items))
        if any(map(any, execution.results)):
            raise AssertionError("a record that the corpus builds on was refused: the rules have changed")
        self.state.advance(execution)


def _filler(values: Iterable[Canonical], count: int) -> Iterator[tuple[bytes, Certificate]]:
    """Yield `count` keys and certificates like one that is there, each with an identifier of its own."""
    model = next(value for value in values if isinstance(value, Certificate))
    for number in range(count):
        # Not an identifier of the standard, which has no such letter in front: no record can name it.
        identifier = f"X{model.identifier[1:]}{number:09}"
        yield certificate_key(identifier), msgspec.structs.replace(model, identifier=identifier)


class _Unsigned:
    """Stands for a signer where nobody verifies."""

    public = bytes(32)

    def sign(self, message: bytes) -> bytes:
        return bytes(64)


def _key(secret: bytes, *names: str) -> SigningKey:
    return SigningKey.from_seed(sha256(secret + "/".join(names).encode()))
