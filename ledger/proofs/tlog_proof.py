"""A C2SP tlog-proof: that an entry is in the log, in a text that other people's programs check against a policy.

    c2sp.org/tlog-proof@v1
    extra lK1yZWNvcmQtcHJvb2YB...
    index 41
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
    B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

    mulu.beijing.example/5a0e...
    1042
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — mulu.beijing.example/5a0e... Az3grl...
    — mulu.beijing.example/5a0e.../11110000A00000345W jWbPPw...

A foreign program is given the entry beside the proof; it hashes the entry, climbs to the checkpoint's root, and asks
its policy about the signatures. What `extra` holds is for this project's own verifiers, and nobody has signed it: the
entry itself, and if the proof is of one record, that record and its path to the records root in the entry's header. All
of it is checked against the entry's place in the log before anything is believed.

Source: C2SP tlog-proof.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from ledger.blocks.checkpoint import decode_base64
from ledger.blocks.envelope import Envelope
from ledger.blocks.log import EnvelopeEntry, LogEntry
from ledger.blocks.record import record_leaf
from ledger.crypto.merkle import inclusion_path
from ledger.encoding import Canonical, Digest32, UInt63, decode_any
from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import Digest
from ledger.limits import RECORD_BYTES_MAX, RECORDS_PER_ENVELOPE_MAX
from ledger.proofs.notes import NOTE_BYTES_MAX, SignedCheckpoint, parse_note
from ledger.proofs.view import LedgerView

HEADER = "c2sp.org/tlog-proof@v1"

PATH_MAX = 63
"""Hashes from a leaf to the root of a tree of fewer than 2^63 leaves."""

EXTRA_BYTES_MAX = EnvelopeEntry.size_max + RECORD_BYTES_MAX + 1_024
"""An entry, a record, a path of 8 hashes and what wraps them."""

PROOF_BYTES_MAX = 2 * EXTRA_BYTES_MAX + 64 * PATH_MAX + NOTE_BYTES_MAX

_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


class ProvenRecord(Canonical, tag="proven-record", kw_only=True):
    """One record of an envelope, and its path to the records root in the envelope's header."""

    size_max: ClassVar[int] = EXTRA_BYTES_MAX

    record: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]
    """Canonical bytes."""
    position: Annotated[int, Meta(ge=0, lt=RECORDS_PER_ENVELOPE_MAX)]
    """Zero-based, among the records of the envelope."""
    path: Annotated[tuple[Digest32, ...], Meta(max_length=8)]
    """Siblings in the envelope's tree of at most 256 records, from the leaf upwards."""


class ProofExtra(Canonical, tag="proof-extra", kw_only=True):
    """What this project puts into `extra`."""

    size_max: ClassVar[int] = EXTRA_BYTES_MAX

    entry: Annotated[bytes, Meta(max_length=EnvelopeEntry.size_max)]
    """Canonical bytes of an `EnvelopeEntry` or a `BlockRecord`."""
    record: ProvenRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof as it stands in its text. Nothing about it has been checked."""

    extra: bytes | None
    """What it means is the application's affair; None if the line is not there."""
    index: UInt63
    """Zero-based position of the entry in the log."""
    path: tuple[Digest, ...]
    """Siblings in the log's tree, from the leaf upwards."""
    checkpoint: SignedCheckpoint

    def text(self) -> str:
        """Return the proof; `parse_tlog_proof` of it gives this value again."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {_base64(self.extra)}")
        lines += [f"index {self.index}", *map(_base64, self.path)]
        return "\n".join(lines) + "\n\n" + self.checkpoint.text()


def parse_tlog_proof(text: str) -> TlogProof:
    """Read a proof.

    Raises:
        OversizeError: Longer than any proof of this ledger. Nothing was parsed.
        DecodeError: Not a proof, or another spelling of one.
    """
    if len(text) > PROOF_BYTES_MAX:
        raise OversizeError("proof", size=len(text), size_max=PROOF_BYTES_MAX)
    head, blank, note = text.partition("\n\n")
    if not blank:
        raise DecodeError("a proof has an empty line before its checkpoint")
    first, *lines = head.split("\n")
    if first != HEADER:
        raise DecodeError(f"the first line must be `{HEADER}`, not {first[:60]!r}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if len(extra) > EXTRA_BYTES_MAX:
            raise OversizeError("extra of the proof", size=len(extra), size_max=EXTRA_BYTES_MAX)
    index = lines.pop(0).removeprefix("index ") if lines and lines[0].startswith("index ") else ""
    if not _INDEX.fullmatch(index):
        raise DecodeError(f"a proof has a line `index N` before its hashes, this one {index[:40]!r}")
    if len(lines) > PATH_MAX:
        raise DecodeError(f"{len(lines)} hashes lead to no root; at most {PATH_MAX} can")
    path = []
    for line in lines:
        if len(sibling := decode_base64(line)) != 32:
            raise DecodeError(f"a hash of the path has {len(sibling)} bytes, not 32")
        path.append(Digest(sibling))
    return TlogProof(extra=extra, index=int(index), path=tuple(path), checkpoint=parse_note(note))


def prove_entry(view: LedgerView, index: int, note: str, *, position: int | None = None) -> TlogProof:
    """Return the proof that entry `index` is in the log of the view's checkpoint.

    Args:
        note: That checkpoint, signed.
        position: Of the one record that the proof is about; None to prove the entry alone.

    Raises:
        ValueError: The log has no such entry, or the entry no such record.
    """
    if not 0 <= index < view.checkpoint.size:
        raise ValueError(f"the checkpoint has {view.checkpoint.size} entries, and none with index {index}")
    entry = view.entry(index)
    record = None
    if position is not None:
        if not isinstance(decode_any(LogEntry, entry), EnvelopeEntry):
            raise ValueError(f"log entry {index} is that of a block, and none of an envelope with records")
        record = _prove_record(view.envelope(index), position)
    extra = ProofExtra(entry=entry, record=record)
    return TlogProof(
        extra=extra.encode(), index=index, path=tuple(view.inclusion_path(index)), checkpoint=parse_note(note)
    )


def _prove_record(envelope: Envelope, position: int) -> ProvenRecord:
    records: Sequence[bytes] = envelope.records
    if not 0 <= position < len(records):
        raise ValueError(f"the envelope has {len(records)} records, and none at {position}")
    path = inclusion_path([record_leaf(record) for record in records], position)
    return ProvenRecord(record=records[position], position=position, path=path)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
