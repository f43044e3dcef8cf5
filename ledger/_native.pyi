"""The optional native core, built from `ledger/native/`. Callers go through `ledger.crypto`, never here."""

from collections.abc import Iterable, Sequence

VERSION: str
"""Of the sources it was built from; `ledger.crypto.backend` refuses any but its own."""

INTERFACE: int
"""Raised with every change of what is offered here; refused in the same way."""

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

def verify_batch_strictly(items: Iterable[tuple[bytes, bytes, bytes]], entropy: bytes, backend: str) -> list[bool]:
    """Return as `verify_batch` whether plain OpenSSL accepts each, with the same arguments and errors."""

def is_prime_order(public: bytes) -> bool:
    """Return whether `public` is the canonical encoding of a point in the prime-order group, not the identity."""

def hash_leaves(prefix: bytes, entries: Sequence[bytes]) -> list[bytes]:
    """Return SHA-256(prefix || entry) for each entry, in order."""

def truncated_macs_of_lines(inner: bytes, outer: bytes, text: bytes, size: int) -> bytes:
    """Return the first `size` bytes, at most 32, of SHA-256(outer || SHA-256(inner || line)) for each line, joined.

    The interpreter's lock is released while it works.

    Args:
        text: Lines with a line feed between each two.

    Raises:
        ValueError: `inner` or `outer` does not have 64 bytes.
    """

def merkle_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the RFC 9162 root over leaf hashes of 32 bytes each.

    Raises:
        ValueError: A leaf hash does not have 32 bytes.
    """

def merkle_root_of(prefix: bytes, entries: Sequence[bytes]) -> bytes:
    """Return `merkle_root(hash_leaves(prefix, entries))`."""

def examine_envelopes(
    raws: Sequence[bytes], chain: bytes, header_prefix: bytes, record_prefix: bytes
) -> tuple[list[bytes], list[bytes], list[int]] | None:
    """Compare envelopes with the canonical form and with their own hashes, but for what only their types say.

    The interpreter's lock is released while it works.

    Args:
        raws: What should be encodings of `ledger.blocks.envelope.Envelope`.
        chain: What their headers must name.
        header_prefix, record_prefix: What is hashed before a header, and before a record as a leaf.

    Returns:
        The hash of each header; header, suite and signature of each as they stand in it; and which of all records,
        counted through, are not surely in canonical form: another spelling, or text that only tables of characters
        can tell to be normal. None if an envelope is in another form, for another chain, of an unknown suite, or its
        header commits to other records. Numbers and lengths were not compared with their bounds.
    """

class SparseTree:
    """One version of the map of `ledger.crypto.sparse_tree`. Immutable; versions share what they have in common."""

    def __init__(self, leaf_tag: bytes, node_tag: bytes) -> None:
        """Make the empty map; the tags are hashed before key and value, and before the hashes of two halves."""

    @property
    def root(self) -> bytes:
        """The 32-byte root; zero bytes for the empty map."""

    def update(self, changes: Iterable[tuple[bytes, bytes | None]]) -> SparseTree:
        """Return the tree after all changes: 32-byte keys with 32-byte values, or None to delete.

        Raises:
            ValueError: A key or a value does not have 32 bytes.
        """

    def update_hashed(
        self, keys: Sequence[bytes], values: Sequence[bytes], key_prefix: bytes, value_prefix: bytes
    ) -> SparseTree:
        """Return `update` with SHA-256(key_prefix || key) and SHA-256(value_prefix || value) of each key and value.

        The interpreter's lock is released while it works.

        Raises:
            ValueError: There are more keys than values, or fewer.
        """

    def descend(self, key: bytes) -> tuple[tuple[bytes, bytes] | None, list[bytes]]:
        """Return the leaf that the key leads to, as key and value, and the 32-byte siblings from the top down.

        The leaf can be that of another key; None if the key leads to an empty subtree.

        Raises:
            ValueError: The key does not have 32 bytes.
        """
