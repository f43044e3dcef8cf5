"""What PostgreSQL itself refuses under a grant, and what it leaves alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import errors, sql

from nodes.exchange.databases import (
    BadConditionError,
    Binding,
    Condition,
    DatabaseBusyError,
    GrantedAccess,
    GrantedQuery,
    NotEnforcedError,
    PostgresBinding,
    SchemaDriftedError,
    open_database,
)
from nodes.exchange.databases.postgres import PostgresDatabase
from nodes.exchange.databases.postgres_roles import role_of
from nodes.measurements.private_postgres import Cluster
from tests.exchange.departments_database import PERMITS, Department

Session = Callable[[str], "psycopg.Connection[Any]"]

HAIDIAN = [row for row in PERMITS if row[3] == "海淀"]


@pytest.fixture
def session(postgres_cluster: Cluster, postgres_department: Department) -> Iterator[Session]:
    """Open sessions of any role with the department's database; all are closed at the end."""
    opened = []

    def open_session(role: str) -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(postgres_cluster.connection_text("registry", role), autocommit=True))
        return opened[-1]

    yield open_session
    for connection in opened:
        connection.close()


@pytest.fixture
def department(postgres_department: Department) -> Department:
    """The department with its permits in PostgreSQL."""
    return postgres_department


def take_role(reader: psycopg.Connection[Any], grant: str) -> None:
    """Set a session of the reader to the role of a grant, as the exchange does."""
    reader.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role_of(reader, grant))))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT phone FROM permits",
        "SELECT * FROM permits",
        "SELECT permit_no FROM permits WHERE phone LIKE '138%'",
        "SELECT permit_no FROM permits WHERE district = '朝阳'",
        "SELECT permit_no FROM permits ORDER BY id",
        "SELECT ctid FROM permits",
        "SELECT permits FROM permits",
        "SELECT count(phone) FROM permits",
        "UPDATE permits SET permit_no = permit_no",
        "DELETE FROM permits",
        "INSERT INTO permits (permit_no) VALUES ('P-9')",
        "COPY permits TO STDOUT",
        "SET ROLE registry_owner",
        "SET ROLE mulu_steward",
        "ALTER TABLE permits DISABLE ROW LEVEL SECURITY",
    ],
)
def test_a_direct_query_beyond_the_grant_is_refused_by_the_server(
    department: Department, session: Session, statement: str
) -> None:
    """Whatever the exchange's own role is made to say, only granted columns can be read, and nothing else be done."""
    department.access("permit number", "name", district=("海淀",))
    reader = session("mulu_reader")
    take_role(reader, "R-1")
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement)


def test_rows_outside_the_condition_are_invisible(department: Department, session: Session) -> None:
    """A direct query without any condition gives the granted rows; row policies cannot be switched off."""
    department.access("permit number", "name", district=("海淀",))
    reader = session("mulu_reader")
    take_role(reader, "R-1")
    assert reader.execute("SELECT permit_no, holder FROM permits").fetchall() == [(row[1], row[2]) for row in HAIDIAN]
    assert reader.execute("SELECT count(*) FROM permits").fetchone() == (len(HAIDIAN),)
    reader.execute("SET row_security TO off")
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        reader.execute("SELECT permit_no FROM permits")


def test_without_the_role_of_a_grant_the_reader_sees_nothing(department: Department, session: Session) -> None:
    """The rights of grants are not the reader's until it takes one, and those of two grants never add up."""
    department.access("permit number", district=("海淀",), grant="R-1")
    department.access("phone", district=("朝阳",), grant="R-2")
    reader = session("mulu_reader")
    for column in ("permit_no", "phone"):
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute(f"SELECT {column} FROM permits")
    take_role(reader, "R-2")
    assert reader.execute("SELECT phone FROM permits").fetchall() == [("13800000002",)]
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("SELECT permit_no, phone FROM permits")


def test_enforcing_again_changes_nothing(department: Department, session: Session) -> None:
    """The second call finds the role as it must be and does not take the steward's role at all."""
    access = department.access("permit number", district=("海淀",))
    superuser = session("postgres")
    query = "SELECT oid, xmin FROM pg_policy ORDER BY oid"
    before = superuser.execute(query).fetchall()
    department.database.enforce(access)
    assert len(before) == 3
    assert superuser.execute(query).fetchall() == before


def test_other_conditions_under_the_same_grant_take_the_place_of_the_first(department: Department) -> None:
    """A role always holds what was enforced last."""
    department.access("permit number", "phone", district=("海淀",))
    access = department.access("permit number", district=("西城",))
    assert department.read(access) == [("P-004",)]


def test_revoking_ends_the_access(department: Department, session: Session) -> None:
    """Neither the exchange nor a direct query gets in any more; doing it twice, or for no grant, does no harm."""
    access = department.access("permit number", district=("海淀",))
    reader = session("mulu_reader")
    role = role_of(reader, "R-1")
    department.database.release("R-1")
    with pytest.raises(NotEnforcedError, match="no role for grant R-1"):
        department.read(access)
    with pytest.raises(errors.InvalidParameterValue):
        reader.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    department.database.release("R-1")
    department.database.release("R-unknown")


def test_revoking_does_not_wait_for_a_stream(department: Department, postgres_binding: Binding) -> None:
    """While another grant's stream holds the table the access ends at once; what is left goes with the next call."""
    assert isinstance(postgres_binding.database, PostgresBinding)
    impatient = PostgresDatabase(postgres_binding.database, lock_wait_s=0.05)
    access = department.access("permit number", grant="R-1", district=("海淀",))
    other = department.access("permit number", grant="R-2", district=("海淀",))
    stream = department.database.stream(GrantedQuery(access=other, columns=other.columns))
    next(stream)
    with pytest.raises(DatabaseBusyError):
        impatient.release("R-1")
    with pytest.raises(NotEnforcedError, match=r"may not take the role|refuses a role"):
        department.read(access)
    stream.close()
    impatient.release("R-1")
    with pytest.raises(NotEnforcedError, match="no role"):
        department.read(access)
    assert department.read(other)


def row_security(connection: psycopg.Connection[Any]) -> tuple[bool, list[str]]:
    """Return whether the table of permits has row level security, and the names of its policies."""
    is_on = connection.execute("SELECT FROM pg_class WHERE relname = 'permits' AND relrowsecurity").rowcount == 1
    policies = connection.execute("SELECT policyname FROM pg_policies WHERE tablename = 'permits'").fetchall()
    return is_on, [name for (name,) in policies]


def test_others_see_and_change_the_table_as_before(department: Department, session: Session) -> None:
    """The department's own application notices neither the policies of grants nor their end; then they are gone."""
    superuser = session("postgres")
    superuser.execute("DROP ROLE IF EXISTS application")
    superuser.execute("CREATE ROLE application LOGIN")
    superuser.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON permits TO application")
    application = session("application")

    def works() -> bool:
        seen = application.execute("SELECT holder FROM permits")
        changed = application.execute("UPDATE permits SET floors = 7 WHERE district = '朝阳'")
        return (seen.rowcount, changed.rowcount) == (len(PERMITS), 1)

    for grant in ("R-1", "R-2"):
        department.access("permit number", district=("海淀",), grant=grant)
    assert row_security(superuser)[0] is True
    assert works()
    department.database.release("R-1")
    assert row_security(superuser)[0] is True
    department.database.release("R-2")
    assert row_security(superuser) == (False, [])
    assert works()
    superuser.execute("DROP OWNED BY application; DROP ROLE application")


def test_a_departments_own_policies_stay_and_open_nothing(department: Department, session: Session) -> None:
    """Where everybody may see every row by the department's own policy, a grant's role still sees its own alone."""
    department.run("ALTER TABLE permits ENABLE ROW LEVEL SECURITY")
    department.run("CREATE POLICY everybody ON permits USING (true)")
    access = department.access("permit number", district=("海淀",))
    assert department.read(access) == [(row[1],) for row in HAIDIAN]
    unconditional = department.access("permit number", grant="R-2")
    assert len(department.read(unconditional)) == len(PERMITS)
    department.database.release("R-1")
    department.database.release("R-2")
    assert row_security(session("postgres")) == (True, ["everybody"])


def test_a_grant_of_all_rows_leaves_the_table_without_policies(department: Department, session: Session) -> None:
    """Row level security comes only with a condition."""
    access = department.access("permit number")
    assert len(department.read(access)) == len(PERMITS)
    assert row_security(session("postgres")) == (False, [])


def test_a_grant_of_all_rows_goes_on_while_others_with_conditions_come_and_go(department: Department) -> None:
    """It is neither narrowed nor refused because another grant has brought policies to the table."""
    access = department.access("permit number", grant="R-1")
    department.access("permit number", grant="R-2", district=("海淀",))
    assert len(department.read(access)) == len(PERMITS)
    department.access("permit number", grant="R-3")
    department.database.release("R-2")
    assert len(department.read(access)) == len(PERMITS)


SPOILED = {
    "superuser": ("ALTER ROLE mulu_reader SUPERUSER", "ALTER ROLE mulu_reader NOSUPERUSER", "above policies"),
    "bypass": ("ALTER ROLE mulu_reader BYPASSRLS", "ALTER ROLE mulu_reader NOBYPASSRLS", "above policies"),
    "inherit": ("ALTER ROLE mulu_reader INHERIT", "ALTER ROLE mulu_reader NOINHERIT", "must be NOINHERIT"),
    "owner": (
        "GRANT registry_owner TO mulu_reader",
        "REVOKE registry_owner FROM mulu_reader",
        r"can also become .*registry_owner",
    ),
    "own right": ("GRANT SELECT (phone) ON permits TO mulu_reader", "SELECT", "rights of its own"),
    "everybody's right": ("GRANT SELECT ON permits TO PUBLIC", "SELECT", "or everybody has"),
    "write": ("GRANT DELETE ON permits TO mulu_reader", "SELECT", "rights of its own"),
}


@pytest.mark.parametrize(("spoil", "restore", "said"), SPOILED.values(), ids=SPOILED.keys())
def test_a_reader_that_could_see_more_is_not_used(
    department: Department, session: Session, spoil: str, restore: str, said: str
) -> None:
    """Neither a grant is enforced nor a row read while the reader is bound by less than its grants."""
    access = department.access("permit number", district=("海淀",))
    superuser = session("postgres")
    superuser.execute(spoil)
    try:
        with pytest.raises(NotEnforcedError, match=said):
            department.read(access)
        with pytest.raises(NotEnforcedError, match=said):
            department.database.enforce(access)
    finally:
        superuser.execute(restore)


MENDED = {
    "more columns": ("GRANT SELECT (phone) ON permits TO {role}", "may also read phone"),
    "fewer columns": ("REVOKE SELECT (holder) ON permits FROM {role}", "may not read holder|refuses a role"),
    "writing": ("GRANT UPDATE (holder) ON permits TO {role}", "may write"),
    "another table": ("GRANT SELECT ON others TO {role}", "rights on another table"),
    "no policies": ("ALTER TABLE permits DISABLE ROW LEVEL SECURITY", "row level security is off"),
    "one policy less": ("DROP POLICY {only} ON permits", "policies of"),
    "not a member": ("REVOKE {role} FROM mulu_reader", "may not take the role|refuses a role"),
}


@pytest.mark.parametrize(("spoil", "said"), MENDED.values(), ids=MENDED.keys())
def test_a_role_that_was_changed_is_noticed_and_made_anew(
    department: Department, session: Session, spoil: str, said: str
) -> None:
    """A stream refuses a role that is not as the grant says; enforcing the grant again mends it."""
    department.run("CREATE TABLE others (id INTEGER)")
    access = department.access("permit number", "name", district=("海淀",))
    superuser = session("postgres")
    (only,) = (name for name in row_security(superuser)[1] if name.endswith("_only"))
    superuser.execute(spoil.format(role=role_of(superuser, "R-1"), only=only))
    with pytest.raises(NotEnforcedError, match=said):
        department.read(access)
    department.database.enforce(access)
    assert department.read(access, "permit_no") == [(row[1],) for row in HAIDIAN]


def test_without_a_steward_only_what_is_enforced_already_is_read(
    department: Department, postgres_binding: Binding
) -> None:
    """A department may keep the steward's rights out of the node, and have another process enforce its grants."""
    assert isinstance(postgres_binding.database, PostgresBinding)
    alone = open_database(
        msgspec.structs.replace(postgres_binding, database=PostgresBinding(postgres_binding.database.reader))
    )
    new = GrantedAccess(grant="R-2", table="permits", schema=department.entry().columns, columns=("phone",))
    with pytest.raises(NotEnforcedError, match="no steward"):
        alone.enforce(new)
    access = department.access("permit number", district=("海淀",))
    alone.enforce(access)
    assert replace(department, database=alone).read(access) == [(row[1],) for row in HAIDIAN]
    alone.release("R-unknown")
    with pytest.raises(NotEnforcedError, match="no steward"):
        alone.release("R-1")


def test_a_steward_without_the_owners_rights_is_told_so(department: Department, session: Session) -> None:
    """Nothing is left behind by an attempt that the server refused half-way."""
    superuser = session("postgres")
    superuser.execute("ALTER TABLE permits OWNER TO postgres")
    with pytest.raises(NotEnforcedError, match="InsufficientPrivilege"):
        department.access("permit number", district=("海淀",))
    assert superuser.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'mulu\\_grant%'").fetchone() == (0,)


def test_a_value_of_another_type_is_a_bad_condition(department: Department, session: Session) -> None:
    """In a grant nothing is made of it, in a selection nothing is read; the message does not quote the value."""
    with pytest.raises(BadConditionError) as caught:
        department.access("permit number", floors=("secret-6",))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert row_security(session("postgres")) == (False, [])
    access = department.access("permit number", "floors")
    with pytest.raises(BadConditionError) as caught:
        department.read(access, "permit_no", floors=("secret-6",))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("floors TYPE bigint", "'floors' integer became bigint"),
        ("holder TYPE varchar(50)", "'holder' character varying(100) became character varying(50)"),
        ("phone TYPE varchar", "'phone' text became character varying"),
    ],
)
def test_a_column_of_another_type_is_drift(department: Department, change: str, said: str) -> None:
    """So is another length, and a type that holds the same texts."""
    access = department.access("permit number", district=("海淀",))
    department.run(f"ALTER TABLE permits ALTER COLUMN {change}")
    with pytest.raises(SchemaDriftedError) as caught:
        department.read(access)
    assert str(caught.value.drift) == said


def test_the_column_of_a_condition_cannot_be_changed_unnoticed(department: Department) -> None:
    """The server keeps it while a grant's policies name it; where it is made to drop both, nothing is delivered."""
    access = department.access("permit number", district=("海淀",))
    for change in "ALTER COLUMN district TYPE text", "DROP COLUMN district":
        with pytest.raises(psycopg.Error, match=r"policy|depend"):
            department.run(f"ALTER TABLE permits {change}")
    department.run("ALTER TABLE permits DROP COLUMN district CASCADE")
    with pytest.raises(SchemaDriftedError):
        department.read(access)


def test_the_same_grant_in_two_databases_of_a_server_is_two_roles(
    department: Department, postgres_cluster: Cluster, postgres_binding: Binding
) -> None:
    """Roles are the server's and not the database's: a network for trials beside the real one does not disturb it."""
    assert isinstance(postgres_binding.database, PostgresBinding)
    access = department.access("permit number", district=("海淀",))
    with postgres_cluster.database("trial"):
        trial = PostgresDatabase(
            PostgresBinding(
                postgres_cluster.connection_text("trial", "mulu_reader"),
                postgres_cluster.connection_text("trial", "postgres"),
            )
        )
        with psycopg.connect(postgres_cluster.connection_text("trial", "postgres")) as owner:
            owner.execute("CREATE TABLE permits (permit_no TEXT)")
        elsewhere = GrantedAccess(
            grant="R-1", table="permits", schema=trial.describe("permits"), columns=("permit_no",)
        )
        trial.enforce(elsewhere)
        trial.release("R-1")
        trial.release("R-1")
    assert department.read(access) == [(row[1],) for row in HAIDIAN]


def test_tables_in_other_schemas_and_in_partitions_are_granted_like_any(
    department: Department, session: Session
) -> None:
    """The role gets to use the schema; a policy on a partitioned table holds for the rows of all partitions."""
    superuser = session("postgres")
    superuser.execute("CREATE SCHEMA files AUTHORIZATION registry_owner")
    department.run("CREATE TABLE files.cases (case_no TEXT, year INTEGER, secret TEXT) PARTITION BY LIST (year)")
    for year in (2024, 2025):
        department.run(f"CREATE TABLE files.cases_{year} PARTITION OF files.cases FOR VALUES IN ({year})")
        department.run(f"INSERT INTO files.cases VALUES ('C-{year}', {year}, 'secret')")
    access = GrantedAccess(
        grant="R-1",
        table="files.cases",
        schema=department.database.describe("files.cases"),
        columns=("case_no", "year"),
        conditions=(Condition("case_no", ("C-2025", "C-2026")),),
    )
    department.database.enforce(access)
    assert department.read(access) == [("C-2025", 2025)]
    reader = session("mulu_reader")
    take_role(reader, "R-1")
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("SELECT case_no FROM files.cases_2024")


def test_grants_enforced_at_the_same_time_wait_for_each_other(department: Department) -> None:
    """Eight threads make eight roles on one table; none of them fails."""
    failures: list[BaseException] = []

    def enforce(number: int) -> None:
        try:
            department.access("permit number", grant=f"R-{number}", district=("海淀",))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=enforce, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for number in range(8):
        department.database.release(f"R-{number}")
