"""A ledger without consensus for the tests: five fictional departments, whose records are executed block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from ledger.blocks.envelope import Envelope, seal
from ledger.blocks.genesis import CalendarDay, Founder, Genesis, Parameters, ProvenKey, possession_bytes
from ledger.blocks.record import Record
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey, verify_batch
from ledger.encoding import decode
from ledger.identifiers import CreditCode, Digest, Height, KeyId
from ledger.members.founding import MemberProfile, NodeSigners, found_member, found_network
from ledger.registers import RULEBOOK
from ledger.registers.register import Rulebook
from ledger.state.prepared import PreparedBlock
from ledger.state.store import State
from ledger.state.transition import Execution, execute_block
from ledger.validation.envelopes import prepare_block
from tests.headers import uncertified_header

CREATED_MS = 1_757_894_400_000
"""2025-09-15T08:00:00+08:00, a Monday."""
DAY_MS = 86_400_000

HOUSING = CreditCode("11110000A00000134D")
MARKET = CreditCode("11110000A00000230N")
AUTHORITY = CreditCode("11110000A00000345W")
REGISTRAR = CreditCode("11110000B00000019G")
TAX = CreditCode("11110000B00000027B")
STRANGER = CreditCode("11110000A00000062L")
"""Right in itself, and no member."""

ROLES: Mapping[CreditCode, frozenset[str]] = {
    HOUSING: frozenset({"department"}),
    MARKET: frozenset({"department"}),
    AUTHORITY: frozenset({"department", "directory_authority"}),
    REGISTRAR: frozenset({"registrar"}),
    TAX: frozenset({"provider"}),
}
NETWORK = "mulu.test.example"


@cache
def key_of(*names: str) -> SigningKey:
    """Return the key pair that these names stand for, in tests alone."""
    return SigningKey.from_seed(sha256("/".join(names).encode()))


def proven(network: str, credit_code: str, purpose: str, key: SigningKey) -> ProvenKey:
    """Return the public key with its proof of possession."""
    message = possession_bytes(network, credit_code, purpose, key.public)
    return ProvenKey(public=key.public, possession=key.sign(message))


def _founder(credit_code: CreditCode) -> Founder:
    votes = credit_code in (HOUSING, MARKET, AUTHORITY)
    node = NodeSigners(
        consensus=key_of(credit_code, "consensus"),
        cosigner=key_of(credit_code, "cosigner"),
        log=key_of(credit_code, "log"),
    )
    profile = MemberProfile(
        credit_code=credit_code,
        code=credit_code[13:16],
        name_zh="部门",
        name_en="Department",
        name_before="",
        roles=ROLES[credit_code],
    )
    return found_member(
        profile,
        network=NETWORK,
        envelope=key_of(credit_code, "envelope/1"),
        node=node if votes else None,
        tls=sha256(credit_code.encode()) if votes else None,
    )


@cache
def small_genesis() -> Genesis:
    """Return the genesis; made once, because checking its keys takes a while."""
    return found_network(
        name=NETWORK,
        created_ms=CREATED_MS,
        parameters=Parameters(
            engine="solo",
            base_timeout_ms=1_000,
            block_interval_ms=200,
            idle_ms=5_000,
            block_payload_bytes=1 << 20,
            utc_offset_hours=8,
        ),
        calendar=[CalendarDay(date="2025-10-01", working=False)],
        founders=[_founder(credit_code) for credit_code in ROLES],
    )


def trusting(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Take every signature for good, where a test is about something else."""
    return [True] * len(items)


class SmallLedger:
    """A state and the means to put records on it.

    Args:
        rulebook: The registers of this ledger, or those of a test.
        sign: Whether envelopes are really signed and verified.
    """

    def __init__(self, *, rulebook: Rulebook = RULEBOOK, sign: bool = False) -> None:
        self.genesis = small_genesis()
        self.rulebook = rulebook
        self.state = State.of_genesis(self.genesis, rulebook=rulebook)
        self.blocks: list[PreparedBlock] = []
        self.executions: list[Execution] = []
        self.sign = sign
        self._sequences: dict[tuple[str, int], int] = {}
        self._head = Digest(self.genesis.chain)

    def envelope(
        self,
        department: CreditCode,
        *records: Record | bytes,
        key_id: int = 1,
        sequence: int | None = None,
        valid_until: int | None = None,
        key: SigningKey | None = None,
    ) -> bytes:
        """Return the bytes of an envelope of `records` by `department`, with the next sequence unless one is given."""
        if sequence is None:
            sequence = self._sequences[department, key_id] = self._sequences.get((department, key_id), 0) + 1
        signer = key or key_of(department, f"envelope/{key_id}")
        return seal(
            [record if isinstance(record, bytes) else record.encode() for record in records],
            chain=self.genesis.chain,
            department=department,
            key_id=KeyId(key_id),
            sequence=sequence,
            valid_until=Height(self.state.height + 100 if valid_until is None else valid_until),
            signer=signer if self.sign or key else _NoSigner(),
        ).encode()

    def prepare(self, envelopes: Sequence[bytes], *, time_ms: int | None = None) -> PreparedBlock:
        """Return the next block over `envelopes`, one second after the last unless a time is given."""
        header = uncertified_header(
            self.genesis.chain,
            envelopes,
            parent=self._head,
            height=self.state.height + 1,
            time_ms=self.state.time_ms + 1_000 if time_ms is None else time_ms,
        )
        return prepare_block(header.id, header, envelopes, rulebook=self.rulebook)

    def execute(self, *envelopes: bytes, time_ms: int | None = None) -> Execution:
        """Execute one block of these envelopes and advance the state."""
        block = self.prepare(envelopes, time_ms=time_ms)
        execution = execute_block(self.state, block, verify_batch if self.sign else trusting)
        self.state.advance(execution)
        self.blocks.append(block)
        self.executions.append(execution)
        self._head = Digest(block.id)
        return execution

    def put(self, department: CreditCode, *records: Record | bytes, time_ms: int | None = None) -> list[str]:
        """Execute one block with one envelope; return the label of each record's result, `accepted` among them."""
        execution = self.execute(self.envelope(department, *records), time_ms=time_ms)
        return labels(execution.results[0], self.rulebook)


class _NoSigner:
    """Leaves the signature empty."""

    public = bytes(32)

    def sign(self, message: bytes) -> bytes:
        return bytes(64)


def labels(results: bytes, rulebook: Rulebook = RULEBOOK) -> list[str]:
    """Return the results of an envelope in words."""
    return [rulebook.code_of(number).label if number else "accepted" for number in results]


def reopen(raw: bytes) -> Envelope:
    """Return the envelope that `raw` encodes."""
    return decode(Envelope, raw)
