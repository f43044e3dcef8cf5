"""A block: an ordered list of envelopes, proposed by one validator on top of one parent.

A block holds no result of execution. It is executed after it is committed, and what comes out is attested later, in the
log's block records and the checkpoints over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta

from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.merkle import root_of_tagged
from ledger.encoding import Canonical, Digest32, Signature64, UInt63
from ledger.identifiers import BlockId, Digest
from ledger.limits import BLOCK_BYTES_MAX, ENVELOPES_PER_BLOCK_MAX, JUSTIFICATION_BYTES_MAX


class BlockHeader(Canonical, tag="block", kw_only=True):
    """What makes a block this block (P1). The id covers all of it, the certificates inside included."""

    size_max: ClassVar[int] = JUSTIFICATION_BYTES_MAX + 65_536

    chain: Digest32
    epoch: UInt63
    round: UInt63
    height: UInt63
    parent: Digest32
    """Id of the parent block; the chain id for the first block."""
    author: Annotated[int, Meta(ge=0, lt=1 << 16)]
    """Index of the proposing validator in the epoch's set."""
    justification: Annotated[bytes, Meta(max_length=JUSTIFICATION_BYTES_MAX)]
    """Why the author may propose here: the certificates of the consensus engine, opaque to everything else."""
    payload_root: Digest32
    """RFC 9162 root over the envelopes' full bytes."""
    payload_count: Annotated[int, Meta(ge=0, le=ENVELOPES_PER_BLOCK_MAX)]
    checkpoint: QuorumCheckpoint | None
    """Newest checkpoint with a quorum that the author holds, if larger than the one in its chain."""
    time_ms: UInt63
    """Unix time in milliseconds; later than the parent's, bounded by the voters' clocks."""

    @property
    def id(self) -> BlockId:
        """The block's id, 32 bytes; the author's signature is over it, under the proposal tag."""
        return BlockId(tagged_hash(Tag.BLOCK, self.encode()))


class Block(Canonical, tag="proposal", kw_only=True):
    """A header, its author's signature, and the envelopes that the header commits to."""

    size_max: ClassVar[int] = BLOCK_BYTES_MAX

    header: BlockHeader
    suite: int
    signature: Signature64
    payload: Annotated[tuple[bytes, ...], Meta(max_length=ENVELOPES_PER_BLOCK_MAX)]
    """Full bytes of each envelope, in the order of execution."""


def payload_root(envelopes: Sequence[bytes]) -> Digest:
    """Return the RFC 9162 root over the full bytes of a block's envelopes."""
    return root_of_tagged(Tag.PAYLOAD, envelopes)


def proposal_signing_bytes(block: BlockId) -> Digest:
    """Return the 32 bytes that a block's author signs."""
    return tagged_hash(Tag.PROPOSAL, block)
