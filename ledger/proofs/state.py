"""A value of the state with the proof that it stood under its key at one state root.

A proof does not carry the key: the reader computes it from what it asks for, so that a value under another key, however
true, answers nothing.
"""

from __future__ import annotations

from typing import TypeVar

from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.sparse_tree import StateProof, verify_presence
from ledger.encoding import Canonical, Digest32, decode
from ledger.proofs.canonical_json import Document

T = TypeVar("T", bound=Canonical)


class ValueProof(Document, frozen=True, kw_only=True):
    """A state value and the way from it to the state root."""

    value: bytes
    """Canonical bytes."""
    siblings: tuple[Digest32, ...]
    """Beside the path, from the bottom upwards; 32 zero bytes for an empty subtree."""

    @classmethod
    def of(cls, value: bytes, proof: StateProof) -> ValueProof:
        """Return the proof of presence of an encoded value, as the state gives it.

        Raises:
            ValueError: `proof` is one of absence.
        """
        if proof.leaf is not None:
            raise ValueError("a proof of absence shows no value")
        return cls(value=value, siblings=proof.siblings)

    def check(self, kind: type[T], *, key: bytes, root: bytes) -> T:
        """Return the value, shown to stand under `key` in the state of `root`, which is trusted already.

        Args:
            kind: What the key's register keeps there.
            key: The register's key, as its `values` module makes it.

        Raises:
            ProofError: The state of `root` has no such value under the key.
            DecodeError: It has, and the value is not a canonical `kind`.
        """
        verify_presence(
            root,
            tagged_hash(Tag.STATE_KEY, key),
            tagged_hash(Tag.STATE_VALUE, self.value),
            StateProof(siblings=self.siblings, leaf=None),
        )
        return decode(kind, self.value)
