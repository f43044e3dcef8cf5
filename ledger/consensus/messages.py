"""What validators say to each other, and the bytes that they sign.

A signature is over fixed-width binary under the statement's own domain tag, chain id included, so that no field is
outside it and no statement can be read as another. What travels is `Canonical`; `decode_message` gives a `Message` or a
`DecodeError`. Decoding checks the form alone: signatures and quorums are checked in `ledger.consensus.certificates`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Self

from msgspec import Meta

from ledger.blocks.block import Block, BlockHeader, payload_root, proposal_signing_bytes
from ledger.blocks.checkpoint import Cosignature, QuorumCheckpoint
from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import Canonical, Decoder, Digest32, Signature64, UInt63, decode
from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import BlockId, ChainId, Digest
from ledger.limits import (
    ENVELOPE_BYTES_MAX,
    ENVELOPES_PER_BLOCK_MAX,
    FRAME_BYTES_MAX,
    JUSTIFICATION_BYTES_MAX,
    VALIDATORS_MAX,
)

SIGNATURE_BYTES = 64

PROPOSAL_BYTES_MAX = FRAME_BYTES_MAX - JUSTIFICATION_BYTES_MAX
"""A proposal, so that one block and a certificate of it always fit one frame between peers."""

PAYLOAD_BYTES_MAX = PROPOSAL_BYTES_MAX - JUSTIFICATION_BYTES_MAX - 65_536 - 5 * ENVELOPES_PER_BLOCK_MAX - 1_024
"""What a proposal leaves for envelopes beside the largest justification and checkpoint and each one's wrapping."""

BLOCKS_PER_RESPONSE_MAX = 256
"""Blocks in one answer of block sync; their bytes are bounded by the frame."""

ENVELOPES_PER_BATCH_MAX = 1_024
"""Envelopes in one message of dissemination; their bytes are bounded by the frame."""

_VOTE = struct.Struct(">32sQQ32sQ32s?Q32s32sQ")
_TIMEOUT = struct.Struct(">32sQQQQ")

_Index = Annotated[int, Meta(ge=0, lt=VALIDATORS_MAX)]
_Indices = Annotated[tuple[_Index, ...], Meta(max_length=VALIDATORS_MAX)]
_Signatures = Annotated[bytes, Meta(max_length=VALIDATORS_MAX * SIGNATURE_BYTES)]


class CommitInfo(Canonical, tag="commit", kw_only=True):
    """What a quorum of votes for a child says of the parent that it commits; enough for someone without the blocks.

    Epoch change (P25) adds the hash of the next validators here.
    """

    height: UInt63
    block: Digest32
    payload_root: Digest32
    time_ms: UInt63


class VoteData(Canonical, tag="vote-data", kw_only=True):
    """What a vote says (P2). All of it is signed, the round included."""

    epoch: UInt63
    round: UInt63
    block: Digest32
    parent_round: UInt63
    parent: Digest32
    commit: CommitInfo | None
    """Present iff `round = parent_round + 1`, and then it names the parent."""

    def signing_bytes(self, chain: ChainId) -> Digest:
        """Return the 32 bytes that a voter signs: the tagged hash of every field at its fixed width."""
        commit = self.commit
        fields = _VOTE.pack(
            chain,
            self.epoch,
            self.round,
            self.block,
            self.parent_round,
            self.parent,
            commit is not None,
            commit.height if commit else 0,
            commit.block if commit else b"",
            commit.payload_root if commit else b"",
            commit.time_ms if commit else 0,
        )
        return tagged_hash(Tag.VOTE, fields)


class Vote(Canonical, tag="vote", kw_only=True):
    """One validator's vote."""

    data: VoteData
    voter: _Index
    signature: Signature64

    def signing_bytes(self, chain: ChainId) -> Digest:
        """Return the 32 bytes that the voter signed."""
        return self.data.signing_bytes(chain)


class QuorumCertificate(Canonical, tag="quorum-certificate", kw_only=True):
    """A quorum of equal votes (P3). `signatures` holds 64 bytes for each of `voters`, in their order."""

    size_max: ClassVar[int] = JUSTIFICATION_BYTES_MAX // 2

    vote: VoteData
    voters: _Indices
    """In ascending order."""
    signatures: _Signatures

    @property
    def round(self) -> int:
        """Round of the certified block."""
        return self.vote.round

    @property
    def block(self) -> BlockId:
        """Id of the certified block."""
        return BlockId(self.vote.block)

    def signed(self) -> Iterator[tuple[int, bytes]]:
        """Yield `(validator index, signature)` of each voter."""
        return zip(self.voters, _cut(self.signatures), strict=True)


class Timeout(Canonical, tag="timeout", kw_only=True):
    """One validator's statement that it votes no more in a round, and the highest certificate it holds (P4)."""

    epoch: UInt63
    round: UInt63
    high_qc_round: UInt63
    author: _Index
    signature: Signature64

    def signing_bytes(self, chain: ChainId) -> Digest:
        """Return the 32 bytes that the author signed."""
        return timeout_signing_bytes(chain, self.epoch, self.round, self.high_qc_round, self.author)


class TimeoutCertificate(Canonical, tag="timeout-certificate", kw_only=True):
    """A quorum of timeouts of one round, and the certificate with the highest round that they name (P4)."""

    size_max: ClassVar[int] = JUSTIFICATION_BYTES_MAX

    epoch: UInt63
    round: UInt63
    authors: _Indices
    """In ascending order."""
    high_qc_rounds: Annotated[tuple[UInt63, ...], Meta(max_length=VALIDATORS_MAX)]
    """What each author signed, in their order."""
    signatures: _Signatures
    high_qc: QuorumCertificate

    @property
    def high_qc_round(self) -> int:
        """The highest of the *signed* rounds, 0 if there are none; meaningful once the signatures are checked."""
        return max(self.high_qc_rounds, default=0)

    def signed(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield `(validator index, high_qc_round, signature)` of each author."""
        return zip(self.authors, self.high_qc_rounds, _cut(self.signatures), strict=True)


class Justification(Canonical, tag="justification", kw_only=True):
    """Why a block may extend its parent in its round: what `BlockHeader.justification` holds the bytes of."""

    size_max: ClassVar[int] = JUSTIFICATION_BYTES_MAX

    parent_qc: QuorumCertificate
    timeout_certificate: TimeoutCertificate | None
    """Of the round before; present iff `parent_qc` is older than that (P7)."""


class CheckpointCosignature(Canonical, tag="checkpoint-cosignature", kw_only=True):
    """One validator's cosignature of the log at a size; travels beside a vote, or alone once executed (P20a)."""

    epoch: UInt63
    height: UInt63
    size: UInt63
    root: Digest32
    cosignature: Cosignature


class VoteMessage(Canonical, tag="vote-message", kw_only=True):
    """A vote on its way to whoever will propose next; the cosignature is outside the vote's signature."""

    vote: Vote
    cosignature: CheckpointCosignature | None


class TimeoutMessage(Canonical, tag="timeout-message", kw_only=True):
    """A timeout with what proves it: exactly the certificate it names, and entry to its round."""

    size_max: ClassVar[int] = 2 * JUSTIFICATION_BYTES_MAX

    timeout: Timeout
    high_qc: QuorumCertificate
    entry_tc: TimeoutCertificate | None
    """Of the round before; present iff `high_qc` is older than that."""
    vote: Vote | None
    """The author's own vote in the round, if it voted before it timed out."""


class Status(Canonical, tag="status", kw_only=True):
    """What two validators tell each other on every connection (P17). The certificates prove themselves."""

    size_max: ClassVar[int] = 2 * JUSTIFICATION_BYTES_MAX

    high_qc: QuorumCertificate
    high_tc: TimeoutCertificate | None
    """Only if its round is above that of `high_qc`."""
    checkpoint: QuorumCheckpoint | None


class BlockRequest(Canonical, tag="block-request", kw_only=True):
    """Asks for the blocks on the way to a certified block, oldest first."""

    target: Digest32
    """Id of a block that a certificate proves to exist."""
    above: UInt63
    """Height of the newest block that the asker has committed."""


class BlockResponse(Canonical, tag="block-response", kw_only=True):
    """Consecutive blocks, each certified by the justification of the next, the last one by `certificate`."""

    size_max: ClassVar[int] = FRAME_BYTES_MAX

    blocks: Annotated[tuple[bytes, ...], Meta(max_length=BLOCKS_PER_RESPONSE_MAX)]
    """Encoded blocks, oldest first; none if the asked one knows no such block."""
    certificate: QuorumCertificate | None
    """Of the last block; absent iff there are none."""


class EnvelopeBatch(Canonical, tag="envelopes", kw_only=True):
    """Admitted envelopes on their way to everybody's pool (P16b)."""

    size_max: ClassVar[int] = FRAME_BYTES_MAX

    envelopes: Annotated[
        tuple[Annotated[bytes, Meta(max_length=ENVELOPE_BYTES_MAX)], ...],
        Meta(min_length=1, max_length=ENVELOPES_PER_BATCH_MAX),
    ]


@dataclass(frozen=True)
class Proposal:
    """A block as it came, with what is read out of it once: its id and its justification.

    The payload is what the header commits to; nothing else has been checked yet.
    """

    raw: bytes
    """The canonical bytes of `block`."""
    block: Block
    id: BlockId
    justification: Justification

    @property
    def header(self) -> BlockHeader:
        """The block's header."""
        return self.block.header

    @property
    def parent_qc(self) -> QuorumCertificate:
        """Certificate of the block that this one extends."""
        return self.justification.parent_qc

    @cached_property
    def payload_bytes(self) -> int:
        """Bytes of all envelopes together."""
        return sum(map(len, self.block.payload))

    @property
    def signing_bytes(self) -> Digest:
        """The 32 bytes that the author signed."""
        return proposal_signing_bytes(self.id)

    @classmethod
    def of(cls, raw: bytes, block: Block) -> Self:
        """Return the proposal whose canonical bytes are `raw`.

        Raises:
            DecodeError: An unknown suite, a justification that is not one, or another payload than the header states.
        """
        if len(raw) > PROPOSAL_BYTES_MAX:
            raise OversizeError("a proposal", size=len(raw), size_max=PROPOSAL_BYTES_MAX)
        header = block.header
        if block.suite != ED25519_SHA256:
            raise DecodeError(f"signature suite {block.suite} is unknown; 1 (Ed25519/SHA-256) is the only one")
        if len(block.payload) != header.payload_count:
            raise DecodeError(f"the header states {header.payload_count} envelopes; {len(block.payload)} are there")
        if (root := payload_root(block.payload)) != header.payload_root:
            raise DecodeError(f"the header states payload root {header.payload_root.hex()}, not {root.hex()}")
        return cls(raw, block, header.id, decode(Justification, header.justification))


Message = (
    Proposal
    | VoteMessage
    | TimeoutMessage
    | QuorumCertificate
    | TimeoutCertificate
    | Status
    | CheckpointCosignature
    | QuorumCheckpoint
    | BlockRequest
    | BlockResponse
    | EnvelopeBatch
)
"""A certificate or a checkpoint that is forwarded travels as itself."""

_WireMessage = (
    Block
    | VoteMessage
    | TimeoutMessage
    | QuorumCertificate
    | TimeoutCertificate
    | Status
    | CheckpointCosignature
    | QuorumCheckpoint
    | BlockRequest
    | BlockResponse
    | EnvelopeBatch
)

_wire_decoder = Decoder(_WireMessage)


def decode_message(data: bytes) -> Message:
    """Return the message whose canonical bytes are `data`.

    Raises:
        OversizeError: Longer than its kind may be.
        DecodeError: Not the canonical form of any message, or a block whose parts contradict each other.
    """
    if len(data) > FRAME_BYTES_MAX:
        raise OversizeError("a message", size=len(data), size_max=FRAME_BYTES_MAX)
    value = _wire_decoder.decode(data)
    if len(data) > value.size_max:
        raise OversizeError(type(value).__name__, size=len(data), size_max=value.size_max)
    if isinstance(value, Block):
        return Proposal.of(data, value)
    message: Message = value
    return message


def decode_proposal(data: bytes) -> Proposal:
    """Return the proposal whose canonical bytes are `data`, where nothing else can be meant.

    Raises:
        DecodeError: As `decode_message`.
    """
    return Proposal.of(data, decode(Block, data))


def timeout_signing_bytes(chain: ChainId, epoch: int, round_: int, high_qc_round: int, author: int) -> Digest:
    """Return the 32 bytes that a timeout's author signs: the tagged hash of every field at its fixed width."""
    return tagged_hash(Tag.TIMEOUT, _TIMEOUT.pack(chain, epoch, round_, high_qc_round, author))


def genesis_certificate(chain: ChainId, epoch: int = 0) -> QuorumCertificate:
    """Return the certificate that the first block of an epoch extends: round 0, the chain id for a block, unsigned."""
    vote = VoteData(epoch=epoch, round=0, block=Digest(chain), parent_round=0, parent=Digest(bytes(32)), commit=None)
    return QuorumCertificate(vote=vote, voters=(), signatures=b"")


def _cut(signatures: bytes) -> Iterator[bytes]:
    for start in range(0, len(signatures), SIGNATURE_BYTES):
        yield signatures[start : start + SIGNATURE_BYTES]
