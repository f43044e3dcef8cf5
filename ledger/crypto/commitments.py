"""Keyed commitments, and a certificate's content as a tree of fields that can be shown one by one.

What is personal never goes on the ledger, only a commitment to it. A plain hash would not do: names and identity
numbers can be guessed and tried. Each commitment is therefore keyed with 32 random bytes that are kept beside the data;
without them it says nothing, and once they are destroyed it never will.

    commitment = HMAC-SHA-256(key, tag || data)
    field leaf = SHA-256(0x00 || CONTENT || HMAC-SHA-256(salt, FIELD || length || name || length || value))
    content root = SHA-256(CONTENT || number of fields || RFC 9162 root over the field leaves)

The number is bound, because a tree's root alone lets two hidden neighbours be passed off as one. Whoever holds the
certificate shows the fields that are asked for with their salts, and of the others the leaf hash alone.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Collection, Sequence
from typing import TypeAlias

from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.merkle import root_of, tagged_leaf_hash
from ledger.encoding import Canonical, Key32
from ledger.errors import ProofError
from ledger.identifiers import Digest

KEY_SIZE = 32
"""Bytes of a commitment's key or a field's salt: random, and used for one commitment only."""


def commit(tag: Tag, key: bytes, data: bytes) -> Digest:
    """Return the 32-byte commitment to `data`, which hides it from all who do not have the key.

    Args:
        tag: What is committed to, so that no commitment can be shown as one to another kind of thing.
        key: 32 random bytes, for this commitment alone.
        data: Bytes of any length.

    Raises:
        ValueError: The key is not 32 bytes long. HMAC pads shorter keys, so they would open as longer ones.
    """
    if len(key) != KEY_SIZE:
        raise ValueError(f"the key has {len(key)} bytes, not {KEY_SIZE}")
    return Digest(hmac.digest(key, tag.value + data, "sha256"))


def check_commitment(commitment: bytes, tag: Tag, key: bytes, data: bytes) -> None:
    """Check that `commitment` is the one to `data` under `key`.

    Raises:
        ProofError: It is another one, or the key is not 32 bytes long.
    """
    if len(key) != KEY_SIZE:
        raise ProofError(f"the key has {len(key)} bytes, not {KEY_SIZE}")
    opened = commit(tag, key, data)
    if not hmac.compare_digest(opened, commitment):
        raise ProofError(f"the data opens commitment {opened.hex()}, not {commitment.hex()}")


class Field(Canonical, tag="field", kw_only=True, frozen=True):
    """One field of a certificate, as its holder keeps it."""

    name: str
    """What the field is called, NFC text; once in a certificate."""

    value: str
    """NFC text."""

    salt: Key32
    """32 random bytes, for this field of this certificate alone."""


Part: TypeAlias = Field | Digest
"""A field that is shown, or the 32-byte leaf hash of one that is not."""


def field_leaf(field: Field) -> Digest:
    """Return the 32-byte leaf hash under which `field` stands in its certificate's tree.

    Raises:
        ValueError: The name or value is not NFC text, or the salt is not 32 bytes long.
    """
    return tagged_leaf_hash(Tag.CONTENT, commit(Tag.FIELD, field.salt, _prefixed(field.name) + _prefixed(field.value)))


def content_root(fields: Sequence[Field]) -> Digest:
    """Return the 32 bytes that stand for all `fields` in this order, and for their number.

    Raises:
        ValueError: Two fields have one name, or a field has no leaf hash.
    """
    _check_names(fields)
    return _content_root([field_leaf(field) for field in fields])


def disclose(fields: Sequence[Field], names: Collection[str]) -> tuple[Part, ...]:
    """Return the content with the fields called `names` shown and the others hidden, in the order of `fields`.

    Raises:
        ValueError: There is no field of one of the names.
    """
    if missing := sorted(set(names) - {field.name for field in fields}):
        raise ValueError(f"the certificate has no field {', '.join(missing)}")
    return tuple(field if field.name in names else field_leaf(field) for field in fields)


def verify_disclosure(parts: Sequence[Part], *, root: bytes) -> tuple[Field, ...]:
    """Check that the shown fields belong to the content behind `root`, and return them.

    Args:
        parts: All fields in order, shown or hidden. From anywhere.
        root: 32 bytes of `content_root()`. Trusted already: the record that holds it is not checked here.

    Raises:
        ProofError: A part has the wrong shape, two shown fields have one name, or the parts are not those, all of them
            and in this order, behind the root.

    Not checked: the names of hidden fields, which are the issuer's affair.
    """
    shown = tuple(part for part in parts if isinstance(part, Field))
    try:
        _check_names(shown)
        leaves = [field_leaf(part) if isinstance(part, Field) else part for part in parts]
    except ValueError as error:
        raise ProofError(str(error)) from error
    for leaf in leaves:
        if len(leaf) != 32:
            raise ProofError(f"a hidden field has {len(leaf)} bytes, not 32")
    reached = _content_root(leaves)
    if reached != root:
        raise ProofError(f"the fields lead to root {reached.hex()}, not {root.hex()}")
    return shown


def _content_root(leaves: Sequence[Digest]) -> Digest:
    return tagged_hash(Tag.CONTENT, len(leaves).to_bytes(4, "big") + root_of(leaves))


def _check_names(fields: Sequence[Field]) -> None:
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            raise ValueError(f"two fields are called {field.name}")
        seen.add(field.name)


def _prefixed(text: str) -> bytes:
    """Return the UTF-8 bytes after their number, 4 bytes big-endian: no two pairs of texts give the same bytes."""
    if not unicodedata.is_normalized("NFC", text):
        raise ValueError(f"{text!r} is not in normalisation form C")
    data = text.encode()
    return len(data).to_bytes(4, "big") + data
