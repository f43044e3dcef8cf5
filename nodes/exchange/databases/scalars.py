"""What a delivered value is: one of five kinds that MessagePack has and that are hashed the same everywhere.

| in the database | delivered |
|---|---|
| NULL | nil |
| whole numbers of up to 64 bits | int |
| true, false | bool (SQLite has none: its 0 and 1 stay int) |
| BYTEA, BLOB | bytes |
| text | str, exactly as stored: it is not normalised, for a delivery must be what the department holds |
| dates and times | str, ISO 8601 with a space for the `T`, as PostgreSQL writes them; with a zone in UTC |
| exact decimals | str, with all of their digits |
| floating point | str, the shortest decimal that reads back as the same number |
| anything else (JSON, UUID, arrays ...) | str, in the database's own text form |

No float travels as a float: what is hashed here has none (docs/formats.md), and a decimal does not fit one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

Scalar: TypeAlias = int | str | bytes | bool | None
Row: TypeAlias = tuple[Scalar, ...]

BATCH_BYTES = 1 << 20
"""What a batch should take at most, roughly: a chunk's worth of rows."""
BATCH_ROWS_MAX = 4_096
"""Beyond it nothing is gained: the cost of a batch is spread over enough rows."""
_BATCH_ROWS_FIRST = 64
_SAMPLES = 16


def floats_as_text(rows: list[tuple[Any, ...]]) -> list[Row]:
    """Return `rows` with every float as its shortest decimal; the list itself if there is none.

    SQLite lets any column hold one, so the values are asked and not the columns. Asking takes 20 ns a value.
    """
    if float not in set(map(type, chain.from_iterable(rows))):
        return rows
    return [tuple(repr(value) if type(value) is float else value for value in row) for row in rows]


class BatchSize:
    """How many rows to fetch next, so that a batch stays near `BATCH_BYTES` whatever a row is wide."""

    def __init__(self) -> None:
        self.rows = _BATCH_ROWS_FIRST

    def learn(self, batch: Sequence[tuple[Any, ...]]) -> None:
        """Take the width of the rows from a sample of a batch that is not empty. Growth is fourfold at most."""
        sample = batch[:: len(batch) // _SAMPLES + 1]
        taken = sum(len(value) if isinstance(value, str | bytes) else 8 for row in sample for value in row)
        fitting = BATCH_BYTES * len(sample) // max(taken, 1)
        self.rows = max(1, min(fitting, self.rows * 4, BATCH_ROWS_MAX))
