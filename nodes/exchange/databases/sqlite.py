"""A department's database in SQLite.

SQLite has no roles, so each query gets a connection that can do nothing else. It opens the file read-only and makes a
temporary view of the granted columns and rows. Then an authorizer is set: SQLite asks it about every column of every
statement and will prepare none that reads past that view.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path

from ledger.content import Row
from ledger.registers.catalogue import Column
from nodes.exchange.databases.columns import described_column
from nodes.exchange.databases.database import GrantedAccess, GrantedQuery
from nodes.exchange.databases.drift import check_schema
from nodes.exchange.databases.errors import (
    DatabaseBusyError,
    DatabaseUnavailableError,
    QueryFailedError,
    TableMissingError,
)
from nodes.exchange.databases.scalars import BatchSize, floats_as_text

LOCK_WAIT_S = 5.0
"""What the department's own writer gets to finish. With a write-ahead log nobody waits for anybody."""

VERSION_MIN = (3, 37)
"""The first that lists tables with `PRAGMA table_list`."""

_VIEW = "mulu granted rows"
_VALUES = "mulu granted values"
_UNAVAILABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR}


class SqliteDatabase:
    """A `Database` in one file."""

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < VERSION_MIN:
            needed = ".".join(map(str, VERSION_MIN))
            raise DatabaseUnavailableError(f"SQLite {sqlite3.sqlite_version} is too old: {needed} is needed")
        self.path = path

    def describe(self, table: str) -> tuple[Column, ...]:
        """See `Database.describe`. A column declared without a type is a `BLOB`, as SQLite treats it."""
        with _reading(self.path) as connection:
            return _describe(connection, table)

    def enforce(self, access: GrantedAccess) -> None:
        """Check the table; nothing is left in the file, each connection is made for one grant anew."""
        with _reading(self.path) as connection:
            check_schema(access.table, access.schema, _describe(connection, access.table))

    def release(self, grant: str) -> None:
        """Nothing is there to be taken away."""

    def stream(self, query: GrantedQuery) -> Generator[list[Row], None, None]:
        """See `Database.stream`. Without a write-ahead log the department's writer waits until the stream ends."""
        with guarded(self.path, query.access) as connection:
            select, values = _select(query)
            size = BatchSize()
            # An open statement outlives its connection, and with it the lock that keeps the department from writing.
            with contextlib.closing(connection.execute(select, values)) as cursor:
                while rows := cursor.fetchmany(size.rows):
                    size.learn(rows)
                    yield floats_as_text(rows)

    def exists(self, query: GrantedQuery) -> bool:
        """See `Database.exists`."""
        with guarded(self.path, query.access) as connection:
            select, values = _select(query)
            found: tuple[int] = connection.execute(f"SELECT EXISTS ({select})", values).fetchone()
            return bool(found[0])

    def close(self) -> None:
        """Nothing is held between calls."""


@contextlib.contextmanager
def guarded(path: Path, access: GrantedAccess) -> Iterator[sqlite3.Connection]:
    """Lend a connection on which SQLite itself refuses everything but reading what `access` opens.

    Raises:
        TableMissingError, SchemaDriftedError: As `Database.stream`.
    """
    with _reading(path) as connection:
        # One transaction from here on: the table that was checked is the table that is read.
        check_schema(access.table, access.schema, _describe(connection, access.table))
        _make_view(connection, access)
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_guard)
        yield connection


def _guard(action: int, table: str | None, column: str | None, database: str | None, source: str | None) -> int:
    """Allow a plain SELECT, of the view's columns, and to the view itself what it is made of."""
    match action:
        case sqlite3.SQLITE_SELECT:
            return sqlite3.SQLITE_OK
        case sqlite3.SQLITE_READ if source == _VIEW or (table, database) == (_VIEW, "temp"):
            return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _make_view(connection: sqlite3.Connection, access: GrantedAccess) -> None:
    # A view takes no parameters, so the values of its conditions lie in a temporary table beside it.
    values = f"temp.{quoted(_VALUES)}"
    connection.execute(f"CREATE TABLE {values} (condition INTEGER, value)")
    conditions = []
    for number, condition in enumerate(access.conditions):
        connection.executemany(f"INSERT INTO {values} VALUES ({number}, ?)", [(value,) for value in condition.values])
        column = quoted(condition.column)
        conditions.append(f"granted.{column} IN (SELECT value FROM {values} WHERE condition = {number})")
    # With the table's alias before it a quoted name is a column or an error; alone SQLite may take it for a text.
    columns = ", ".join(f"granted.{quoted(name)}" for name in access.columns)
    order = ", ".join(f"granted.{name}" for name in _order(connection, access))
    connection.execute(
        f"CREATE VIEW temp.{quoted(_VIEW)} AS SELECT {columns} FROM main.{quoted(access.table)} AS granted"
        f" WHERE {' AND '.join(conditions) or '1'} ORDER BY {order}"
    )


def _select(query: GrantedQuery) -> tuple[str, list[str]]:
    columns = ", ".join(f"granted.{quoted(name)}" for name in query.columns)
    conditions = [
        f"granted.{quoted(condition.column)} IN ({', '.join('?' * len(condition.values))})"
        for condition in query.selection
    ]
    select = f"SELECT {columns} FROM temp.{quoted(_VIEW)} AS granted WHERE {' AND '.join(conditions) or '1'}"
    return select, [value for condition in query.selection for value in condition.values]


def _order(connection: sqlite3.Connection, access: GrantedAccess) -> list[str]:
    """Return what to order by: the primary key where it is granted, else where the rows lie in the file."""
    key = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM pragma_table_info(?, 'main') WHERE pk > 0 ORDER BY pk", (access.table,)
        )
    ]
    (without_rowid,) = connection.execute(
        "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (access.table,)
    ).fetchone()
    # The rows of a table without row numbers lie in the order of its key.
    if key and (without_rowid or set(key) <= set(access.columns)):
        return [quoted(name) for name in key]
    taken = {column.name.lower() for column in access.schema}
    rowid = next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)
    return [rowid] if rowid else [quoted(name) for name in access.columns]


def _describe(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    kinds = connection.execute("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'", (table,)).fetchall()
    if kinds != [("table",)]:
        raise TableMissingError(table)
    # Hidden are 1: the columns of virtual tables; 2 and 3 are computed ones, which read like any other.
    rows = connection.execute("SELECT name, type FROM pragma_table_xinfo(?, 'main') WHERE hidden <> 1", (table,))
    return tuple(described_column(name, " ".join(declared.upper().split()) or "BLOB") for name, declared in rows)


def quoted(name: str) -> str:
    """Return `name` as an identifier of SQL.

    Raises:
        ValueError: It has U+0000, at which SQLite would stop reading the statement.
    """
    if "\0" in name:
        raise ValueError("no name has U+0000")
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Lend a read-only connection within a transaction; what SQLite raises inside comes out as one of our errors."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with contextlib.closing(
            sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        ) as connection:
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        raise _translated(path, error) from None


def _translated(path: Path, error: sqlite3.Error) -> Exception:
    # Text that is not UTF-8 is refused without a code, and with that text in the message.
    code, name = getattr(error, "sqlite_errorcode", 0), getattr(error, "sqlite_errorname", "text that is not UTF-8")
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseBusyError(f"{path} was locked for {LOCK_WAIT_S:g} s")
        case primary if primary in _UNAVAILABLE:
            return DatabaseUnavailableError(f"{path} cannot be read as a database: {name}")
    return QueryFailedError(f"{path} gave up on a query: {name}")
