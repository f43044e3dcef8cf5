"""An envelope: one department's signed message with one or more records under one signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta

from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.merkle import root_of_tagged
from ledger.crypto.signatures import SIGNATURE_SIZE, Signer
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import Canonical, Digest32, Signature64, UInt63
from ledger.errors import InvalidInputError
from ledger.identifiers import ChainId, CreditCode, Digest, EnvelopeId, Height, KeyId
from ledger.limits import ENVELOPE_BYTES_MAX, RECORD_BYTES_MAX, RECORDS_PER_ENVELOPE_MAX


class RecordsMismatchError(InvalidInputError):
    """The records of an envelope are not those its signed header commits to."""

    code = "records_mismatch"


class EnvelopeHeader(Canonical, tag="envelope", kw_only=True):
    """What a department signs: who speaks, in which order, and the root of what it says."""

    size_max: ClassVar[int] = 512

    chain: Digest32
    department: Annotated[str, Meta(min_length=18, max_length=18)]
    """Credit code, looked up in the members as of the parent block; a key is never carried."""
    key_id: Annotated[int, Meta(ge=1, lt=1 << 31)]
    sequence: UInt63
    """Within the key's window (`ledger.registers.members`), so that no envelope can be replayed."""
    valid_until: UInt63
    """Last height at which the envelope may be executed."""
    records_root: Digest32
    """RFC 9162 root over the records' encodings."""
    record_count: Annotated[int, Meta(ge=1, le=RECORDS_PER_ENVELOPE_MAX)]

    @property
    def id(self) -> EnvelopeId:
        """The envelope's id, 32 bytes; also exactly what is signed."""
        return EnvelopeId(tagged_hash(Tag.ENVELOPE, self.encode()))


class Envelope(Canonical, tag="signed", kw_only=True):
    """A header, its signature, and the records that the header commits to."""

    size_max: ClassVar[int] = ENVELOPE_BYTES_MAX

    header: EnvelopeHeader
    suite: int
    """1 = Ed25519 with SHA-256; 2 is kept for SM2 with SM3."""
    signature: Signature64
    records: Annotated[
        tuple[Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)], ...],
        Meta(min_length=1, max_length=RECORDS_PER_ENVELOPE_MAX),
    ]
    """Encodings of the records, opaque here: whether each is a statement the registers know is decided on execution."""

    def check_records(self) -> None:
        """Check that the header commits to exactly these records. The signature is not checked here.

        Raises:
            RecordsMismatchError: Another count or another root than the header states, or an unknown suite.
        """
        if self.suite != ED25519_SHA256:
            raise RecordsMismatchError(f"signature suite {self.suite} is unknown; 1 (Ed25519/SHA-256) is the only one")
        if len(self.records) != self.header.record_count:
            raise RecordsMismatchError(
                f"the header states {self.header.record_count} records, the envelope carries {len(self.records)}"
            )
        root = records_root(self.records)
        if root != self.header.records_root:
            raise RecordsMismatchError(
                f"the header states records root {self.header.records_root.hex()}, the records give {root.hex()}"
            )


_BEFORE_HEADER = len(b"\x96\xa6" + b"signed" + b"\x01")
"""An array of six, the tag and the version."""

SUITE_AND_SIGNATURE_SIZE = len(b"\x01" + b"\xc4\x40") + SIGNATURE_SIZE


def signed_part(raw: bytes, header_size: int) -> bytes:
    """Return header, suite and signature as they stand in an envelope: what the log's entry repeats of it.

    Args:
        raw: The canonical bytes of an envelope whose suite is known.
        header_size: Bytes of its header's canonical form.
    """
    return raw[_BEFORE_HEADER : _BEFORE_HEADER + header_size + SUITE_AND_SIGNATURE_SIZE]


def records_root(records: Sequence[bytes]) -> Digest:
    """Return the RFC 9162 root over the encodings of an envelope's records."""
    return root_of_tagged(Tag.RECORD, records)


def seal(
    records: Sequence[bytes],
    *,
    chain: ChainId,
    department: CreditCode,
    key_id: KeyId,
    sequence: int,
    valid_until: Height,
    signer: Signer,
) -> Envelope:
    """Return `records` under one signature of `department`.

    Args:
        records: 1 to 256 encoded records.
        sequence: A number not used before with this key.
        signer: Holds the private half of the key that `key_id` names; nothing here checks that it does.
    """
    header = EnvelopeHeader(
        chain=Digest(chain),
        department=department,
        key_id=key_id,
        sequence=sequence,
        valid_until=valid_until,
        records_root=records_root(records),
        record_count=len(records),
    )
    return Envelope(header=header, suite=ED25519_SHA256, signature=signer.sign(header.id), records=tuple(records))
