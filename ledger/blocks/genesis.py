"""The genesis: who founds a network, with which keys, calendar and parameters. Its hash names the network."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ledger.crypto.hashing import Tag, tagged_hash
from ledger.encoding import Canonical, Digest32, Key32, ShortText, Signature64, UInt63
from ledger.identifiers import ChainId
from ledger.limits import VALIDATORS_MAX


class ProvenKey(Canonical, tag="key", kw_only=True):
    """A public key with the proof that its owner holds the private half."""

    public: Key32
    possession: Signature64
    """Signature over `possession_bytes(...)`."""


class ValidatorKeys(Canonical, tag="validator-keys", kw_only=True):
    """The three Ed25519 keys and the transport identity of a department's node; the keys are distinct."""

    consensus: ProvenKey
    cosigner: ProvenKey
    """Cosigns checkpoints (vkey type 0x04)."""
    log: ProvenKey
    """Adds the log's own line to a checkpoint it serves (vkey type 0x01)."""
    tls: Digest32
    """SHA-256 of the SubjectPublicKeyInfo of the node's transport certificate."""


class Founder(Canonical, tag="founder", kw_only=True):
    """A member of the network from its first block."""

    credit_code: Annotated[str, Meta(min_length=18, max_length=18)]
    code: Annotated[str, Meta(min_length=1, max_length=8)]
    """Short code by which people call the department, for example `AY`."""
    name_zh: ShortText
    name_en: ShortText
    name_before: ShortText
    """Name before the last reorganisation, empty if it is unchanged."""
    roles: tuple[str, ...]
    """Of `department`, `registrar`, `directory_authority`, `auditor`, `provider`; sorted."""
    envelope_key: ProvenKey
    """Becomes the department's envelope key number 1."""
    validator: ValidatorKeys | None
    """None for a member without a node and without a vote."""


class CalendarDay(Canonical, tag="day", kw_only=True):
    """A date that differs from Monday-to-Friday."""

    date: Annotated[str, Meta(min_length=10, max_length=10)]
    """ISO 8601, for example `2025-10-01`."""
    working: bool


class Parameters(Canonical, tag="parameters", kw_only=True):
    """What all validators must agree on, because it enters blocks or their timing."""

    engine: str
    """`jolteon`, `raft` or `solo`."""
    base_timeout_ms: UInt63
    block_interval_ms: UInt63
    idle_ms: UInt63
    """After this long without work a leader proposes an empty block, so that time-driven rules run."""
    block_payload_bytes: UInt63
    utc_offset_hours: Annotated[int, Meta(ge=-12, le=14)]
    """A working day is a calendar date at this offset."""


class Genesis(Canonical, tag="genesis", kw_only=True):
    """Everything a network starts from."""

    size_max: ClassVar[int] = 4 << 20

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    """First part of the log's origin, for example `mulu.beijing.example`."""
    created_ms: UInt63
    parameters: Parameters
    calendar: tuple[CalendarDay, ...]
    """Ascending by date."""
    founders: Annotated[tuple[Founder, ...], Meta(min_length=1, max_length=4 * VALIDATORS_MAX)]
    """Ascending by credit code."""

    @property
    def chain(self) -> ChainId:
        """The chain id, 32 bytes."""
        return ChainId(tagged_hash(Tag.GENESIS, self.encode()))

    @property
    def origin(self) -> str:
        """The log's origin line: the name and 16 hex digits of the chain id."""
        return f"{self.name}/{self.chain.hex()[:16]}"


def possession_bytes(network: str, credit_code: str, purpose: str, public: bytes) -> bytes:
    """Return the 32 bytes that a new key signs to prove possession.

    Args:
        network: The genesis name; the chain id does not exist yet when founders' keys are proven.
        purpose: `envelope/<key id>`, `consensus`, `cosigner` or `log`.
        public: The key that is being proven.
    """
    parts = (network, credit_code, purpose, public.hex())
    return tagged_hash(Tag.POSSESSION, "\n".join(parts).encode())
