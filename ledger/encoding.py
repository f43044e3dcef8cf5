"""The one byte form: MessagePack arrays in field order, first a type tag and a version.

Anything that is hashed or signed is a `Canonical` value. Two rules make the form the only one: `encode` is a pure
function of the value, and `decode` accepts bytes only if encoding the decoded value gives the same bytes back. So a
longer integer form, a map, an extension type, a float or a text that is not NFC never gets in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from operator import attrgetter, eq
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


def encode_all(values: Iterable[Canonical]) -> list[bytes]:
    """Return the canonical bytes of each value, in order, without a Python call for each."""
    return list(map(_encode, values))


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

    __slots__ = ("_kind", "_name", "_parse")

    def __init__(self, kind: Any) -> None:
        self._kind = kind
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

    def decode_all(self, encoded: Sequence[bytes], doubtful: Collection[int] | None = None) -> list[Any] | None:
        """Return what `decode` returns for each, or None if it raises for any; without a Python call for each.

        Whoever gets None asks for each alone, and so learns which it was and why.

        Args:
            doubtful: Positions of those that may be another spelling of their value, or hold text that is not NFC, as
                far as can be seen without their types (`examine_envelopes` in `ledger/_native.pyi`); None if any may.
        """
        try:
            values = list(map(self._parse, encoded))
        except _NOT_PARSED:
            return None
        in_doubt, their_bytes = values, encoded
        if doubtful is not None and _has_one_spelling(self._kind):
            in_doubt, their_bytes = [values[at] for at in doubtful], [encoded[at] for at in doubtful]
        if not all(map(eq, map(_encode, in_doubt), their_bytes)):
            return None
        return values if _are_nfc(in_doubt) else None

    def parse_all(self, encoded: Sequence[bytes]) -> list[Any]:
        """Return the values of bytes that `decode` has accepted before; it is not asked again."""
        return list(map(self._parse, encoded))


_NOT_PARSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decoder = cache(Decoder)
_encode_as_json = msgspec.json.Encoder().encode


@cache
def _has_one_spelling(kind: Any) -> bool:
    """Return whether a value of `kind` can be parsed from no other items than those that encoding it writes.

    msgspec takes for each of these types one family of MessagePack alone, and all fields of a struct but those at the
    end that have defaults. So what has the shortest form for each item is the canonical form, whatever its types.
    """
    return all(map(_keeps_its_items, _parts_of(msgspec.inspect.type_info(kind))))


def _keeps_its_items(info: msgspec.inspect.Type) -> bool:
    if isinstance(info, msgspec.inspect.StructType):
        return info.array_like and info.forbid_unknown_fields and info.fields[-1].required
    return isinstance(info, _PLAIN_TYPES)


_PLAIN_TYPES = (
    msgspec.inspect.StrType,
    msgspec.inspect.IntType,
    msgspec.inspect.BytesType,
    msgspec.inspect.BoolType,
    msgspec.inspect.NoneType,
    msgspec.inspect.LiteralType,
    msgspec.inspect.VarTupleType,
    msgspec.inspect.UnionType,
)


def _parts_of(info: msgspec.inspect.Type, seen: tuple[type, ...] = ()) -> Iterator[msgspec.inspect.Type]:
    """Yield a type and all types inside it; a struct inside itself once."""
    yield info
    inside: Iterable[msgspec.inspect.Type] = ()
    match info:
        case msgspec.inspect.VarTupleType():
            inside = (info.item_type,)
        case msgspec.inspect.UnionType():
            inside = info.types
        case msgspec.inspect.StructType() if info.cls not in seen:
            seen = (*seen, info.cls)
            inside = [field.type for field in info.fields]
    for part in inside:
        yield from _parts_of(part, seen)


def _are_nfc(values: Sequence[Any]) -> bool:
    """Return whether `_is_nfc` holds for each value."""
    by_kind: defaultdict[type, list[Any]] = defaultdict(list)
    for value in values:
        by_kind[type(value)].append(value)
    return all(_are_nfc_of_kind(kind, own) for kind, own in by_kind.items())


def _are_nfc_of_kind(kind: type, values: Sequence[Any]) -> bool:
    """Return whether `_is_nfc` holds for each value of one kind; nearly always from one text that holds all of theirs.

    JSON writes everything but text in ASCII. Every part of a text in form C is in form C, and what JSON writes
    otherwise than it stands, quotes and control characters, composes with nothing. A letter that it writes for one of
    those may compose, so a text that is not in form C says nothing.
    """
    texts_of = _texts_of(kind)
    if texts_of is None:
        return True
    text = _encode_as_json(list(map(texts_of, values)))
    return text.isascii() or is_normalized("NFC", text.decode()) or all(map(_is_nfc, values))


@cache
def _texts_of(kind: type[msgspec.Struct]) -> Callable[[Any], Any] | None:
    """Return what takes from a value of `kind` the fields that can hold text; None if there are none."""
    paths = list(_paths_to_text(kind))
    return attrgetter(*paths) if paths else None


def _paths_to_text(kind: type[msgspec.Struct]) -> Iterator[str]:
    fields = {field.name: field.type for field in msgspec.inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    for name in _fields_with_text(kind):
        if isinstance(inner := fields[name], msgspec.inspect.StructType):
            # The digests beside its text need not be looked at.
            yield from (f"{name}.{path}" for path in _paths_to_text(inner.cls))
        else:
            yield name


def _is_nfc(value: Any) -> bool:
    kind: Any = type(value)
    if kind is str:
        return value.isascii() or is_normalized("NFC", value)
    if kind is tuple:
        return all(map(_is_nfc, value))
    if isinstance(value, msgspec.Struct):
        for name in _fields_with_text(kind):
            field = getattr(value, name)
            # Most fields are texts in ASCII: asked here, they cost no call.
            if not (type(field) is str and field.isascii()) and not _is_nfc(field):
                return False
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
