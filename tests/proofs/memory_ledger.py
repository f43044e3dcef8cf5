"""A ledger in memory with real execution, and the view that bundles are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ledger.blocks.block import BlockHeader
from ledger.blocks.checkpoint import QuorumCheckpoint, checkpoint_text
from ledger.blocks.envelope import Envelope, seal
from ledger.blocks.genesis import Genesis
from ledger.blocks.log import BlockRecord
from ledger.blocks.record import Record
from ledger.crypto.commitments import Field, commit, content_root
from ledger.crypto.hashing import Tag, sha256
from ledger.crypto.merkle import LogTree, leaf_hash
from ledger.crypto.signatures import verify_batch
from ledger.crypto.sparse_tree import StateProof
from ledger.identifiers import BlockId, CertificateIdentifier, Digest, Height, KeyId
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import HolderOpening
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import DefineType, IssueCertificate
from ledger.registers.directories.records import ApproveResponsibility, PublishResponsibility
from ledger.state.prepared import PreparedBlock
from ledger.state.store import State
from ledger.state.transition import Execution, execute_block
from ledger.validation.envelopes import prepare_block
from tests.headers import uncertified_header
from tests.proofs.small_network import (
    MARKET_REGULATION,
    PUBLIC_SECURITY,
    REGISTRAR,
    Member,
    cosign,
    found,
    key,
)

BLOCK_MS = 60_000
"""Time from one block to the next."""

TYPE_CODE = "11100000C00000016E001"
IDENTIFIER = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915001", 1))
FIELDS = tuple(
    Field(name=name, value=value, salt=sha256(b"salt of " + name.encode()))
    for name, value in (("企业名称", "虚构商贸有限公司"), ("经营范围", "图书零售"), ("住所", "虚构路一号"))
)
RESPONSIBILITY = PublishResponsibility(
    id="AY-01", revision=1, office="登记处", name_zh="市场主体登记", name_en="Register businesses", legal_basis=""
)
APPROVAL = ApproveResponsibility(id="AY-01", revision=1)
OTHER_RESPONSIBILITY = PublishResponsibility(
    id="AF-01", revision=1, office="", name_zh="居民身份", name_en="Identify residents", legal_basis=""
)
TYPE = DefineType(
    code=TYPE_CODE,
    responsibility="AY-01",
    name_zh="营业执照",
    name_en="Business licence",
    holder="organ",
    term="P1Y",
    handling_working_days=3,
)
HOLDER = HolderOpening(holder="虚构商贸有限公司", key=sha256(b"key of the holder"))


@dataclass
class MemoryView:
    """The ledger as of one height; see `ledger.proofs.view.LedgerView`."""

    ledger: MemoryLedger
    checkpoint: QuorumCheckpoint
    tree_values: dict[bytes, bytes]

    @property
    def validators(self) -> ValidatorSet:
        return ValidatorSet.of_genesis(self.ledger.genesis)

    @property
    def log_signature(self) -> tuple[bytes, bytes]:
        signer = key(self.ledger.genesis.name, "BM", "log")
        text = checkpoint_text(self.ledger.genesis.origin, self.checkpoint.size, self.checkpoint.root)
        return signer.public, signer.sign(text.encode())

    def value_bytes(self, key: bytes) -> bytes | None:
        return self.tree_values.get(key)

    def prove(self, key: bytes) -> StateProof:
        return self.ledger.state.prove(key)

    def entry(self, index: int) -> bytes:
        return self.ledger.entries[index]

    def inclusion_path(self, index: int) -> Sequence[Digest]:
        return self.ledger.log.inclusion_path(index, self.checkpoint.size)

    def envelope(self, index: int) -> Envelope:
        return self.ledger.envelopes[index]

    def history(self, key: bytes) -> Sequence[tuple[int, int]]:
        return self.ledger.touched.get(key, ())


class MemoryLedger:
    """Executes blocks one after the other and keeps everything."""

    def __init__(self, genesis: Genesis | None = None) -> None:
        self.genesis = genesis or found()
        self.state = State.of_genesis(self.genesis)
        self.parent = BlockId(self.genesis.chain)
        self.entries: list[bytes] = []
        self.log = LogTree()
        self.envelopes: dict[int, Envelope] = {}
        self.touched: dict[bytes, list[tuple[int, int]]] = {}
        self.results: list[bytes] = []
        self._sequence = 0
        self._append(
            BlockRecord(
                height=0,
                block=Digest(self.genesis.chain),
                parent=Digest(bytes(32)),
                time_ms=self.genesis.created_ms,
                state_root=self.state.root,
                validators_hash=self.state.validators.hash,
                deadlines=(),
            ).encode()
        )

    def sign(self, member: Member, *records: Record) -> Envelope:
        """Return the records under one signature of the member's first key."""
        self._sequence += 1
        return seal(
            [record.encode() for record in records],
            chain=self.genesis.chain,
            department=member.credit_code,
            key_id=KeyId(1),
            sequence=self._sequence,
            valid_until=Height(1_000),
            signer=key(self.genesis.name, member.code, "envelope/1"),
        )

    def execute(self, *envelopes: Envelope, time_ms: int | None = None) -> None:
        """Execute one block with these envelopes."""
        payload = tuple(envelope.encode() for envelope in envelopes)
        self.put_block(self.next_header(payload, time_ms), payload)

    def next_header(self, payload: Sequence[bytes], time_ms: int | None) -> BlockHeader:
        """Return the header of the next block over these envelopes, at its usual time unless one is given."""
        return uncertified_header(
            self.genesis.chain,
            payload,
            parent=self.parent,
            height=self.state.height + 1,
            time_ms=self.state.time_ms + BLOCK_MS if time_ms is None else time_ms,
        )

    def put_block(self, header: BlockHeader, payload: Sequence[bytes]) -> tuple[PreparedBlock, Execution]:
        """Execute a block and keep all of it; return what was executed and what came of it."""
        block = prepare_block(header.id, header, payload)
        execution = execute_block(self.state, block, verify_batch)
        for number, prepared in enumerate(block.envelopes):
            index = len(self.entries) + number
            self.envelopes[index] = prepared.envelope
            for position, keys in enumerate(execution.touched[number]):
                for touched in keys:
                    self.touched.setdefault(touched, []).append((index, position))
        for entry in execution.entries:
            self._append(entry)
        self.results += execution.results
        self.state.advance(execution)
        self.parent = header.id
        return block, execution

    def view(self) -> MemoryView:
        """Return the ledger as it stands, with a checkpoint cosigned by all."""
        checkpoint = cosign(
            self.genesis,
            self.log.size,
            self.log.root(),
            height=int(self.state.height),
            time_ms=self.state.time_ms,
        )
        values = {key: value.encode() for key, value in self.state.values.items()}
        return MemoryView(self, checkpoint, values)

    def blocks(self) -> list[list[Envelope]]:
        """Return the envelopes of each block: those between two block records."""
        blocks: list[list[Envelope]] = []
        current: list[Envelope] = []
        for index in range(1, len(self.entries)):
            if index in self.envelopes:
                current.append(self.envelopes[index])
            else:
                blocks.append(current)
                current = []
        return blocks

    def _append(self, entry: bytes) -> None:
        self.entries.append(entry)
        self.log.append(leaf_hash(entry))


def issue(identifier: str = IDENTIFIER, *, replaces: CertificateIdentifier | None = None) -> IssueCertificate:
    """Return the issue of the test certificate."""
    return IssueCertificate(
        identifier=identifier,
        holder=commit(Tag.HOLDER, HOLDER.key, HOLDER.holder.encode()),
        content=content_root(FIELDS),
        valid_from="2025-09-15",
        replaces=replaces,
    )


def ledger_with_certificate(genesis: Genesis | None = None, *, term: str = "P1Y") -> MemoryLedger:
    """Return a ledger on which Market Regulation issued one certificate, beside envelopes of others."""
    return issue_certificate(MemoryLedger(genesis), term=term)


def issue_certificate(ledger: MemoryLedger, *, term: str = "P1Y") -> MemoryLedger:
    """Let Market Regulation publish what it needs and issue one certificate; return the ledger."""
    ledger.execute(ledger.sign(MARKET_REGULATION, RESPONSIBILITY), ledger.sign(PUBLIC_SECURITY, OTHER_RESPONSIBILITY))
    ledger.execute(ledger.sign(REGISTRAR, APPROVAL))
    define = replace(TYPE, term=term)
    ledger.execute(ledger.sign(MARKET_REGULATION, define))
    ledger.execute(ledger.sign(MARKET_REGULATION, define, issue(), define))
    assert ledger.results[-1][1] == 0
    return ledger
