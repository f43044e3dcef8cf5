"""A department's database in PostgreSQL.

The node has two roles there. The reader logs in for every query, has no right of its own on any table, and sets itself
to the role of one grant; what it may see then is held by the server. The steward makes and drops these roles, and is
used for nothing else. docs/databases.md has the statements that set both up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

from psycopg import OperationalError, ServerCursor, errors, sql
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from ledger.content import Row
from ledger.registers.catalogue import Column
from nodes.exchange.databases.binding import PostgresBinding
from nodes.exchange.databases.database import GrantedAccess, GrantedQuery
from nodes.exchange.databases.errors import BadConditionError, NotEnforcedError
from nodes.exchange.databases.postgres_check import check_enforced
from nodes.exchange.databases.postgres_roles import drop_role, has_role, lock_out, make_role, role_of
from nodes.exchange.databases.postgres_schema import Relation, checked_relation, describe
from nodes.exchange.databases.postgres_session import LOCK_WAIT_S, Connection, deliver_text, transaction
from nodes.exchange.databases.scalars import BATCH_ROWS_MAX, SAMPLES, BatchSize
from nodes.exchange.read_ahead import read_ahead

_IN_ORDER_OF_THE_DISK = """
    SET LOCAL enable_indexscan TO off;
    SET LOCAL enable_indexonlyscan TO off;
    SET LOCAL max_parallel_workers_per_gather TO 0;
    SET LOCAL synchronize_seqscans TO off;
"""
"""Leaves the plans that visit pages in ascending order. Sorting by `ctid` would need a right on it, and a sort."""

FETCH_ROWS_MAX = 4 * BATCH_ROWS_MAX
"""Rows a round trip: several batches, for while one is asked for the server waits."""
CURSOR = "granted"
"""Name of the one cursor of a session."""


class PostgresDatabase:
    """A `Database` on a PostgreSQL server of version 14 or later."""

    def __init__(self, binding: PostgresBinding, *, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self._reader, self._steward, self._lock_wait_s = binding.reader, binding.steward, lock_wait_s

    def describe(self, table: str) -> tuple[Column, ...]:
        """See `Database.describe`. Types are written as `format_type()` does: `character varying`, not `varchar`."""
        with self._reading() as connection:
            return describe(connection, table).columns

    def enforce(self, access: GrantedAccess) -> None:
        """See `Database.enforce`. Locks the table for a moment if it gets row policies."""
        with self._reading() as connection:
            table = checked_relation(connection, access)
            reader = connection.info.user
            with contextlib.suppress(NotEnforcedError):
                check_enforced(connection, access, table)
                return
        with self._stewarding(access.grant) as connection:
            make_role(connection, access, reader)
        with self._reading() as connection:
            check_enforced(connection, access, checked_relation(connection, access))

    def release(self, grant: str) -> None:
        """See `Database.release`. The reader is locked out first, which waits for nobody; then the role is dropped."""
        with self._reading() as connection:
            if not has_role(connection, grant):
                return
        with self._stewarding(grant) as connection:
            lock_out(connection, grant)
        with self._stewarding(grant) as connection:
            drop_role(connection, grant)

    def stream(self, query: GrantedQuery) -> Generator[list[Row], None, None]:
        """See `Database.stream`. Holds one transaction open, which a server may bound with its timeouts."""
        with self._granted(query) as cursor, contextlib.closing(read_ahead(_fetched(cursor))) as results:
            transformer = Transformer(cursor)
            for result in results:
                transformer.set_pgresult(result)
                for first in range(0, result.ntuples, BATCH_ROWS_MAX):
                    yield transformer.load_rows(first, min(first + BATCH_ROWS_MAX, result.ntuples), tuple)

    def exists(self, query: GrantedQuery) -> bool:
        """See `Database.exists`."""
        with self._granted(query, only_whether=True) as cursor:
            return cursor.fetchone() == (True,)

    def close(self) -> None:
        """Nothing is held between calls."""

    @contextlib.contextmanager
    def _granted(self, query: GrantedQuery, *, only_whether: bool = False) -> Iterator[ServerCursor[Row]]:
        """Lend a cursor on the rows of a query, or on whether there are any, read under the role of its grant.

        The cursor comes first and the checks that count after it: from then on it holds the table against changes.
        """
        access = query.access
        with self._reading() as connection:
            table = checked_relation(connection, access)
            _take_role(connection, access.grant)
            statement, values = _select(query, table)
            if only_whether:
                statement = sql.SQL("SELECT EXISTS ({})").format(statement)
            elif _has_key(query, table):
                order = sql.SQL(", ").join(map(_parameterised, table.key))
                statement = sql.SQL("{} ORDER BY {}").format(statement, order)
            else:
                connection.execute(_IN_ORDER_OF_THE_DISK)
            with connection.cursor(name=CURSOR) as cursor:
                deliver_text(cursor.adapters)
                try:
                    cursor.execute(statement, values)
                except (errors.DataError, errors.UndefinedFunction):
                    raise BadConditionError("the selection has a value that is none of its column's type") from None
                check_enforced(connection, access, checked_relation(connection, access))
                yield cursor

    def _reading(self) -> contextlib.AbstractContextManager[Connection]:
        return transaction(self._reader, lock_wait_s=self._lock_wait_s)

    @contextlib.contextmanager
    def _stewarding(self, grant: str) -> Iterator[Connection]:
        if not self._steward:
            raise NotEnforcedError(f"the role of grant {grant} must be changed, and the binding names no steward")
        with transaction(self._steward, read_only=False, lock_wait_s=self._lock_wait_s) as connection:
            yield connection


def _fetched(cursor: ServerCursor[Row]) -> Generator[PGresult, None, None]:
    """Yield what the server gives of a cursor, some batches at a time, not yet values of Python.

    Each fetch is one blocking call into libpq, which needs the interpreter's lock once. psycopg's own calls need it for
    every few kilobytes that arrive, and would wait for it while other threads make values and seal them.
    """
    server, size = cursor.connection.pgconn, BatchSize(FETCH_ROWS_MAX)
    while True:
        result = server.exec_(f"FETCH FORWARD {size.rows} FROM {CURSOR}".encode())
        if result.status != ExecStatus.TUPLES_OK:
            error = errors.error_from_result(result)
            # libpq's own failures have no state: the connection is gone.
            raise error if error.sqlstate else OperationalError()
        if not (rows := result.ntuples):
            return
        columns, step = range(result.nfields), rows // SAMPLES + 1
        size.learn([tuple(result.get_value(row, column) for column in columns) for row in range(0, rows, step)])
        yield result


def _take_role(connection: Connection, grant: str) -> None:
    role = sql.Identifier(role_of(connection, grant))
    try:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
    except errors.InvalidParameterValue:
        raise NotEnforcedError(f"the database has no role for grant {grant}") from None


def _select(query: GrantedQuery, table: Relation) -> tuple[sql.Composed, list[str]]:
    """Return the statement of a query, and its parameters. The rows of the grant are chosen by the role's policies."""
    conditions = [
        sql.SQL("{} IN ({})").format(
            _parameterised(condition.column), sql.SQL(", ").join([sql.Placeholder()] * len(condition.values))
        )
        for condition in query.selection
    ]
    statement = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(map(_parameterised, query.columns)),
        _parameterised(table.schema, table.name),
        sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
    )
    return statement, [value for condition in query.selection for value in condition.values]


def _parameterised(*names: str) -> sql.Identifier:
    """Return an identifier for a statement with parameters, in which the driver takes `%` for the start of one."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


def _has_key(query: GrantedQuery, table: Relation) -> bool:
    return bool(table.key) and set(table.key) <= set(query.access.columns)
