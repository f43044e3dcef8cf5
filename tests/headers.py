"""The header of a block that nobody certified, for tests of what comes after ordering."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.blocks.block import BlockHeader, payload_root
from ledger.identifiers import Digest


def uncertified_header(
    chain: bytes, payload: Sequence[bytes], *, parent: bytes, height: int, time_ms: int
) -> BlockHeader:
    """Return a header over the full bytes of these envelopes, by the first validator and with nothing to justify it.

    Args:
        parent: Id of the block before; the chain's own above the genesis.
        height: Of the block, and its round.
    """
    return BlockHeader(
        chain=Digest(chain),
        epoch=0,
        round=height,
        height=height,
        parent=Digest(parent),
        author=0,
        justification=b"",
        payload_root=payload_root(payload),
        payload_count=len(payload),
        checkpoint=None,
        time_ms=time_ms,
    )
