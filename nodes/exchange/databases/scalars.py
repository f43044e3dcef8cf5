"""What a delivered value is: nil, a whole number, a truth value, bytes or text.

These are the five kinds of MessagePack that have one form everywhere, and rows are hashed on their way. So no float
travels as a float: it goes as the shortest decimal that reads back as the same number, and exact decimals, dates and
all else as the database's own text. Text goes as it is stored, not normalised, for a delivery must be what the
department holds. docs/databases.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from ledger.content import Row, Scalar

BATCH_BYTES = 1 << 20
"""What a batch should take at most, roughly: a chunk's worth of rows."""
BATCH_ROWS_MAX = 1_024
"""The cost of a batch is spread over enough rows then, and its values are still in the processor's cache when they are
coded, here and at the requester: with four times as many both take a fifth longer."""
_BATCH_ROWS_FIRST = 64
SAMPLES = 16
"""Rows of a batch that are looked at for their width."""


def floats_as_text(rows: list[tuple[Any, ...]]) -> list[Row]:
    """Return `rows` with every float as its shortest decimal; the list itself if there is none.

    SQLite lets any column hold one, so the values are asked and not the columns. Asking takes 20 ns a value; where
    there are floats, rows are turned into columns and back, so that only theirs are gone through one by one.
    """
    if float not in set(map(type, chain.from_iterable(rows))):
        return rows
    return list(zip(*map(_column_without_floats, zip(*rows, strict=True)), strict=True))


def _column_without_floats(column: tuple[Any, ...]) -> Iterable[Scalar]:
    if float not in set(map(type, column)):
        return column
    return [repr(value) if type(value) is float else value for value in column]


class BatchSize:
    """How many rows to fetch next, so that a batch stays near `BATCH_BYTES` whatever a row is wide."""

    def __init__(self, rows_max: int = BATCH_ROWS_MAX) -> None:
        self.rows, self._rows_max = _BATCH_ROWS_FIRST, rows_max

    def learn(self, batch: Sequence[tuple[Any, ...]]) -> None:
        """Take the width of the rows from a sample of a batch that is not empty. Growth is fourfold at most."""
        sample = batch[:: len(batch) // SAMPLES + 1]
        taken = sum(len(value) if isinstance(value, str | bytes) else 8 for row in sample for value in row)
        fitting = BATCH_BYTES * len(sample) // max(taken, 1)
        self.rows = max(1, min(fitting, self.rows * 4, self._rows_max))
