"""The genesis read again for the checks: who signs, with which keys, and what a vote and a cosignature cover."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from scenarios.evidence.forms import (
    DIGEST_BYTES,
    SIGNATURE_BYTES,
    Checkpoint,
    Commit,
    EvidenceError,
    Parts,
    VoteCertificate,
    fields,
    tagged_hash,
    unpack,
)
from scenarios.evidence.working_days import WorkingDays

_VOTE = struct.Struct(">32sQQ32sQ32s?Q32s32sQ")
_NO_COMMIT = Commit(0, bytes(DIGEST_BYTES), bytes(DIGEST_BYTES), 0)


@dataclass(frozen=True, slots=True)
class Signers:
    """The validators in the order of their credit codes, their keys, and what names the network."""

    chain: bytes
    origin: str
    credit_codes: tuple[str, ...]
    codes: tuple[str, ...]
    """Short codes, for example `AY`."""
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
    name, _created, _parameters, _calendar, founders = fields(unpack(raw), "genesis", str, int, tuple, tuple, tuple)
    found = [
        fields(founder, "founder", str, str, str, str, str, tuple, tuple, (tuple, type(None))) for founder in founders
    ]
    voting = sorted((founder for founder in found if founder[7] is not None), key=lambda founder: str(founder[0]))
    keys = [fields(founder[7], "validator-keys", tuple, tuple, tuple, bytes) for founder in voting]
    chain = tagged_hash("genesis", raw)
    return Signers(
        chain=chain,
        origin=f"{name}/{chain.hex()[:16]}",
        credit_codes=tuple(founder[0] for founder in voting),
        codes=tuple(founder[1] for founder in voting),
        consensus=tuple(_public(key[0]) for key in keys),
        cosigner=tuple(_public(key[1]) for key in keys),
    )


def read_working_days(raw: bytes) -> WorkingDays:
    """Return the calendar that a genesis sets.

    Raises:
        EvidenceError: Not a genesis, or a day that is in no calendar.
    """
    _, _, parameters, calendar, _ = fields(unpack(raw), "genesis", str, int, tuple, tuple, tuple)
    *_, utc_offset_hours = fields(parameters, "parameters", str, int, int, int, int, int)
    days = [fields(day, "day", str, bool) for day in calendar]
    try:
        return WorkingDays({date.fromisoformat(day): worked for day, worked in days}, utc_offset_hours)
    except ValueError as error:
        raise EvidenceError(f"the calendar names a day that does not exist: {error}") from None


def check_commit(signers: Signers, certificate: VoteCertificate) -> Commit:
    """Return what a certificate of votes commits.

    Raises:
        EvidenceError: It commits nothing, or something else than the parent in the round before, or it does not carry
            a quorum of valid votes.
    """
    commit = certificate.commit
    if commit is None:
        raise EvidenceError("the certificate commits nothing")
    if commit.block != certificate.parent or certificate.round != certificate.parent_round + 1:
        raise EvidenceError("a quorum certificate commits something else than its parent in the round before")
    message = tagged_hash("vote", _vote_bytes(signers.chain, certificate))
    if len(certificate.signatures) != SIGNATURE_BYTES * len(certificate.voters):
        raise EvidenceError("a quorum certificate does not hold one signature a voter")
    starts = range(0, len(certificate.signatures), SIGNATURE_BYTES)
    signatures = [certificate.signatures[start : start + SIGNATURE_BYTES] for start in starts]
    signed = [(voter, message, signature) for voter, signature in zip(certificate.voters, signatures, strict=True)]
    _check_quorum(signers.consensus, signers.quorum, signed, "a quorum certificate")
    return commit


def check_checkpoint(signers: Signers, checkpoint: Checkpoint) -> None:
    """Check that a quorum cosigned a checkpoint. What it says of the log is not compared with any journal here.

    Raises:
        EvidenceError: It does not carry a quorum of valid cosignatures.
    """
    text = f"{signers.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"
    signed = [
        (validator, f"cosignature/v1\ntime {time_s}\n{text}".encode(), signature)
        for validator, time_s, signature in checkpoint.cosignatures
    ]
    _check_quorum(signers.cosigner, signers.quorum, signed, f"the checkpoint at height {checkpoint.height}")


def _vote_bytes(chain: bytes, certificate: VoteCertificate) -> bytes:
    commit = certificate.commit or _NO_COMMIT
    digests = (certificate.block, certificate.parent, commit.block, commit.payload_root)
    # `struct` would cut or fill a digest of another length without a word.
    if any(len(digest) != DIGEST_BYTES for digest in digests):
        raise EvidenceError("a quorum certificate holds a digest that is not 32 bytes long")
    try:
        return _VOTE.pack(
            chain, certificate.epoch, certificate.round, certificate.block, certificate.parent_round,
            certificate.parent, certificate.commit is not None,
            commit.height, commit.block, commit.payload_root, commit.time_ms,
        )  # fmt: skip
    except struct.error as error:
        raise EvidenceError(f"a quorum certificate holds a number out of range: {error}") from error


def _check_quorum(keys: Sequence[bytes], quorum: int, signed: Sequence[tuple[int, bytes, bytes]], what: str) -> None:
    who = [index for index, _, _ in signed]
    if len(set(who)) != len(who) or not all(0 <= index < len(keys) for index in who):
        raise EvidenceError(f"{what} names a signer twice, or one that is none")
    if len(who) < quorum:
        raise EvidenceError(f"{what} carries {len(who)} signers; {quorum} are needed")
    for index, message, signature in signed:
        if not _verifies(keys[index], message, signature):
            raise EvidenceError(f"{what} carries a signature of validator {index} that does not verify")


# One signature stands in many quorums: each node keeps those cosignatures that reached it first.
@lru_cache(maxsize=1 << 18)
def _verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _public(key: Parts) -> bytes:
    public, _possession = fields(key, "key", bytes, bytes)
    if len(public) != DIGEST_BYTES:
        raise EvidenceError(f"a public key has 32 bytes, not {len(public)}")
    return bytes(public)
