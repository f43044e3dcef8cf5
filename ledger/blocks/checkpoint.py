"""Checkpoints: what the departments say together about the log, in the forms that other people's tools read.

A checkpoint is the pair (log size, log root) under an origin. Each validator cosigns it after executing the block whose
record is the log's last entry. Sources: C2SP tlog-checkpoint, signed-note and tlog-cosignature (cosignature/v1).
"""

from __future__ import annotations

import base64
import hashlib
import re
from binascii import a2b_base64, b2a_base64
from typing import Annotated, ClassVar

from msgspec import Meta

from ledger.encoding import Canonical, Digest32, Signature64, UInt63
from ledger.errors import DecodeError
from ledger.identifiers import Digest
from ledger.limits import VALIDATORS_MAX

NOTE_ED25519 = 0x01
"""Signed-note type of a log's own line: plain Ed25519 over the note text."""
NOTE_COSIGNATURE = 0x04
"""Signed-note type of a witness line: Ed25519 over the time and the note text."""


class Cosignature(Canonical, tag="cosignature", kw_only=True):
    """One validator's signature over a checkpoint and the time of signing."""

    validator: Annotated[int, Meta(ge=0, lt=VALIDATORS_MAX)]
    time_s: UInt63
    """Unix time in whole seconds at the signer. Says when it was signed, never when the log was so."""
    signature: Signature64


class QuorumCheckpoint(Canonical, tag="checkpoint", kw_only=True):
    """A log size and root with cosignatures by a quorum of the epoch's validators.

    Decoding checks the form alone; whether the cosignatures are by distinct validators, verify, and are enough is
    checked against a validator set (`ledger.members.validators`).
    """

    size_max: ClassVar[int] = 65_536

    epoch: UInt63
    height: UInt63
    """Height of the block whose record is the last of the `size` entries."""
    size: UInt63
    root: Digest32
    cosignatures: Annotated[tuple[Cosignature, ...], Meta(max_length=VALIDATORS_MAX)]
    """In ascending order of validator index."""


def checkpoint_text(origin: str, size: int, root: Digest) -> str:
    """Return the three lines that everybody signs: origin, size in decimal, root in base64.

    Source: C2SP tlog-checkpoint. No extension lines are used.
    """
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def cosigned_bytes(text: str, time_s: int) -> bytes:
    """Return the bytes that a cosigner signs. Source: C2SP tlog-cosignature, cosignature/v1."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def key_hash(name: str, kind: int, public: bytes) -> bytes:
    """Return the 4 bytes that name a key on a signature line: SHA-256(name ‖ LF ‖ kind ‖ public key), cut short."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def verifier_key(name: str, kind: int, public: bytes) -> str:
    """Return the verifier key (vkey) of a signed note: `name+hash+base64(kind ‖ public key)`."""
    return f"{name}+{key_hash(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


_VKEY = re.compile(r"(?P<name>[^\s+]+)\+(?P<hash>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+={0,2})")


def parse_verifier_key(text: str) -> tuple[str, int, bytes]:
    """Return `(name, kind, public)` of a vkey.

    Raises:
        DecodeError: Not a vkey, a hash that does not belong to the key, or a key that is not 32 bytes.
    """
    match = _VKEY.fullmatch(text)
    if match is None:
        raise DecodeError(f"not a verifier key: {text[:100]!r}")
    raw = decode_base64(match["key"])
    name, kind, public = match["name"], raw[0], raw[1:]
    if len(public) != 32:
        raise DecodeError(f"verifier key of {name} holds {len(public)} bytes, not 32")
    if key_hash(name, kind, public).hex() != match["hash"]:
        raise DecodeError(f"verifier key of {name}: the hash {match['hash']} is not that of the key")
    return name, kind, public


def log_line(name: str, public: bytes, signature: bytes) -> str:
    """Return the signature line of a log key (type 0x01) without the line end."""
    blob = key_hash(name, NOTE_ED25519, public) + signature
    return f"— {name} {base64.b64encode(blob).decode()}"


def cosignature_line(name: str, public: bytes, time_s: int, signature: bytes) -> str:
    """Return the signature line of a cosigner (type 0x04) without the line end: the time is inside the blob."""
    blob = key_hash(name, NOTE_COSIGNATURE, public) + time_s.to_bytes(8, "big") + signature
    return f"— {name} {base64.b64encode(blob).decode()}"


def decode_base64(text: str) -> bytes:
    """Return the bytes of standard base64 with padding; no other spelling is accepted.

    Raises:
        DecodeError: Not base64, or not the spelling that encoding the bytes gives.
    """
    try:
        raw = a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise DecodeError(f"not base64: {text[:40]!r}") from error
    if not raw or b2a_base64(raw, newline=False).decode() != text:
        raise DecodeError(f"not canonical base64: {text[:40]!r}")
    return raw
