"""The genesis read again for the reader of evidence: who signs, with which keys, and what a vote and a cosignature cover."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from scenarios.evidence.journal import EvidenceError, tagged_hash, unpack

_VOTE = struct.Struct(">32sQQ32sQ32s?Q32s32sQ")


@dataclass(frozen=True, slots=True)
class Signers:
    """The validators' keys in the order of their credit codes, and what names the network."""

    chain: bytes
    origin: str
    consensus: tuple[bytes, ...]
    cosigner: tuple[bytes, ...]

    @property
    def quorum(self) -> int:
        """floor(2n/3) + 1."""
        return 2 * len(self.consensus) // 3 + 1


def read_genesis(raw: bytes) -> Signers:
    """Return the signers that a genesis names.

    Raises:
        EvidenceError: Not a genesis.
    """
    try:
        tag, _, name, _created, _parameters, _calendar, founders = unpack(raw)
        if tag != "genesis":
            raise EvidenceError(f"a genesis begins with its tag, not with {tag!r}")
        keys = [founder[9] for founder in sorted(founders, key=lambda f: str(f[2])) if founder[9] is not None]
        chain = tagged_hash("genesis", raw)
        return Signers(
            chain=chain,
            origin=f"{name}/{chain.hex()[:16]}",
            consensus=tuple(key[2][2] for key in keys),
            cosigner=tuple(key[3][2] for key in keys),
        )
    except (ValueError, TypeError, IndexError) as error:
        raise EvidenceError(f"the genesis cannot be read: {error}") from error


def commit_of(signers: Signers, certificate: tuple[Any, ...]) -> tuple[int, bytes] | None:
    """Return `(height, block id)` that a quorum certificate commits, or None if it commits nothing.

    Raises:
        EvidenceError: It does not carry a quorum of valid votes.
    """
    _, _, vote, voters, signatures = certificate
    _, _, epoch, round_, block, parent_round, parent, commit = vote
    _, _, height, committed, payload_root, time_ms = commit or (None, None, 0, b"", b"", 0)
    message = tagged_hash(
        "vote",
        _VOTE.pack(
            signers.chain, epoch, round_, block, parent_round, parent, commit is not None,
            height, committed, payload_root, time_ms,
        ),
    )  # fmt: skip
    signed = [
        (signers.consensus[voter], message, signatures[64 * i : 64 * (i + 1)]) for i, voter in enumerate(voters)
    ]
    _check_quorum(signers, voters, signed, "a quorum certificate")
    if commit is None:
        return None
    if committed != parent or round_ != parent_round + 1:
        raise EvidenceError("a quorum certificate commits something else than its parent in the round before")
    return height, committed


def check_checkpoint(signers: Signers, checkpoint: tuple[Any, ...]) -> tuple[int, int, bytes]:
    """Return `(height, size, root)` of a checkpoint that a quorum has cosigned.

    Raises:
        EvidenceError: It does not carry a quorum of valid cosignatures.
    """
    _, _, _epoch, height, size, root, cosignatures = checkpoint
    text = f"{signers.origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    signed = [
        (signers.cosigner[validator], f"cosignature/v1\ntime {time_s}\n{text}".encode(), signature)
        for _, _, validator, time_s, signature in cosignatures
    ]
    _check_quorum(signers, [c[2] for c in cosignatures], signed, "a checkpoint")
    return height, size, root


def _check_quorum(
    signers: Signers, who: tuple[int, ...] | list[int], signed: list[tuple[bytes, bytes, bytes]], what: str
) -> None:
    if len(set(who)) != len(who) or len(who) < signers.quorum:
        raise EvidenceError(f"{what} carries {len(set(who))} signers; {signers.quorum} are needed")
    for public, message, signature in signed:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except InvalidSignature as error:
            raise EvidenceError(f"{what} carries a signature that does not verify") from error
