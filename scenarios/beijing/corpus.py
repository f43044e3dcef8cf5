"""Blocks for measurements: records of the city's departments in fixed proportions, really signed, from a seed.

The same seed gives the same bytes. What is measured is the way of a block through validation, not its ordering, so one
validator founds the network. The state from which the blocks start has what their records build on: approved
responsibilities, certificate types, data items, tables, and certificates in force.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec.structs

from ledger.blocks.block import Block, BlockHeader, payload_root, proposal_signing_bytes
from ledger.blocks.envelope import seal
from ledger.blocks.genesis import Genesis, Parameters
from ledger.blocks.record import Record
from ledger.check_characters import mod_37_36
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import Canonical, encode
from ledger.identifiers import ChainId, CreditCode, Digest, Height, KeyId
from ledger.members.founding import NodeSigners, found_member, found_network
from ledger.registers import RULEBOOK
from ledger.registers.catalogue import Column, DataItemMetadata, InformationItem, Openness, Sharing, schema_hash
from ledger.registers.certificates.identifier import ROOT, IdentifierParts, format_identifier
from ledger.registers.certificates.records import (
    ChangeCertificate,
    IssueCertificate,
    LiftSuspension,
    RevokeCertificate,
    SuspendCertificate,
)
from ledger.registers.certificates.values import Certificate, certificate_key
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishTable,
)
from ledger.state.store import State
from ledger.state.transition import execute_block
from ledger.validation.envelopes import prepare_block
from scenarios.beijing.catalogue import type_record
from scenarios.beijing.city import CertificateTypeRow, City, DataItemRow, DepartmentRow, ResponsibilityRow
from scenarios.beijing.city_files import load_city
from scenarios.beijing.network import calendar_of

SHARES = {"issue": 0.60, "status": 0.15, "data": 0.20, "responsibility": 0.05}
"""Of all records, by kind: issues; changes, suspensions, lifts and revocations; data items and tables; the rest."""

REFUSED_SHARE = 0.02
"""Of all records, those that break a rule; they stand in the place of records of any kind."""

STATE_KEYS = 10_000
RECORDS_PER_BLOCK = 4_096
"""With one record an envelope, about half of what a block may hold in bytes."""

BLOCK_INTERVAL_MS = 1_000
VALID_FOR_BLOCKS = 1_000

_VALID_FROM = "2025-09-15"


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


class Actor:
    """One department: what it has on the ledger so far, and what it states next."""

    def __init__(self, row: DepartmentRow, city: City, rng: random.Random) -> None:
        self.code = row.uscc
        self._rng = rng
        self._row = row
        self._responsibilities = [r for r in city.responsibilities if r.department == row.code]
        own = {r.id for r in self._responsibilities}
        first = self._responsibilities[0]
        # Some departments issue nothing or hold nothing in the city's files; here each does all kinds of work.
        self._types = [t for t in city.certificate_types if t.department == row.code] or [_plain_type(row, first)]
        self._items = [i for i in city.data_items if i.responsibility in own] or [_plain_item(first)]
        self._revisions: dict[str, int] = {}
        self._serial = 0
        self._contents: dict[str, int] = {}
        """Revision of the content of each certificate that is valid."""
        self._suspended: list[tuple[str, int]] = []
        """Certificates that are suspended, with their revisions."""

    # What the state is made of.

    def publish_responsibilities(self) -> list[Record]:
        return [self._publish_responsibility(row) for row in self._responsibilities]

    def responsibility_approvals(self) -> list[Record]:
        return [ApproveResponsibility(id=row.id, revision=1) for row in self._responsibilities]

    def define_types(self) -> list[Record]:
        return [type_record(row) for row in self._types]

    def publish_data_items(self) -> list[Record]:
        return [self._publish_data_item(row) for row in self._items]

    def data_item_approvals(self) -> list[Record]:
        return [ApproveDataItem(id=row.id, revision=1) for row in self._items]

    def publish_tables(self) -> list[Record]:
        return [self._publish_table(row) for row in self._items]

    def issue(self) -> IssueCertificate:
        """Return the issue of the next certificate."""
        kind = self._rng.choice(self._types)
        record = self._issue_as(format_identifier(self._next_parts(kind.code, self.code)))
        self._contents[record.identifier] = 1
        return record

    # What is measured.

    def day(self, count: int, *, others: Sequence[Actor]) -> list[tuple[Record, str]]:
        """Return `count` records in their shares, each with how it must end."""
        kinds = [kind for kind, share in SHARES.items() for _ in range(round(count * share))][:count]
        kinds += ["issue"] * (count - len(kinds))
        self._rng.shuffle(kinds)
        wrong = set(self._rng.sample(range(count), round(count * REFUSED_SHARE)))
        plain: Mapping[str, Callable[[], Record]] = {
            "issue": self.issue,
            "status": self._change_status,
            "data": self._revise_data,
            "responsibility": lambda: self._publish_responsibility(self._rng.choice(self._responsibilities)),
        }
        other = next((actor for actor in others if actor is not self), self)
        mistakes = self._mistakes(other)
        return [
            next(mistakes) if position in wrong else (plain[kind](), "accepted") for position, kind in enumerate(kinds)
        ]

    def _change_status(self) -> Record:
        draw = self._rng.random()
        if self._suspended and draw < 0.2:
            identifier, revision = self._suspended.pop()
            self._contents[identifier] = revision
            return LiftSuspension(certificate=identifier, reason="整改完成")
        identifier = self._rng.choice(list(self._contents))
        if draw < 0.7:
            self._contents[identifier] += 1
            return ChangeCertificate(
                certificate=identifier,
                revision=self._contents[identifier],
                content=Digest(self._rng.randbytes(32)),
                reason="登记事项变更",
            )
        revision = self._contents.pop(identifier)
        if draw < 0.85:
            self._suspended.append((identifier, revision))
            return SuspendCertificate(certificate=identifier, reason="限期整改")
        return RevokeCertificate(certificate=identifier, kind="cancelled", reason="终止经营")

    def _revise_data(self) -> Record:
        row = self._rng.choice(self._items)
        return self._publish_data_item(row) if self._rng.random() < 0.5 else self._publish_table(row)

    def _mistakes(self, other: Actor) -> Iterator[tuple[Record, str]]:
        """Yield wrong records in turn, each with the label of its refusal."""
        while True:
            parts = self._next_parts(self._types[0].code, self.code)
            yield self._issue_as(_turn_last(format_identifier(parts))), "identifier_check_character"
            yield self._issue_as(_with_wrong_credit_code(parts)), "credit_code_check_character"
            if other is not self:
                foreign = self._next_parts(other._types[0].code, other.code)
                yield self._issue_as(format_identifier(foreign)), "foreign_issuer"
                borrowed = self._next_parts(other._types[0].code, self.code)
                yield self._issue_as(format_identifier(borrowed)), "type_not_own"
            valid = next(iter(self._contents))
            yield LiftSuspension(certificate=valid, reason="误操作"), "illegal_state_change"

    # Single records.

    def _next_revision(self, name: str) -> int:
        self._revisions[name] = self._revisions.get(name, 0) + 1
        return self._revisions[name]

    def _next_parts(self, type_code: str, issuer: CreditCode) -> IdentifierParts:
        self._serial += 1
        return IdentifierParts(
            type_code=type_code, issuer=issuer, serial=f"{self._row.code}{self._serial:09}", version=1
        )

    def _issue_as(self, identifier: str) -> IssueCertificate:
        return IssueCertificate(
            identifier=identifier,
            holder=Digest(self._rng.randbytes(32)),
            content=Digest(self._rng.randbytes(32)),
            valid_from=_VALID_FROM,
            replaces=None,
        )

    def _publish_responsibility(self, row: ResponsibilityRow) -> PublishResponsibility:
        return PublishResponsibility(
            id=row.id,
            revision=self._next_revision(row.id),
            office="",
            name_zh=row.name_zh,
            name_en=row.name_en,
            legal_basis="",
        )

    def _publish_data_item(self, row: DataItemRow) -> PublishDataItem:
        return PublishDataItem(
            id=row.id,
            revision=self._next_revision(row.id),
            responsibilities=(row.responsibility,),
            metadata=DataItemMetadata(
                name_zh=row.name_zh,
                name_en=row.name_en,
                classification="department",
                class_code="",
                abstract=row.name_zh,
                format="database",
                information_items=tuple(
                    InformationItem(name=name, type="C", length=length) for name, length in _INFORMATION_ITEMS
                ),
                sharing=Sharing(type=row.sharing_type, condition=row.condition, mode=row.mode),
                openness=Openness(open=row.sharing_type == 1, condition=""),
                update_cycle=row.update_cycle,
                related=(),
            ),
        )

    def _publish_table(self, row: DataItemRow) -> PublishTable:
        name = f"{row.id}-T1"
        columns = tuple(
            Column(name=f"COLUMN_{number}", type="VARCHAR", length=length, information_item=item)
            for number, (item, length) in enumerate(_INFORMATION_ITEMS, start=1)
        )
        return PublishTable(
            id=name,
            revision=self._next_revision(name),
            data_item=row.id,
            system=None,
            name=f"T_{row.id.replace('-', '_')}",
            columns=columns,
            schema=schema_hash(columns),
        )


_INFORMATION_ITEMS = (("统一社会信用代码", 18), ("名称", 200), ("状态", 20), ("登记日期", 10))


def _plain_type(row: DepartmentRow, responsibility: ResponsibilityRow) -> CertificateTypeRow:
    return CertificateTypeRow(
        code=f"{row.uscc}901",
        department=row.code,
        responsibility=responsibility.id,
        name_zh="证明文件",
        name_en="Certificate",
        holder="organ",
        term="P5Y",
        handling_working_days=5,
        weight=1,
        source="assumption",
    )


def _plain_item(responsibility: ResponsibilityRow) -> DataItemRow:
    return DataItemRow(
        id=f"{responsibility.id}-D1",
        responsibility=responsibility.id,
        name_zh=responsibility.name_zh,
        name_en=responsibility.name_en,
        sharing_type=1,
        condition="",
        mode="database",
        update_cycle="monthly",
    )


def _key(secret: bytes, *names: str) -> SigningKey:
    return SigningKey.from_seed(sha256(secret + "/".join(names).encode()))


def _turn_last(text: str) -> str:
    """Return `text` with another last character."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _with_wrong_credit_code(parts: IdentifierParts) -> str:
    """Return an identifier that is right but for the issuer's own check character."""
    issuer, version = _turn_last(parts.issuer), f"{parts.version:03}"
    check = mod_37_36(parts.type_code + issuer + parts.serial + version)
    return f"{ROOT}.{parts.type_code}.{issuer}.{parts.serial}.{version}.{check}"
