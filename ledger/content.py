"""Rows as bytes and back: what stands inside a sealed stream.

    content = block, block, ...         block = length as 4 bytes, big-endian || that many bytes
    first block: ["content", 1, table, schema, columns], canonical
    every other block: a MessagePack array of rows, each an array with one value a column

Values are nil, booleans, signed integers of 64 bits, text and byte strings, and nothing else: what a database has
beyond that travels as text, as the provider's node writes it. Many rows go into one block, because one call for a
thousand rows costs little more than one for ten. No I/O here; both directions hold one block at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

import msgspec
from msgspec import Meta

from ledger.encoding import Canonical, Digest32, decode
from ledger.errors import DecodeError, InvalidInputError

Scalar: TypeAlias = int | str | bytes | bool | None
Row: TypeAlias = tuple[Scalar, ...]

LENGTH_BYTES = 4

BLOCK_BYTES_MAX = 64 << 20
"""One block, and so one row: bounds what a reader holds before it understands. A row this long is a file, not a row."""

ROWS_BYTES_MAX = 4 << 20
"""One block of several rows. A value of three bytes takes twenty times as much in memory, so a reader decodes no more
of them at once; a longer block holds one row."""

INTEGER_MAX = (1 << 63) - 1
"""MessagePack goes one bit further, and databases do not."""

COLUMNS_MAX = 500
"""As many as a data item may have information items."""


class UnsendableValueError(InvalidInputError):
    """The database holds a value that content cannot carry; the message names no value, only its kind."""

    code = "unsendable_value"


class BrokenContentError(InvalidInputError):
    """The stream was intact and what it holds is not content: its provider has sealed something else."""

    code = "broken_content"


class ContentHeader(Canonical, tag="content", kw_only=True):
    """What the rows are, and of which state of the table."""

    size_max: ClassVar[int] = 1 << 20

    table: Annotated[str, Meta(max_length=200)]
    """Id of the table in the directory."""
    schema: Digest32
    """Schema hash of that table, as the database had it when the rows were read."""
    columns: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(min_length=1, max_length=COLUMNS_MAX)]
    """Names of the information items, in the order of each row's values."""


def encode_header(header: ContentHeader) -> bytes:
    """Return the first block."""
    return _block(header.encode())


def encode_rows(rows: Sequence[Row]) -> Iterator[bytes]:
    """Yield the blocks of a batch of rows: one, but for rows so long that they need more.

    Args:
        rows: Integers as databases have them, signed and of 64 bits. MessagePack has some more, which readers refuse;
            to look for them here would take longer than the coding.

    Raises:
        UnsendableValueError: A value cannot be carried, or one row is longer than a block.
    """
    try:
        body = _encode(rows)
    except (TypeError, OverflowError, ValueError) as error:
        # The library's message could hold the value itself.
        raise UnsendableValueError(f"a value of the rows cannot be sent: {type(error).__name__}") from None
    if len(body) <= ROWS_BYTES_MAX or (len(rows) == 1 and len(body) <= BLOCK_BYTES_MAX):
        yield _block(body)
    elif len(rows) == 1:
        raise UnsendableValueError(f"a row has {len(body)} bytes; at most {BLOCK_BYTES_MAX} are sent")
    else:
        half = len(rows) // 2
        yield from encode_rows(rows[:half])
        yield from encode_rows(rows[half:])


class ContentReader:
    """Takes content in pieces of any length, and gives the header, then the rows."""

    def __init__(self) -> None:
        self.header: ContentHeader | None = None
        """Known once the first block is there."""
        self.rows = 0
        self._pending = bytearray()
        self._decode: msgspec.msgpack.Decoder[list[Row]]
        self._decode_without_bytes: msgspec.msgpack.Decoder[list[Row]] | None

    def feed(self, content: bytes) -> Iterator[list[Row]]:
        """Take the next piece, and yield the batches of rows that it completes.

        Raises:
            BrokenContentError: It is not content. The reader is of no further use.
        """
        for body in self._blocks(memoryview(content)):
            if self.header is None:
                self._begin(bytes(body))
            else:
                yield self._rows_of(body)

    def finish(self) -> ContentHeader:
        """Check that the content ended with a block, and return its header.

        Raises:
            BrokenContentError: It ended inside of one, or before the first.
        """
        if self._pending or self.header is None:
            raise BrokenContentError(f"the content ends inside of a block, {len(self._pending)} bytes into it")
        return self.header

    def _blocks(self, content: memoryview) -> Iterator[memoryview]:
        """Yield what stands in the blocks that `content` completes; of a block in two pieces alone a copy is made."""
        while content:
            if not self._pending and (end := _end_of_block(content)) is not None:
                yield content[LENGTH_BYTES:end]
                content = content[end:]
                continue
            lacking = _length_of_block(self._pending) - len(self._pending)
            self._pending += content[:lacking]
            content = content[lacking:]
            if _end_of_block(self._pending) is not None:
                block, self._pending = self._pending, bytearray()
                yield memoryview(block)[LENGTH_BYTES:]

    def _begin(self, body: bytes) -> None:
        try:
            self.header = decode(ContentHeader, body)
        except DecodeError as error:
            raise BrokenContentError(f"the first block is not a header: {error}") from error
        count = len(self.header.columns)
        self._decode = _decoder_of(Any, count)
        self._decode_without_bytes = _decoder_of(Annotated[int, Meta(le=INTEGER_MAX)] | str | bool | None, count)

    def _rows_of(self, body: memoryview) -> list[Row]:
        rows = None
        if len(body) <= ROWS_BYTES_MAX or body[:1] == _ARRAY_OF_ONE:
            rows = self._plain_rows(body)
            if rows is None:
                rows = self._any_rows(body)
        if rows is None:
            # Only where it is wrong: what is wrong could be personal.
            raise BrokenContentError(f"after {self.rows} rows a block is not rows of the header's columns")
        self.rows += len(rows)
        return rows

    def _plain_rows(self, body: memoryview) -> list[Row] | None:
        """Return the rows of a block without byte strings, whose kinds the codec itself looks at; None for any other.

        It knows no type for "text or byte string". Most tables have none of these, so the first that has ends the try.
        """
        if self._decode_without_bytes is None:
            return None
        try:
            return self._decode_without_bytes.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._decode_without_bytes = None
            return None

    def _any_rows(self, body: memoryview) -> list[Row] | None:
        """Return the rows of a block, their kinds looked at here, at 20 ns a value; None if they are no rows."""
        try:
            rows = self._decode.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        carried = _SCALARS.issuperset(map(type, chain.from_iterable(rows))) and not _has_too_large_integer(rows, body)
        return rows if carried else None


_SCALARS = frozenset(get_args(Scalar))
_ARRAY_OF_ONE = b"\x91"
_TOO_LARGE = re.compile(rb"\xcf[\x80-\xff]")
_encode = msgspec.msgpack.Encoder().encode


def _decoder_of(value: Any, columns: int) -> msgspec.msgpack.Decoder[list[Row]]:
    row: Any = tuple[(value,) * columns]  # type: ignore[misc]
    return msgspec.msgpack.Decoder(list[row])


def _has_too_large_integer(rows: Sequence[Row], body: memoryview) -> bool:
    # Looking for the bytes that such a one begins with costs next to nothing. Other values may have them inside.
    if _TOO_LARGE.search(body) is None:
        return False
    return max([value for value in chain.from_iterable(rows) if type(value) is int], default=0) > INTEGER_MAX


def _end_of_block(content: bytearray | memoryview) -> int | None:
    """Return where the first block ends, or None if it is not whole."""
    length = _length_of_block(content)
    return length if len(content) >= length else None


def _length_of_block(content: bytearray | memoryview) -> int:
    """Return the bytes of the first block; as long as its length is not whole, those of the length."""
    if len(content) < LENGTH_BYTES:
        return LENGTH_BYTES
    size = int.from_bytes(content[:LENGTH_BYTES], "big")
    if size > BLOCK_BYTES_MAX:
        raise BrokenContentError(f"a block has {size} bytes; at most {BLOCK_BYTES_MAX} are taken")
    return LENGTH_BYTES + size


def _block(body: bytes) -> bytes:
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
