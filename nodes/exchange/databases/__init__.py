"""A node's binding to its department's own database, and the only code that reads rows from it.

    Binding ── open_database ──► Database ── stream(GrantedQuery) ──► batches of rows
       │                            ▲
    table ids, names             enforce(GrantedAccess), release(grant)

A grant becomes a `GrantedAccess` (`granted_access`), a question within it a `GrantedQuery`, which cannot be phrased
beyond it. What the grant opens is then held by the database and not by this code alone: PostgreSQL by a role with
column rights and row policies, SQLite by a connection that refuses to prepare anything else. A table that is not as
the catalogue says is not read at all.
"""

from ledger.content import Row, Scalar
from nodes.exchange.databases.access import columns_of, conditions_of, granted_access
from nodes.exchange.databases.binding import Binding, PostgresBinding, SqliteBinding, read_binding
from nodes.exchange.databases.columns import columns_with_items
from nodes.exchange.databases.database import Condition, Database, GrantedAccess, GrantedQuery
from nodes.exchange.databases.drift import Drift, SchemaDriftedError, drift_between
from nodes.exchange.databases.errors import (
    BadConditionError,
    BindingError,
    ColumnNotGrantedError,
    DatabaseBusyError,
    DatabaseUnavailableError,
    FieldNotHeldError,
    NotEnforcedError,
    QueryFailedError,
    TableMissingError,
    TableNotBoundError,
)
from nodes.exchange.databases.opening import open_database

__all__ = [
    "BadConditionError",
    "Binding",
    "BindingError",
    "ColumnNotGrantedError",
    "Condition",
    "Database",
    "DatabaseBusyError",
    "DatabaseUnavailableError",
    "Drift",
    "FieldNotHeldError",
    "GrantedAccess",
    "GrantedQuery",
    "NotEnforcedError",
    "PostgresBinding",
    "QueryFailedError",
    "Row",
    "Scalar",
    "SchemaDriftedError",
    "SqliteBinding",
    "TableMissingError",
    "TableNotBoundError",
    "columns_of",
    "columns_with_items",
    "conditions_of",
    "drift_between",
    "granted_access",
    "open_database",
    "read_binding",
]
