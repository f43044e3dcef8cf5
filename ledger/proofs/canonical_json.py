"""Canonical JSON, the form of proofs that leave the network: what is read is exactly what would be written.

A `Document` is read into its typed fields and written again in the canonical form of RFC 8785; only if that gives the
same bytes was it read at all. So white space, another order of keys, a key that comes twice, a number with a fraction
or an exponent, an escape that is not needed or base64 with loose bits never gets in. Bytes are base64 with padding.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from ledger.errors import DecodeError, OversizeError

T = TypeVar("T", bound="Document")

SafeIndex = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
"""A whole number that every reader of JSON keeps exact; RFC 8785 knows no larger one."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A JSON object with fixed keys. A key that may be missing has `msgspec.UNSET` as its default, never null."""

    size_max: ClassVar[int] = 1 << 18
    """Longest text in bytes that `parse` looks at."""

    def print(self) -> bytes:
        """Return the canonical JSON, without a line end."""
        return _print(self)


def parse(kind: type[T], data: bytes) -> T:
    """Return the document of type `kind` whose canonical JSON is `data`.

    Raises:
        OversizeError: `data` is longer than `kind.size_max`. Nothing was parsed.
        DecodeError: Not JSON, other keys or types than `kind` has, or another spelling of the same document.
    """
    if len(data) > kind.size_max:
        raise OversizeError(kind.__name__.lower(), size=len(data), size_max=kind.size_max)
    try:
        document: T = _decoder(kind).decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not a {kind.__name__.lower()}: {error}") from error
    if _print(document) != data:
        raise DecodeError(f"the {kind.__name__.lower()} is not in the canonical form of RFC 8785")
    return document


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


_encode = msgspec.json.Encoder(order="sorted").encode
"""Writes what a `Document` can hold as RFC 8785 does: a test compares every character with another implementation.

Keys are ASCII, so that their order is one; there are no fractions, and no number beyond `SafeIndex`.
"""


def _print(document: Document) -> bytes:
    try:
        return _encode(document)
    except UnicodeEncodeError as error:
        raise DecodeError(f"no canonical JSON can say this: {error}") from error
