"""Sessions of PostgreSQL: how they are opened, what they are set to, and what their errors mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg
from psycopg import errors
from psycopg.adapt import AdaptersMap
from psycopg.types.string import TextLoader

from nodes.exchange.databases.errors import (
    DatabaseBusyError,
    DatabaseUnavailableError,
    NotEnforcedError,
    QueryFailedError,
)

CONNECT_TIMEOUT_S = 5
LOCK_WAIT_S = 5.0
"""What others get to finish. Changing a policy waits for all who read the table, and whoever comes later waits too."""

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_SETTINGS = """
    SET LOCAL search_path TO pg_catalog, pg_temp;
    SET LOCAL datestyle TO 'ISO, YMD';
    SET LOCAL intervalstyle TO 'iso_8601';
    SET LOCAL timezone TO 'UTC';
    SET LOCAL extra_float_digits TO 1;
"""
"""A name means what the system says, whatever schemas others may write to; and a value has one text."""

_NATIVE = ("int2", "int4", "int8", "oid", "bool", "bytea")
"""Types whose values are delivered as values of Python; the rest comes as the server's text (`scalars`)."""


@contextlib.contextmanager
def transaction(
    connection_text: str, *, read_only: bool = True, lock_wait_s: float = LOCK_WAIT_S
) -> Iterator[Connection]:
    """Lend a session in one transaction, which commits at the end; driver's errors come out as ours, unchained.

    Each statement sees what was committed before it, so that a table is checked as it is and not as it was before the
    session got hold of it; a cursor sees one moment in any case.
    """
    try:
        connection = psycopg.connect(
            connection_text,
            autocommit=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            client_encoding="utf8",
            application_name="mulu exchange",
        )
    except psycopg.Error as error:
        # Before a session exists libpq can only speak of hosts, databases and roles.
        reason = " ".join(str(error).split())
        raise DatabaseUnavailableError(f"no session with the database: {reason}") from None
    try:
        with connection:
            connection.read_only = read_only
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.execute(_SETTINGS)
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{lock_wait_s * 1000:.0f}",))
            yield connection
    except psycopg.Error as error:
        raise _translated(error) from None


def deliver_text(adapters: AdaptersMap) -> None:
    """Have values read as `scalars` says. For the cursor that delivers, not for a session."""
    for info in adapters.types:
        if info.name not in _NATIVE:
            adapters.register_loader(info.oid, TextLoader)
        if info.array_oid:
            adapters.register_loader(info.array_oid, TextLoader)


def _translated(error: psycopg.Error) -> Exception:
    kind = f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
    match error:
        case errors.LockNotAvailable() | errors.DeadlockDetected() | errors.SerializationFailure():
            return DatabaseBusyError(f"another session of the database is in the way: {kind}")
        case errors.InsufficientPrivilege():
            return NotEnforcedError(f"the database refuses a role of the exchange what it needs: {kind}")
        case psycopg.OperationalError():
            return DatabaseUnavailableError(f"the session with the database ended: {kind}")
    return QueryFailedError(f"the database gave up on a query: {kind}")
