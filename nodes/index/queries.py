"""What can be asked of the index: plain functions over one read connection, each answer as of one committed block."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from ledger.identifiers import BlockId, CreditCode, Digest, EnvelopeId, Height

_BLOCK = (
    "height, block_id, parent, time_ms, round, author, state_root, first_index, envelopes, records, accepted, deadlines"
)
_ENVELOPE = (
    "e.height, e.position, e.log_index, e.id, e.department, e.key_id, e.sequence, e.results, b.time_ms "
    "FROM envelopes e JOIN blocks b ON b.height = e.height"
)
_CHANGE = (
    "h.key, h.height, h.position, h.number, b.time_ms, r.kind, e.department, e.id, e.log_index FROM history h "
    "JOIN blocks b ON b.height = h.height "
    "LEFT JOIN envelopes e ON e.height = h.height AND e.position = h.position "
    "LEFT JOIN records r ON r.height = h.height AND r.position = h.position AND r.number = h.number"
)


class IndexedBlock(NamedTuple):
    """An executed block in figures."""

    height: Height
    block_id: BlockId
    parent: BlockId
    time_ms: int
    round: int
    author: int
    """Validator index of the proposer in the block's epoch."""
    state_root: Digest
    first_index: int
    """Log index of its first entry; the block record's is `first_index + envelopes`."""
    envelopes: int
    records: int
    accepted: int
    deadlines: int

    @property
    def log_size(self) -> int:
        """Entries of the log once this block was executed."""
        return self.first_index + self.envelopes + 1


class IndexedEnvelope(NamedTuple):
    """An envelope's place and results."""

    height: Height
    position: int
    log_index: int
    id: EnvelopeId
    department: CreditCode
    key_id: int
    sequence: int
    results: bytes
    time_ms: int


class IndexedRecord(NamedTuple):
    """A record's place, kind and result."""

    position: int
    number: int
    kind: str | None
    """Its tag, or None where the bytes are of no known kind."""
    code: int


class Change(NamedTuple):
    """One change of a state key: by a record, or by a deadline that passed."""

    key: bytes
    height: Height
    position: int
    """Negative for a deadline, as is `number`."""
    number: int
    time_ms: int
    kind: str | None
    """None for a deadline, as all that follows."""
    department: CreditCode | None
    envelope: EnvelopeId | None
    log_index: int | None


class Found(NamedTuple):
    """A data item that was searched for, and how well it matches: the lower the better."""

    rank: int
    data_item: str


def head(connection: sqlite3.Connection) -> IndexedBlock | None:
    """Return the newest block, or None before the first."""
    row = connection.execute(f"SELECT {_BLOCK} FROM blocks ORDER BY height DESC LIMIT 1").fetchone()
    return IndexedBlock(*row) if row else None


def block(connection: sqlite3.Connection, height: int) -> IndexedBlock | None:
    """Return the block at `height`, or None."""
    row = connection.execute(f"SELECT {_BLOCK} FROM blocks WHERE height = ?", (height,)).fetchone()
    return IndexedBlock(*row) if row else None


def blocks_before(connection: sqlite3.Connection, height: int, limit: int) -> list[IndexedBlock]:
    """Return up to `limit` blocks below `height`, newest first."""
    rows = connection.execute(
        f"SELECT {_BLOCK} FROM blocks WHERE height < ? ORDER BY height DESC LIMIT ?", (height, limit)
    )
    return [IndexedBlock(*row) for row in rows]


def blocks_from(connection: sqlite3.Connection, height: int, limit: int) -> list[IndexedBlock]:
    """Return up to `limit` blocks from `height` on, oldest first."""
    rows = connection.execute(f"SELECT {_BLOCK} FROM blocks WHERE height >= ? ORDER BY height LIMIT ?", (height, limit))
    return [IndexedBlock(*row) for row in rows]


def envelopes_of(connection: sqlite3.Connection, height: int, first: int, limit: int) -> list[IndexedEnvelope]:
    """Return up to `limit` envelopes of a block from position `first` on, in order."""
    rows = connection.execute(
        f"SELECT {_ENVELOPE} WHERE e.height = ? AND e.position >= ? ORDER BY e.position LIMIT ?",
        (height, first, limit),
    )
    return [IndexedEnvelope(*row) for row in rows]


def records_of(connection: sqlite3.Connection, height: int, first: int, last: int) -> list[IndexedRecord]:
    """Return the records of the envelopes at the positions `first` to `last` of a block, in order."""
    rows = connection.execute(
        "SELECT position, number, kind, code FROM records WHERE height = ? AND position BETWEEN ? AND ? "
        "ORDER BY position, number",
        (height, first, last),
    )
    return [IndexedRecord(*row) for row in rows]


def envelopes_with_id(connection: sqlite3.Connection, envelope: EnvelopeId, limit: int) -> list[IndexedEnvelope]:
    """Return where envelopes with this id stand, oldest first: more than one place if somebody sent it again."""
    rows = connection.execute(
        f"SELECT {_ENVELOPE} WHERE e.id = ? ORDER BY e.height, e.position LIMIT ?", (envelope, limit)
    )
    return [IndexedEnvelope(*row) for row in rows]


def entry(connection: sqlite3.Connection, log_index: int) -> tuple[Height, bytes] | None:
    """Return height and bytes of an entry of the log, or None."""
    row = connection.execute("SELECT height, entry FROM entries WHERE log_index = ?", (log_index,)).fetchone()
    return (Height(row[0]), row[1]) if row else None


def entries(connection: sqlite3.Connection, first: int, count: int) -> list[bytes]:
    """Return up to `count` entries of the log from index `first` on, in order; that of genesis is not in the index."""
    rows = connection.execute(
        "SELECT entry FROM entries WHERE log_index >= ? AND log_index < ? ORDER BY log_index", (first, first + count)
    )
    return [row[0] for row in rows]


def history(connection: sqlite3.Connection, key: bytes, after: tuple[int, int, int], limit: int) -> list[Change]:
    """Return up to `limit` changes of a state key after the place `(height, position, number)`, oldest first."""
    rows = connection.execute(
        f"SELECT {_CHANGE} WHERE h.key = ? AND (h.height, h.position, h.number) > (?, ?, ?) "
        "ORDER BY h.height, h.position, h.number LIMIT ?",
        (key, *after, limit),
    )
    return [Change(*row) for row in rows]


def first_set_in_log(
    connection: sqlite3.Connection, prefix: bytes, first: int, end: int
) -> list[tuple[bytes, int, int]]:
    """Return the state keys that begin with `prefix` and were first set by an entry of the log from `first` to `end`.

    Each comes with that entry's index and the record's position in it; `end` is not included.
    """
    return connection.execute(
        "SELECT h.key, e.log_index, h.number FROM entries n "
        "JOIN envelopes e ON e.height = n.height AND e.log_index = n.log_index "
        "JOIN history h ON h.height = e.height AND h.position = e.position AND h.key >= ? AND h.key < ? "
        "WHERE n.log_index >= ? AND n.log_index < ? AND NOT EXISTS (SELECT 1 FROM history f WHERE f.key = h.key "
        "AND (f.height, f.position, f.number) < (h.height, h.position, h.number))",
        (prefix, _after_all(prefix), first, end),
    ).fetchall()


def changes_in_block(connection: sqlite3.Connection, height: int, prefix: bytes) -> list[Change]:
    """Return the changes in one block of keys that begin with `prefix`, in the order of execution."""
    rows = connection.execute(
        f"SELECT {_CHANGE} WHERE h.height = ? AND h.key >= ? AND h.key < ? ORDER BY h.position, h.number, h.key",
        (height, prefix, _after_all(prefix)),
    )
    return [Change(*row) for row in rows]


def keys(connection: sqlite3.Connection, prefix: bytes, after: bytes, limit: int) -> list[bytes]:
    """Return up to `limit` state keys that begin with `prefix` and come after `after`, ascending."""
    rows = connection.execute(
        "SELECT key FROM keys WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?",
        (prefix, _after_all(prefix), after, limit),
    )
    return [key for (key,) in rows]


def count_keys(connection: sqlite3.Connection, prefixes: Sequence[bytes]) -> list[int]:
    """Return for each prefix how many state keys begin with it."""
    return [
        connection.execute(
            "SELECT count(*) FROM keys WHERE key >= ? AND key < ?", (prefix, _after_all(prefix))
        ).fetchone()[0]
        for prefix in prefixes
    ]


def data_items_with(connection: sqlite3.Connection, words: Sequence[bytes], after: Found) -> list[Found]:
    """Return the data items whose newest publication has all of these words somewhere, after a place in that order.

    First those whose names have all of them, then the others, each ascending by id. Every text is looked at, 20 ms for
    the 10,659 data items of a city, whatever the words: those of two characters are the rule in Chinese, and no index
    of SQLite's finds them inside others.

    Args:
        words: As `texts.words_of` returns them. Without any, all data items match by name.
    """
    in_names = " AND ".join(["instr(t.names, ?)"] * len(words)) or "1"
    anywhere = " AND ".join(["instr(t.content, ?)"] * len(words)) or "1"
    newest = (
        "(SELECT n.height, n.position, n.number FROM texts n WHERE n.data_item = t.data_item "
        "ORDER BY n.height DESC, n.position DESC, n.number DESC LIMIT 1)"
    )
    rows = connection.execute(
        f"SELECT * FROM (SELECT NOT ({in_names}) AS rank, t.data_item FROM texts t "
        f"WHERE {anywhere} AND (t.height, t.position, t.number) = {newest}) "
        "WHERE (rank, data_item) > (?, ?) ORDER BY rank, data_item",
        (*words, *words, *after),
    )
    return [Found(*row) for row in rows]


def _after_all(prefix: bytes) -> bytes:
    """Return the smallest key after all that begin with `prefix`, which ends in a byte below 0xFF."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
