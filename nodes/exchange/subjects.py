"""Whom the rows of a delivery were about, as keyed tags beside the data: never on the ledger, never as names.

    tag = first 16 bytes of HMAC-SHA-256(key of the delivery, identifier in its normal form)

Who is asked "who has read data about me?" computes the tag of that person under the key of each delivery and looks for
it. Without the keys the tags say nothing, and two deliveries about one person have nothing in common.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

from ledger.content import Scalar
from ledger.crypto.hashing import truncated_macs, truncated_macs_of_lines

TAG_BYTES = 16
"""Half of the MAC. A false hit among 10^12 tags has a chance of 3 in 10^27."""

_BLOCK_BYTES = 64
"""Of SHA-256, to which HMAC pads its key (RFC 2104)."""


class Tagger:
    """Makes the tags of one delivery, many at a time: one call for a whole batch."""

    def __init__(self, key: bytes) -> None:
        """Args: `key` is 32 random bytes, for this delivery alone."""
        if len(key) != hashlib.sha256().digest_size:
            raise ValueError(f"the key has {len(key)} bytes, not 32")
        padded = key.ljust(_BLOCK_BYTES, b"\x00")
        self._inner = bytes(byte ^ 0x36 for byte in padded)
        self._outer = bytes(byte ^ 0x5C for byte in padded)

    def tags(self, identifiers: Sequence[Scalar]) -> bytes:
        """Return the tags, one after the other, of identifiers as a database holds them; nil has none."""
        if (lines := _normal_lines(identifiers)) is not None:
            return truncated_macs_of_lines(self._inner, self._outer, lines, TAG_BYTES)
        known = [one if isinstance(one, bytes) else str(one) for one in identifiers if one is not None]
        if (lines := _normal_lines(known)) is not None:
            return truncated_macs_of_lines(self._inner, self._outer, lines, TAG_BYTES)
        return truncated_macs(self._inner, self._outer, list(map(normal_form, known)), TAG_BYTES)


def normal_form(identifier: Scalar) -> bytes:
    """Return the bytes by which one identifier is known, however it is written.

    Full-width and half-width, upper and lower case are the same, and so are blanks and hyphens and their absence: an
    identity number is one number whether it ends in `x` or `X`.
    """
    if isinstance(identifier, bytes):
        return identifier
    return _normal(str(identifier))


def _normal_lines(identifiers: Sequence[Scalar]) -> bytes | None:
    """Return the normal forms of all as lines, at a tenth of the cost; None if one is no text or has a line end.

    Neither composition nor capitals reach beyond the end of a line, so each line is as it would be alone.
    """
    try:
        lines = _normal("\n".join(identifiers))  # type: ignore[arg-type]
    except TypeError:
        return None
    return lines if lines.count(b"\n") == len(identifiers) - 1 else None


_LEFT_OUT = b" -\t"


def _normal(text: str) -> bytes:
    normal = unicodedata.normalize("NFKC", text).upper().encode()
    # Looking for a byte is cheap, going through all of them is not, and most identifiers have none of these.
    return normal.translate(None, _LEFT_OUT) if any(byte in normal for byte in _LEFT_OUT) else normal


def holds_tag(tags: bytes, tag: bytes) -> bool:
    """Return whether `tag` is one of `tags`. Bytes across the border of two tags are no tag."""
    at = tags.find(tag)
    while at >= 0 and at % TAG_BYTES:
        at = tags.find(tag, at + 1)
    return at >= 0
