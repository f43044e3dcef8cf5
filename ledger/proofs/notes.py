"""A checkpoint as text: three lines that say what the log is, then the lines of those who signed them.

    mulu.beijing.example/0123456789abcdef
    1042
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — mulu.beijing.example/0123456789abcdef Az3grl...
    — mulu.beijing.example/0123456789abcdef/11110000A00000345W jWbPPw...

Parsing gives what stands there and trusts none of it: whose lines they are, whether they verify and whether they are
enough is decided against a policy (`ledger.proofs.verify`).

Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ledger.blocks.checkpoint import (
    QuorumCheckpoint,
    checkpoint_text,
    cosignature_line,
    decode_base64,
    log_line,
)
from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import Digest
from ledger.limits import VALIDATORS_MAX
from ledger.members.validators import ValidatorSet
from ledger.proofs.view import LedgerView

NOTE_BYTES_MAX = 131_072
"""A log line and the cosignatures of 500 validators, at about 200 bytes a line."""

SIGNATURE_LINES_MAX = VALIDATORS_MAX + 1
"""One of the log, and one of each validator."""

_ORIGIN = re.compile(r"[^\s+]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME_LENGTH_MAX = 300
_CONTROLS = bytes(set(range(0x20)) - {ord("\n")})


class SignatureLine(NamedTuple):
    """One signature line: a claim that the key with this name and hash signed."""

    name: str
    key_hash: bytes
    """4 bytes. With the name it picks a key among those the reader knows; it proves nothing."""
    signature: bytes
    """64 bytes by a log's key (type 0x01); 8 bytes of time and 64 of signature by a cosigner's (type 0x04)."""

    def text(self) -> str:
        """Return the line without its end."""
        return f"— {self.name} {base64.b64encode(self.key_hash + self.signature).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """What a checkpoint note says, and who claims to have signed it."""

    origin: str
    size: int
    """Number of the log's entries."""
    root: Digest
    lines: tuple[SignatureLine, ...]

    @property
    def body(self) -> str:
        """The signed text: three lines, each with its end."""
        return checkpoint_text(self.origin, self.size, self.root)

    def text(self) -> str:
        """Return the note; `parse_note` of it gives this value again."""
        return self.body + "\n" + "".join(f"{line.text()}\n" for line in self.lines)


def parse_note(text: str) -> SignedCheckpoint:
    """Read a signed checkpoint without extension lines.

    Raises:
        OversizeError: Longer than any note of this ledger. Nothing was parsed.
        DecodeError: Not a checkpoint note, or another spelling of one.
    """
    if len(text) > NOTE_BYTES_MAX:
        raise OversizeError("checkpoint note", size=len(text), size_max=NOTE_BYTES_MAX)
    data = text.encode("utf-8", "surrogatepass")
    # Deleting finds them ten times faster than a pattern does, and a note of many departments is long.
    if len(data.translate(None, _CONTROLS)) != len(data):
        raise DecodeError("checkpoint note holds a control character")
    body, blank, signatures = text.partition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise DecodeError("a checkpoint note is three lines, an empty line, and signature lines that each end in LF")
    match body.split("\n"):
        case [origin, size, root]:
            pass
        case other:
            raise DecodeError(f"a checkpoint has 3 lines (origin, size, root), this one {len(other)}")
    if not _ORIGIN.fullmatch(origin):
        raise DecodeError(f"not an origin: {origin[:100]!r}")
    if not _SIZE.fullmatch(size):
        raise DecodeError(f"not a log size: {size[:40]!r}")
    if len(root_bytes := decode_base64(root)) != 32:
        raise DecodeError(f"the root has {len(root_bytes)} bytes, not 32")
    lines = tuple(_parse_lines(signatures))
    return SignedCheckpoint(origin=origin, size=int(size), root=Digest(root_bytes), lines=lines)


def note_of(
    validators: ValidatorSet,
    checkpoint: QuorumCheckpoint,
    *,
    log_public: bytes,
    log_signature: bytes,
    cosignatures_max: int | None = None,
) -> str:
    """Return a checkpoint as a note: the log's line by the node that serves it, then cosignatures by validator index.

    Args:
        log_public, log_signature: 32-byte log key of the serving node and its signature over the checkpoint's text.
        cosignatures_max: Take only the first so many, because some readers want a quorum and no surplus; None for all.

    Nothing is verified here.
    """
    own = log_line(validators.origin, log_public, log_signature)
    return _note(validators, checkpoint, (own, *_cosignature_lines(validators, checkpoint, cosignatures_max)))


def note_without_log(validators: ValidatorSet, checkpoint: QuorumCheckpoint) -> str:
    """Return the note of a node that has no log key: the cosignatures alone."""
    return _note(validators, checkpoint, _cosignature_lines(validators, checkpoint, None))


def _note(validators: ValidatorSet, checkpoint: QuorumCheckpoint, lines: Iterable[str]) -> str:
    text = checkpoint_text(validators.origin, checkpoint.size, checkpoint.root)
    return text + "\n" + "".join(f"{line}\n" for line in lines)


def _cosignature_lines(validators: ValidatorSet, checkpoint: QuorumCheckpoint, count_max: int | None) -> Iterator[str]:
    for c in checkpoint.cosignatures[:count_max]:
        name, public = validators.cosigner_name(c.validator), validators.validators[c.validator].cosigner
        yield cosignature_line(name, public, c.time_s, c.signature)


def note_for(view: LedgerView) -> str:
    """Return the view's checkpoint as a note with exactly a quorum of cosignatures, as readers of bundles want it."""
    public, signature = view.log_signature
    return note_of(
        view.validators,
        view.checkpoint,
        log_public=public,
        log_signature=signature,
        cosignatures_max=view.validators.quorum,
    )


def _parse_lines(signatures: str) -> Iterator[SignatureLine]:
    if (count := signatures.count("\n")) > SIGNATURE_LINES_MAX:
        raise DecodeError(f"{count} signature lines; at most {SIGNATURE_LINES_MAX} are allowed")
    # All lines are most of a bundle: cut at white space, they must be the same when put together again, which takes a
    # third of the time of a pattern.
    words = signatures.split()
    names, encoded = words[1::3], words[2::3]
    if "".join([f"— {name} {blob}\n" for name, blob in zip(names, encoded, strict=False)]) != signatures:
        raise DecodeError("a signature line is not of the form `— NAME SIGNATURE`")
    for name, text in zip(names, encoded, strict=True):
        if "+" in name or len(name) > _NAME_LENGTH_MAX:
            raise DecodeError(f"not the name of a key: {name[:100]!r}")
        blob = decode_base64(text)
        if len(blob) <= 4:
            raise DecodeError(f"the signature line of {name} holds no signature")
        yield SignatureLine(name, blob[:4], blob[4:])
