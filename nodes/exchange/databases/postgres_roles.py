"""One role in PostgreSQL for each grant: it may read the granted columns of the granted rows, and do nothing else.

The role cannot log in. The reader, which can, is a member of all of them and inherits from none, so that a session has
the rights of the one grant it was set to. Two policies hold the rows. The restrictive one bounds what the role sees,
whatever policies the department has for everybody; the permissive one lets it see anything at all.

A table whose rows everybody could see gets row level security with its first such policy. That would hide it from
all who are neither its owner nor named in a policy, the department's own applications among them, so one more policy
keeps everybody where they were; the restrictive policies hold beside it. It goes with the last grant.

A policy does not bind superusers, roles with BYPASSRLS, and the table's owner. FORCE ROW LEVEL SECURITY would bind the
owner's rows but not the owner's columns, and would change what the department itself sees; so it is not used, and
`postgres_check` finds fault with a reader that is one of these or can become one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from psycopg import errors, sql

from nodes.exchange.databases.database import Condition, GrantedAccess
from nodes.exchange.databases.errors import BadConditionError
from nodes.exchange.databases.postgres_schema import Relation, checked_relation
from nodes.exchange.databases.postgres_session import Connection

ROLE_PREFIX = "mulu_grant_"
EVERYBODY_ELSE = "mulu_everybody_else"
"""The policy that keeps everybody where they were before the table had policies."""

_WRITERS_LOCK = 0x6D756C75
"""Advisory lock of those who change roles: of two at a time PostgreSQL would let one fail instead of wait."""


def role_of(connection: Connection, grant: str) -> str:
    """Return the name of a grant's role. Roles are those of a whole cluster, so the database's name is in it."""
    return ROLE_PREFIX + _digest(connection.info.dbname, grant)


def policies_of(access: GrantedAccess) -> tuple[str, str]:
    """Return the names of a grant's permissive and restrictive policy. Other conditions give other names."""
    digest = _digest(access.grant, [(condition.column, condition.values) for condition in access.conditions])
    return f"mulu_rows_{digest}_seen", f"mulu_rows_{digest}_only"


def make_role(connection: Connection, access: GrantedAccess, reader: str) -> None:
    """Make the role of a grant, in place of one that there may be.

    Args:
        connection: The steward's, in one transaction, which is the caller's.
        reader: Name of the role that gets to use it.

    Raises:
        TableMissingError, SchemaDriftedError: The table is not there, or not as the catalogue says.
        BadConditionError: A condition has a value that is none of its column's type.
    """
    drop_role(connection, access.grant)
    # Looked up only now: the last grant's role takes row level security with it.
    table = checked_relation(connection, access)
    role = sql.Identifier(role_of(connection, access.grant))
    note = f"reads under grant {access.grant} in database {connection.info.dbname}"
    columns = sql.SQL(", ").join(map(sql.Identifier, access.columns))
    _run(connection, "CREATE ROLE {} NOLOGIN NOINHERIT", role)
    _run(connection, "COMMENT ON ROLE {} IS {}", role, sql.Literal(note))
    _run(connection, "GRANT USAGE ON SCHEMA {} TO {}", sql.Identifier(table.schema), role)
    _run(connection, "GRANT SELECT ({}) ON TABLE {} TO {}", columns, table.identifier, role)
    if access.conditions or table.row_security:
        _make_policies(connection, access, table, role)
    _run(connection, "GRANT {} TO {}", role, sql.Identifier(reader))


def has_role(connection: Connection, grant: str) -> bool:
    """Return whether there is a role of a grant, in whichever state."""
    role = role_of(connection, grant)
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None


def lock_out(connection: Connection, grant: str) -> None:
    """Let nobody take a grant's role any more, at once."""
    _wait_for_writers(connection)
    name = role_of(connection, grant)
    members = connection.execute(
        """
        SELECT member.rolname
          FROM pg_auth_members m
          JOIN pg_roles member ON member.oid = m.member
          JOIN pg_roles granted ON granted.oid = m.roleid
         WHERE granted.rolname = %s AND member.rolname <> current_user
        """,
        (name,),
    ).fetchall()
    for (member,) in members:
        _run(connection, "REVOKE {} FROM {}", sql.Identifier(name), sql.Identifier(member))


def drop_role(connection: Connection, grant: str) -> None:
    """Remove a grant's role, if there is one, with its rights and policies. Waits for those who read the table."""
    _wait_for_writers(connection)
    if not has_role(connection, grant):
        return
    name = role_of(connection, grant)
    bound = connection.execute(
        """
        SELECT DISTINCT n.nspname, c.relname
          FROM pg_policy p
          JOIN pg_class c ON c.oid = p.polrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE to_regrole(%s) = ANY (p.polroles)
        """,
        (name,),
    ).fetchall()
    role = sql.Identifier(name)
    # What a role has is dropped by its members alone, and who may make roles is not one by that.
    _run(connection, "GRANT {} TO CURRENT_USER", role)
    _run(connection, "DROP OWNED BY {}", role)
    _run(connection, "DROP ROLE {}", role)
    for schema, table in bound:
        _leave_as_found(connection, schema, table)


def _make_policies(connection: Connection, access: GrantedAccess, table: Relation, role: sql.Identifier) -> None:
    if not table.row_security:
        everybody_else = sql.Identifier(EVERYBODY_ELSE)
        statement = "CREATE POLICY {} ON {} FOR ALL TO PUBLIC USING (true) WITH CHECK (true)"
        _run(connection, statement, everybody_else, table.identifier)
        _run(connection, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table.identifier)
    rows = sql.SQL(" AND ").join(map(_written, access.conditions)) if access.conditions else sql.SQL("true")
    seen, only = map(sql.Identifier, policies_of(access))
    try:
        _run(connection, "CREATE POLICY {} ON {} FOR SELECT TO {} USING ({})", seen, table.identifier, role, rows)
        statement = "CREATE POLICY {} ON {} AS RESTRICTIVE FOR SELECT TO {} USING ({})"
        _run(connection, statement, only, table.identifier, role, rows)
    except (errors.DataError, errors.UndefinedFunction):
        raise BadConditionError(f"grant {access.grant} has a value that is none of its column's type") from None


def _written(condition: Condition) -> sql.Composable:
    # A policy takes no parameters. The server reads a literal without a type as a value of the column's type.
    values = sql.SQL(", ").join(map(sql.Literal, condition.values))
    return sql.SQL("{} IN ({})").format(sql.Identifier(condition.column), values)


def _leave_as_found(connection: Connection, schema: str, table: str) -> None:
    """Take row level security off a table that has it for grants alone, and no grant any more."""
    policies = connection.execute(
        "SELECT policyname FROM pg_policies WHERE schemaname = %s AND tablename = %s", (schema, table)
    ).fetchall()
    if policies == [(EVERYBODY_ELSE,)]:
        identifier = sql.Identifier(schema, table)
        _run(connection, "ALTER TABLE {} DISABLE ROW LEVEL SECURITY", identifier)
        _run(connection, "DROP POLICY {} ON {}", sql.Identifier(EVERYBODY_ELSE), identifier)


def _wait_for_writers(connection: Connection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITERS_LOCK,))


def _run(connection: Connection, statement: Any, *parts: sql.Composable) -> None:
    """Execute a statement that takes no parameters, its parts quoted by the driver."""
    connection.execute(sql.SQL(statement).format(*parts))


def _digest(*parts: object) -> str:
    """Return 32 hexadecimal digits that tell `parts` from others; a name in PostgreSQL has 63 bytes at most."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
