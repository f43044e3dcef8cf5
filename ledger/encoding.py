"""The one byte form: MessagePack arrays in field order, first a type tag and a version.

Anything that is hashed or signed is a `Canonical` value. Two rules make the form the only one: `encode` is a pure
function of the value, and `decode` accepts bytes only if encoding the decoded value gives the same bytes back. So a
longer integer form, a map, an extension type, a float or a text that is not NFC never gets in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import eq
from typing import Annotated, Any, ClassVar, Literal, TypeVar, dataclass_transform
from unicodedata import is_normalized

import msgspec
import msgspec.inspect

from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import Digest

T = TypeVar("T", bound="Canonical")

Digest32 = Annotated[Digest, msgspec.Meta(min_length=32, max_length=32)]
Key32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature64 = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
UInt63 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""Fits a signed 64-bit column, so that every store and every language can hold it."""

ShortText = Annotated[str, msgspec.Meta(max_length=200)]
"""A name or a title, at most 200 characters."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Canonical(
    msgspec.Struct,
    array_like=True,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    tag_field="tag",
):
    """A value with one byte form: `[tag, version, field, field, ...]`.

    Subclasses are declared with `tag="..."` and `kw_only=True` (which keeps the version in its place, before them) and
    list their fields in the order of their byte form. No field has a default: it would be a second spelling.
    """

    size_max: ClassVar[int] = 1 << 20
    """Longest encoding in bytes that `decode` looks at; subclasses set a tighter bound."""

    version: Literal[1] = 1

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return _encode(self)


_encode = msgspec.msgpack.Encoder().encode


def encode(value: Canonical) -> bytes:
    """Return the canonical bytes of `value`."""
    return _encode(value)


def encode_bytes(value: bytes) -> bytes:
    """Return the canonical bytes of a field that holds `value`."""
    return _encode(value)


def decode(kind: type[T], data: bytes) -> T:
    """Return the value of type `kind` whose canonical bytes are `data`.

    Args:
        kind: A concrete subclass of `Canonical`.
        data: Bytes from anywhere; hostile until this function returns.

    Raises:
        OversizeError: `data` is longer than `kind.size_max`. Nothing was parsed.
        DecodeError: Not MessagePack, other fields or types than `kind` has, or another spelling of the same value.
    """
    if len(data) > kind.size_max:
        raise OversizeError(kind.__name__, size=len(data), size_max=kind.size_max)
    value: T = decode_any(kind, data)
    return value


def decode_any(kind: Any, data: bytes) -> Any:
    """As `decode`, for a union of `Canonical` types told apart by their tags; the caller has checked the size.

    Finding a union's decoder takes longer than decoding: who decodes many values makes a `Decoder` once.
    """
    return _decoder(kind).decode(data)


class Decoder:
    """Decodes values of one `Canonical` kind, or of a union of kinds told apart by their tags.

    The caller has checked the size.
    """

    __slots__ = ("_name", "_parse")

    def __init__(self, kind: Any) -> None:
        self._name = getattr(kind, "__name__", str(kind))
        self._parse = msgspec.msgpack.Decoder(kind).decode

    def decode(self, data: bytes) -> Any:
        """Return the value whose canonical bytes are `data`.

        Raises:
            DecodeError: As for `decode()`.
        """
        try:
            value = self._parse(data)
        except _NOT_PARSED as error:
            raise DecodeError(f"{self._name}: {error}") from error
        if _encode(value) != data:
            raise DecodeError(f"{self._name}: not in canonical form")
        if not _is_nfc(value):
            raise DecodeError(f"{self._name}: text is not in normalisation form C")
        return value

    def decode_all(self, encoded: Sequence[bytes]) -> list[Any] | None:
        """Return what `decode` returns for each, or None if it raises for any; without a Python call for each.

        Whoever gets None asks for each alone, and so learns which it was and why.
        """
        try:
            values = list(map(self._parse, encoded))
        except _NOT_PARSED:
            return None
        if not all(map(eq, map(_encode, values), encoded)):
            return None
        return values if _is_nfc_as_json(values) or all(map(_is_nfc, values)) else None

    def parse_all(self, encoded: Sequence[bytes]) -> list[Any]:
        """Return the values of bytes that `decode` has accepted before; it is not asked again."""
        return list(map(self._parse, encoded))


_NOT_PARSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decoder = cache(Decoder)
_encode_as_json = msgspec.json.Encoder().encode


def _is_nfc_as_json(values: Sequence[Any]) -> bool:
    """Return True only if `_is_nfc` holds for each value, from one text that holds all of theirs.

    JSON writes bytes in base 64 and everything else but text in ASCII. Every part of a text in form C is in form C, and
    what JSON writes otherwise than it stands, quotes and control characters, composes with nothing. A letter that it
    writes for one of those may, so a False says nothing.
    """
    text = _encode_as_json(values)
    return text.isascii() or is_normalized("NFC", text.decode())


def _is_nfc(value: Any) -> bool:
    kind: Any = type(value)
    if kind is str:
        return value.isascii() or is_normalized("NFC", value)
    if kind is tuple:
        return all(map(_is_nfc, value))
    if isinstance(value, msgspec.Struct):
        return all(_is_nfc(getattr(value, name)) for name in _fields_with_text(kind))
    return True


@cache
def _fields_with_text(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the fields of `kind` that can hold text, so that a walk for text passes by digests and numbers."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return tuple(field.encode_name for field in info.fields if _may_hold_text(field.type, (kind,)))


def _may_hold_text(info: msgspec.inspect.Type, seen: tuple[type, ...]) -> bool:
    match info:
        case msgspec.inspect.VarTupleType():
            return _may_hold_text(info.item_type, seen)
        case msgspec.inspect.TupleType():
            return any(_may_hold_text(item, seen) for item in info.item_types)
        case msgspec.inspect.UnionType():
            return any(_may_hold_text(one, seen) for one in info.types)
        case msgspec.inspect.StructType():
            # A type inside itself adds no text of its own.
            return info.cls not in seen and any(_may_hold_text(f.type, (*seen, info.cls)) for f in info.fields)
        case (
            msgspec.inspect.IntType()
            | msgspec.inspect.BytesType()
            | msgspec.inspect.BoolType()
            | msgspec.inspect.NoneType()
            | msgspec.inspect.LiteralType()
        ):
            return False
    return True
