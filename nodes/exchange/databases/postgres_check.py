"""Whether PostgreSQL holds the limits of a grant: asked of its own tables before anything is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodes.exchange.databases.database import GrantedAccess
from nodes.exchange.databases.errors import NotEnforcedError
from nodes.exchange.databases.postgres_roles import ROLE_PREFIX, has_role, policies_of, role_of
from nodes.exchange.databases.postgres_schema import Relation
from nodes.exchange.databases.postgres_session import Connection

_READER = """
    SELECT rolsuper OR rolbypassrls,
           pg_has_role(session_user, %(role)s, 'MEMBER'),
           pg_has_role(session_user, %(role)s, 'USAGE'),
           ARRAY(SELECT other.rolname::text FROM pg_roles other
                  WHERE pg_has_role(session_user, other.oid, 'MEMBER') AND other.rolname <> session_user
                    AND NOT starts_with(other.rolname::text, %(prefix)s) ORDER BY 1)
      FROM pg_roles WHERE rolname = session_user
"""
"""Is the role that logged in above policies; may it take the grant's role, has it that one's rights without taking it,
and which roles could it take beside those of grants?"""

_RIGHTS = """
    SELECT ARRAY(SELECT attname::text FROM pg_attribute
                  WHERE attrelid = %(table)s AND NOT attisdropped
                    AND has_column_privilege(holder.oid, attrelid, attnum, 'SELECT') ORDER BY 1),
           has_table_privilege(holder.oid, %(table)s, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
               OR has_any_column_privilege(holder.oid, %(table)s, 'INSERT, UPDATE, REFERENCES'),
           EXISTS(SELECT FROM pg_shdepend
                   WHERE refclassid = 'pg_authid'::regclass AND refobjid = holder.oid
                     AND classid = 'pg_class'::regclass AND objid <> %(table)s)
      FROM pg_roles holder WHERE rolname = %(holder)s
"""
"""What may a role read of a table, may it do anything else to it, and has it rights on other tables?"""

_POLICIES = """
    SELECT polname::text, polpermissive FROM pg_policy
     WHERE polrelid = %(table)s AND polcmd = 'r' AND polroles = ARRAY[to_regrole(%(role)s)::oid]
"""


def check_enforced(connection: Connection, access: GrantedAccess, table: Relation) -> None:
    """Check, in a session of the reader, that it sees through the role of a grant what the grant says, and no more.

    The conditions in the policies are not read again: the policies' names stand for them.

    Raises:
        NotEnforcedError: It sees more or less; the message gives every reason.
    """
    if not has_role(connection, access.grant):
        raise NotEnforcedError(f"the database has no role for grant {access.grant}")
    role = role_of(connection, access.grant)
    faults = [
        *_faults_of_reader(connection, role, table),
        *_faults_of_role(connection, access, role, table),
        *_faults_of_rows(connection, access, role, table),
    ]
    if faults:
        raise NotEnforcedError(f"the database does not hold the limits of grant {access.grant}: {'; '.join(faults)}")


def _faults_of_reader(connection: Connection, role: str, table: Relation) -> Iterator[str]:
    reader = connection.info.user
    above, member, inherits, others = _row(connection, _READER, role=role, prefix=ROLE_PREFIX)
    if above:
        yield f"{reader} is above policies, and must be NOSUPERUSER NOBYPASSRLS"
    if not member:
        yield f"{reader} may not take the role {role}"
    elif inherits:
        yield f"{reader} has the rights of its roles without taking one, and must be NOINHERIT"
    if others:
        yield f"{reader} can also become {', '.join(others)}"
    readable, writable, _ = _row(connection, _RIGHTS, holder=reader, table=table.oid)
    if readable or writable:
        yield f"{reader} has rights of its own on the table, or everybody has"


def _faults_of_role(connection: Connection, access: GrantedAccess, role: str, table: Relation) -> Iterator[str]:
    readable, writable, elsewhere = _row(connection, _RIGHTS, holder=role, table=table.oid)
    if more := set(readable) - set(access.columns):
        yield f"{role} may also read {', '.join(sorted(more))}"
    if less := set(access.columns) - set(readable):
        yield f"{role} may not read {', '.join(sorted(less))}"
    if writable:
        yield f"{role} may write"
    if elsewhere:
        yield f"{role} has rights on another table"


def _faults_of_rows(connection: Connection, access: GrantedAccess, role: str, table: Relation) -> Iterator[str]:
    found = connection.execute(_POLICIES, {"table": table.oid, "role": role}).fetchall()
    if not access.conditions and not found:
        # A grant of all rows needs no policies, and stays as it is when another grant brings them to the table.
        return
    if not table.row_security:
        yield "row level security is off"
    seen, only = policies_of(access)
    if sorted(found) != sorted([(seen, True), (only, False)]):
        yield f"the policies of {role} are not those of the grant's conditions"


def _row(connection: Connection, query: str, **values: object) -> tuple[Any, ...]:
    """Return the one row of a query about a role that exists."""
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row
