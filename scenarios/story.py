"""What a scenario is made of: phases of submissions, the same for live processes and for the virtual cluster.

A story says who states what, through whose gateway, when, and how it must end. A driver seals the records into
envelopes, sends them, and notes what came back; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ledger.blocks.envelope import Envelope, EnvelopeHeader, seal
from ledger.blocks.record import Record
from ledger.crypto.signatures import Signer
from ledger.identifiers import ChainId, CreditCode, Height, KeyId
from ledger.proofs.bundle import Opening
from ledger.registers.sharing.records import RequestSharing

ACCEPTED = "accepted"

VALID_FOR_BLOCKS = 2_000
"""A submission is executed within a few blocks; the rest is room for a gateway that was down for a while."""


class Fault(Enum):
    """What is wrong with an envelope on purpose; a gateway must refuse it with the code that is the value."""

    REPLAY = "replayed_envelope"
    WRONG_CHAIN = "wrong_chain"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired_envelope"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One envelope of a story."""

    department: str
    """Short code of the department that signs."""
    through: str
    """Short code of the department whose gateway takes it; its own, unless it has no node."""
    records: tuple[Record, ...]
    expected: tuple[str, ...]
    """For each record `accepted` or the code of its refusal."""
    fault: Fault | None = None
    at_ms: int = 0
    """When it is sent, from the start of its phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Submissions that do not build on each other. The next phase begins when all of them have their receipts."""

    name: str
    """What people read in the progress, for example `publish responsibilities`."""
    submissions: tuple[Submission, ...]
    starts_ms: int = 0
    """Unix time before which it does not begin; 0 if it need not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """What the issuer keeps of a certificate beside the ledger."""

    identifier: str
    type_code: str
    opening: Opening
    """All of its content, and its holder."""
    valid_at_end: bool
    """Whether the story leaves it valid: neither suspended, revoked nor replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFetch:
    """Data that one department's node fetches from another's, under a grant that its request gets at once."""

    requester: str
    provider: str
    """Short codes of departments with nodes."""
    request: RequestSharing
    """But for the recipient key, which is that of the requester's node."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A department's node loses power and comes back."""

    department: str
    """Short code."""
    from_ms: int
    until_ms: int
    """Unix times."""


class Story(Protocol):
    """A scenario's whole plot, decided by its seed."""

    planted_expected: Mapping[str, int]
    """How many wrong records or envelopes of each code the phases hold."""
    issued: Mapping[str, IssuedCertificate]
    """By identifier; complete once `phases` is exhausted."""
    outages: Sequence[Outage]
    """Nodes that go down on the way; a live driver has none."""
    ends_ms: int | None
    """Unix time until which the network runs on, so that what is due then becomes due; None for the last receipt."""

    def phases(self) -> Iterator[Phase]:
        """Yield the phases in order."""


@dataclass(slots=True)
class Sealer:
    """Seals the records of one department with its envelope key number 1, each envelope under the next sequence."""

    chain: ChainId
    department: CreditCode
    signer: Signer
    sequence: int = 0
    acknowledged: bytes = field(default=b"", repr=False)
    """The last envelope with a receipt; the driver sets it. A replay sends it again."""

    def seal(self, submission: Submission, height: Height) -> bytes:
        """Return the envelope's bytes for a submission sent when the ledger stands at `height`; faults included.

        Raises:
            ValueError: A replay before anything was acknowledged.
        """
        if submission.fault is Fault.REPLAY:
            if not self.acknowledged:
                raise ValueError(f"{self.department} has no acknowledged envelope that could be replayed")
            return self.acknowledged
        self.sequence += 1
        chain = self.chain
        valid_until = Height(height + VALID_FOR_BLOCKS)
        match submission.fault:
            case Fault.WRONG_CHAIN:
                chain = ChainId(bytes(byte ^ 0xFF for byte in chain))
            case Fault.EXPIRED:
                # A height that every gateway has passed: nothing is executed at or below genesis.
                valid_until = Height(0)
        envelope = seal(
            [record.encode() for record in submission.records],
            chain=chain,
            department=self.department,
            key_id=KeyId(1),
            sequence=self.sequence,
            valid_until=valid_until,
            signer=self.signer,
        )
        if submission.fault is Fault.BAD_SIGNATURE:
            envelope = _with_bad_signature(envelope)
        if submission.fault is not None:
            # The number was not used up by an envelope that no gateway takes.
            self.sequence -= 1
        return envelope.encode()


def _with_bad_signature(envelope: Envelope) -> Envelope:
    header: EnvelopeHeader = envelope.header
    signature = bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:]
    return Envelope(header=header, suite=envelope.suite, signature=signature, records=envelope.records)
