"""From a binding to the database behind it."""

from __future__ import annotations

from pathlib import Path

from nodes.exchange.databases.binding import Binding, SqliteBinding
from nodes.exchange.databases.database import Database
from nodes.exchange.databases.errors import BindingError
from nodes.exchange.databases.sqlite import SqliteDatabase


def open_database(binding: Binding) -> Database:
    """Return the database that `binding` names. Nothing is connected before the first call.

    Raises:
        BindingError: It is PostgreSQL, and the extra `postgres` is not installed.
    """
    if isinstance(binding.database, SqliteBinding):
        return SqliteDatabase(Path(binding.database.path))
    # Where the driver is not installed, a node with SQLite must still start.
    try:
        from nodes.exchange.databases.postgres import PostgresDatabase
    except ImportError as error:
        raise BindingError(f"PostgreSQL needs the extra `postgres`: pip install 'mulu[postgres]' ({error})") from error
    return PostgresDatabase(binding.database)
