"""What PostgreSQL says of a table. Its own tables are asked, for which nobody needs a right."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

from ledger.registers.catalogue import Column
from nodes.exchange.databases.columns import described_column
from nodes.exchange.databases.database import GrantedAccess
from nodes.exchange.databases.drift import check_schema
from nodes.exchange.databases.errors import TableMissingError
from nodes.exchange.databases.postgres_session import Connection


class Relation(NamedTuple):
    """A table as PostgreSQL knows it."""

    oid: int
    schema: str
    name: str
    row_security: bool
    key: tuple[str, ...]
    """Columns of the primary key, in its order; none if there is no such key."""
    columns: tuple[Column, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """Schema and name, for a statement."""
        return sql.Identifier(self.schema, self.name)


def describe(connection: Connection, table: str) -> Relation:
    """Return a table by its name in a binding: `table` in the schema `public`, or `schema.table`.

    Raises:
        TableMissingError: There is none, or it is no table: a view has rows of tables that nobody has granted.
    """
    schema, _, name = table.rpartition(".")
    schema = schema or "public"
    rows = connection.execute(
        """
        SELECT c.oid, c.relrowsecurity, a.attname, format_type(a.atttypid, a.atttypmod),
               array_position(k.conkey, a.attnum)
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
         WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
         ORDER BY a.attnum
        """,
        (schema, name),
    ).fetchall()
    if not rows:
        raise TableMissingError(table)
    oid, row_security = rows[0][:2]
    return Relation(
        oid=oid,
        schema=schema,
        name=name,
        row_security=row_security,
        key=tuple(column for _, column in sorted((row[4], row[2]) for row in rows if row[4] is not None)),
        columns=tuple(described_column(column, kind) for _, _, column, kind, _ in rows),
    )


def checked_relation(connection: Connection, access: GrantedAccess) -> Relation:
    """Return the table of an access.

    Raises:
        TableMissingError, SchemaDriftedError: It is not there, or its columns are not those of the catalogue.
    """
    found = describe(connection, access.table)
    check_schema(access.table, access.schema, found.columns)
    return found
