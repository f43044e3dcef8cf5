"""The optional native core, built from `ledger/native/`. Callers go through `ledger.crypto`, never here."""

from collections.abc import Iterable, Sequence

VERSION: str
"""Of the sources it was built from; `ledger.crypto.backend` refuses any but its own."""

def signature_backends() -> list[str]:
    """Return the names of the signature backends this processor can run, the fastest first; the last is `portable`."""

def verify_batch(items: Iterable[tuple[bytes, bytes, bytes]], entropy: bytes, backend: str) -> list[bool]:
    """Return for each `(public, message, signature)`, in order, whether ZIP-215 accepts it; False for a wrong length.

    The interpreter's lock is released while it works.

    Args:
        entropy: 32 bytes that no signer of the batch could foresee, for this batch alone.
        backend: One of `signature_backends()`.

    Raises:
        ValueError: The entropy does not have 32 bytes, or there is no such backend.
        TypeError: An item is not a tuple of three `bytes`.
    """

def hash_leaves(prefix: bytes, entries: Sequence[bytes]) -> list[bytes]:
    """Return SHA-256(prefix || entry) for each entry, in order."""

def merkle_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the RFC 9162 root over leaf hashes of 32 bytes each.

    Raises:
        ValueError: A leaf hash does not have 32 bytes.
    """

def merkle_root_of(prefix: bytes, entries: Sequence[bytes]) -> bytes:
    """Return `merkle_root(hash_leaves(prefix, entries))`."""
