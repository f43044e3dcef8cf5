"""An absence: one file that proves that a ledger had no certificate of an identifier, as of one checkpoint.

It answers who holds a certificate in hand that nobody ever issued. As with a bundle, nothing in it is taken on trust,
and the key that is looked for is computed by the reader.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.sparse_tree import StateProof, verify_absence
from ledger.encoding import Digest32
from ledger.errors import InvalidInputError
from ledger.proofs.canonical_json import Document
from ledger.proofs.inclusion import EntryProof
from ledger.proofs.notes import note_for
from ledger.proofs.view import LedgerView
from ledger.registers.certificates.values import certificate_key

FORMAT: Literal["mulu.absence/1"] = "mulu.absence/1"


class PresentError(InvalidInputError):
    """What should be absent is there: ask for its bundle."""

    code = "present"


class OtherLeaf(Document, frozen=True, kw_only=True):
    """The leaf that stands where the one looked for would be."""

    key: Digest32
    """Hashed."""
    value: Digest32
    """Hashed."""


class AbsenceProof(Document, frozen=True, kw_only=True):
    """The way from the state root to where a key would be."""

    siblings: tuple[Digest32, ...]
    """Beside the path, from the bottom upwards; 32 zero bytes for an empty subtree."""
    leaf: OtherLeaf | UnsetType = UNSET
    """Missing if nothing stands there."""

    def check(self, *, key: bytes, root: bytes) -> None:
        """Check that the state of `root`, which is trusted already, has nothing under `key`.

        Raises:
            ProofError: It has, or this does not show that it has not.
        """
        leaf = None if isinstance(self.leaf, UnsetType) else (self.leaf.key, self.leaf.value)
        verify_absence(root, tagged_hash(Tag.STATE_KEY, key), StateProof(siblings=self.siblings, leaf=leaf))


class Absence(Document, frozen=True, kw_only=True):
    """The JSON object; its parts mean what they mean in a bundle."""

    format: Literal["mulu.absence/1"]
    certificate: str
    """The identifier that was looked for."""
    absence: AbsenceProof
    block: EntryProof
    checkpoint: str


def build_absence(view: LedgerView, certificate: str) -> bytes:
    """Return the proof that there is no such certificate as of the view's checkpoint.

    Raises:
        PresentError: There is one.
    """
    key = certificate_key(certificate)
    if view.value_bytes(key) is not None:
        raise PresentError(f"there is a certificate {certificate} as of height {view.checkpoint.height}")
    proof = view.prove(key)
    leaf = UNSET if proof.leaf is None else OtherLeaf(key=proof.leaf[0], value=proof.leaf[1])
    last = view.checkpoint.size - 1
    return Absence(
        format=FORMAT,
        certificate=certificate,
        absence=AbsenceProof(siblings=proof.siblings, leaf=leaf),
        block=EntryProof(entry=view.entry(last), index=last, path=tuple(view.inclusion_path(last))),
        checkpoint=note_for(view),
    ).print()
