"""A COSE Receipt: one node's word, in CBOR, that an entry is in the log. Needs the extra `cose`.

    18([ << {1: -8, 4: kid, 15: {1: origin}, 395: 1} >>,                 alg EdDSA, key, issuer, RFC9162_SHA256
         {396: {-1: [<< [size, index, [hash, hash, ...]] >>]}},          one inclusion proof
         null,                                                           the root, which the reader computes
         signature ])

It says less than a tlog-proof: a single department's log key signs, and no quorum stands behind it. It is for those
whose tools speak COSE, and who trust that department or compare what several of them sign. The node signs roots of
checkpoints with a quorum alone, so that none of its receipts is of a history that is not the network's.

The log key signs notes too. No bytes are both: a note is text and begins with the origin, what is signed here begins
with 0x84, which no UTF-8 text does.

Source: RFC 9942 (COSE Receipts), sections 4 and 5; RFC 9052, section 4.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import cbor2

from ledger.blocks.checkpoint import NOTE_ED25519, key_hash
from ledger.crypto.signatures import Signer
from ledger.proofs.view import LedgerView

MEDIA_TYPE = 'application/cose; cose-type="cose-sign1"'
"""RFC 9052, section 11.3."""

_ALGORITHM, _KEY_ID, _CLAIMS, _STRUCTURE, _PROOFS = 1, 4, 15, 395, 396
"""Labels of headers."""

_EDDSA = -8
_ISSUER = 1
_RFC9162_SHA256 = 1
_INCLUSION_PROOFS = -1
_SIGN1_TAG = 18


def make_receipt(view: LedgerView, index: int, signer: Signer) -> bytes:
    """Return the receipt of log entry `index` in the log of the view's checkpoint.

    Args:
        signer: The log key of the node that gives the receipt. Its id in the receipt is the four bytes that name it in
            policies and on the lines of notes.

    Raises:
        ValueError: The checkpoint has no such entry.
    """
    checkpoint, origin = view.checkpoint, view.validators.origin
    if not 0 <= index < checkpoint.size:
        raise ValueError(f"the checkpoint has {checkpoint.size} entries, and none with index {index}")
    protected = _cbor(
        {
            _ALGORITHM: _EDDSA,
            _KEY_ID: key_hash(origin, NOTE_ED25519, signer.public),
            _CLAIMS: {_ISSUER: origin},
            _STRUCTURE: _RFC9162_SHA256,
        }
    )
    signature = signer.sign(_cbor(["Signature1", protected, b"", bytes(checkpoint.root)]))
    proof = _inclusion_proof(checkpoint.size, index, view.inclusion_path(index))
    unprotected = {_PROOFS: {_INCLUSION_PROOFS: [proof]}}
    return _cbor(cbor2.CBORTag(_SIGN1_TAG, [protected, unprotected, None, signature]))


def _inclusion_proof(size: int, index: int, path: Sequence[bytes]) -> bytes:
    return _cbor([size, index, [bytes(sibling) for sibling in path]])


def _cbor(value: object) -> bytes:
    """Return the deterministic encoding of a value (RFC 8949, section 4.2)."""
    return cbor2.dumps(value, canonical=True)
