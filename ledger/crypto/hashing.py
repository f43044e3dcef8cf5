"""SHA-256 with a domain tag for each kind of thing, all tags in this one file.

Two values of different kinds never share a digest, whatever their bytes: each tag ends in its only NUL, so that no tag
is a prefix of another. The log tree alone is untagged (`ledger.crypto.merkle`), so that other people's tools can check
it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from typing import cast

from ledger.crypto.backend import active_backend
from ledger.identifiers import Digest


class Tag(bytes, Enum):
    """What is being hashed."""

    GENESIS = b"mulu/genesis/1\x00"
    ENVELOPE = b"mulu/envelope/1\x00"
    RECORD = b"mulu/record/1\x00"
    """Leaf of an envelope's tree of records."""
    PAYLOAD = b"mulu/payload/1\x00"
    """Leaf of a block's tree of envelopes."""
    BLOCK = b"mulu/block/1\x00"
    PROPOSAL = b"mulu/proposal/1\x00"
    """What a block's author signs."""
    VOTE = b"mulu/vote/1\x00"
    TIMEOUT = b"mulu/timeout/1\x00"
    LEADER = b"mulu/leader/1\x00"
    """Draws the leader of a round among those in good repute."""
    VALIDATORS = b"mulu/validators/1\x00"
    POSSESSION = b"mulu/possession/1\x00"
    """What a new key signs to prove that somebody holds it."""
    STATE_KEY = b"mulu/state-key/1\x00"
    STATE_VALUE = b"mulu/state-value/1\x00"
    STATE_LEAF = b"mulu/state-leaf/1\x00"
    STATE_NODE = b"mulu/state-node/1\x00"
    HOLDER = b"mulu/holder/1\x00"
    """Keyed commitment to the holder of a certificate."""
    FIELD = b"mulu/field/1\x00"
    """Keyed commitment to one field of a certificate."""
    CONTENT = b"mulu/content/1\x00"
    """Leaf of a certificate's tree of fields, and what binds the number of leaves to the tree's root."""
    TABLE_SCHEMA = b"mulu/table-schema/1\x00"
    SEALED = b"mulu/sealed/1\x00"
    """Leaf of a stream's tree of sealed chunks, and what binds the sealed keys and the number of chunks to its root."""
    CONTENT_STREAM = b"mulu/content-stream/1\x00"
    """Leaf of a stream's tree of chunks before they are sealed, and the keyed commitment to all of them."""
    FRAME = b"mulu/frame/1\x00"
    """Hash chain of the journal's frames."""


def sha256(data: bytes) -> Digest:
    """Return the 32-byte SHA-256 of `data`, without a tag."""
    return Digest(hashlib.sha256(data).digest())


def tagged_hash(tag: Tag, data: bytes) -> Digest:
    """Return the 32-byte SHA-256 of the tag followed by `data`."""
    return Digest(hashlib.sha256(tag + data).digest())


def tagged_hashes(tag: Tag, values: Sequence[bytes]) -> list[Digest]:
    """Return `tagged_hash(tag, value)` for each value, in order."""
    return hash_all(tag.value, values)


def truncated_macs(inner: bytes, outer: bytes, values: Sequence[bytes], size: int) -> bytes:
    """Return the first `size` bytes of HMAC-SHA-256 of each value, one after the other, in order.

    Args:
        inner, outer: The key, padded to 64 bytes and combined with 0x36 and 0x5c as in RFC 2104.
        size: 1 to 32.
    """
    return b"".join([digest[:size] for digest in hash_all(outer, hash_all(inner, values))])


def truncated_macs_of_lines(inner: bytes, outer: bytes, text: bytes, size: int) -> bytes:
    """Return `truncated_macs` of the lines of `text`, which have a line feed between each two, without making them."""
    if (library := active_backend().library) is not None:
        return library.truncated_macs_of_lines(inner, outer, text, size)
    return truncated_macs(inner, outer, text.split(b"\n"), size)


def hash_all(prefix: bytes, values: Sequence[bytes]) -> list[Digest]:
    """Return the 32-byte SHA-256 of the prefix followed by each value, in order."""
    if (library := active_backend().library) is not None:
        hashes: list[Digest] = library.hash_leaves(prefix, values)  # type: ignore[assignment]
        return hashes
    digest_of = hashlib.sha256
    # The type alone, since calling it costs a tenth of the hash.
    return cast("list[Digest]", [digest_of(prefix + value).digest() for value in values])
