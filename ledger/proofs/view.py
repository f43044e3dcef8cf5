"""What a bundle is made from: a member as of its newest checkpoint with a quorum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.envelope import Envelope
from ledger.crypto.sparse_tree import StateProof
from ledger.identifiers import Digest
from ledger.members.validators import ValidatorSet


class LedgerView(Protocol):
    """Log, state and history as of one checkpoint.

    A member's state runs ahead of the newest checkpoint with a quorum. What a bundle proves must be the state after the
    checkpoint's last block and no newer one, so everything here is as of `checkpoint.height`.
    """

    @property
    def validators(self) -> ValidatorSet:
        """Those who cosigned the checkpoint."""

    @property
    def checkpoint(self) -> QuorumCheckpoint:
        """The checkpoint. Its last entry is the block record of its height."""

    @property
    def log_signature(self) -> tuple[bytes, bytes]:
        """The serving node's 32-byte log key and its signature over the checkpoint's text."""

    def value_bytes(self, key: bytes) -> bytes | None:
        """Return the canonical bytes of a state value, or None."""

    def prove(self, key: bytes) -> StateProof:
        """Return the proof that the state has its value, or none, under `key`."""

    def entry(self, index: int) -> bytes:
        """Return the bytes of a log entry."""

    def inclusion_path(self, index: int) -> Sequence[Digest]:
        """Return the siblings of a log entry, from the leaf upwards, in the tree of `checkpoint.size` entries."""

    def envelope(self, index: int) -> Envelope:
        """Return the envelope of a log entry, with its records."""

    def history(self, key: bytes) -> Sequence[tuple[int, int]]:
        """Return which accepted records set the state key: log index and position in the envelope, ascending."""
