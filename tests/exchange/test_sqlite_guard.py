"""What SQLite itself refuses under a grant, and how it treats the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.exchange.databases import (
    Condition,
    DatabaseBusyError,
    DatabaseUnavailableError,
    GrantedAccess,
    GrantedQuery,
    QueryFailedError,
    SchemaDriftedError,
)
from nodes.exchange.databases.sqlite import SqliteDatabase, guarded, quoted
from tests.exchange.departments_database import PERMITS, Department


@pytest.fixture
def department(sqlite_department: Department) -> Department:
    """The department with its permits in SQLite."""
    return sqlite_department


@pytest.fixture
def file(tmp_path: Path, department: Department) -> Path:
    """The department's file."""
    return tmp_path / "permits.db"


@pytest.fixture
def connection(file: Path, department: Department) -> Iterator[sqlite3.Connection]:
    """A connection for a grant of two columns of the rows of one district."""
    access = department.access("permit number", "name", district=("海淀",))
    with guarded(file, access) as guarded_connection:
        yield guarded_connection


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT phone FROM permits",
        "SELECT * FROM permits",
        "SELECT permit_no FROM permits",
        "SELECT district FROM permits",
        "SELECT rowid FROM permits",
        "SELECT 1 FROM permits",
        "SELECT count(*) FROM permits",
        "SELECT permit_no FROM temp.\"mulu granted rows\" WHERE EXISTS (SELECT 1 FROM permits WHERE phone LIKE '138%')",
        'SELECT * FROM temp."mulu granted values"',
        "SELECT sql FROM sqlite_master",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "SELECT load_extension('x')",
        "PRAGMA query_only = OFF",
        "PRAGMA table_info(permits)",
        "ATTACH 'other.db' AS other",
        "CREATE TEMP VIEW more AS SELECT * FROM permits",
        'DROP VIEW temp."mulu granted rows"',
        "DELETE FROM permits",
        "INSERT INTO permits (permit_no) VALUES ('P-9')",
        "COMMIT",
    ],
)
def test_a_direct_statement_beyond_the_grant_is_refused(connection: sqlite3.Connection, statement: str) -> None:
    """Nothing but the view of the granted rows can be read, and nothing be done."""
    with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
        connection.execute(statement)


def test_the_view_has_the_granted_columns_and_rows(connection: sqlite3.Connection) -> None:
    """What is left to be read is the grant."""
    rows = connection.execute('SELECT * FROM temp."mulu granted rows"').fetchall()
    assert rows == [(row[1], row[2]) for row in PERMITS if row[3] == "海淀"]


def test_a_view_of_the_department_by_the_same_name_opens_nothing(file: Path, department: Department) -> None:
    """The authorizer goes by names, so the name alone must not do."""
    department.run('CREATE VIEW "mulu granted rows" AS SELECT * FROM permits')
    access = department.access("permit number", district=("海淀",))
    with guarded(file, access) as connection, pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
        connection.execute('SELECT phone FROM main."mulu granted rows"')


def test_the_file_is_not_written(file: Path, department: Department) -> None:
    """Enforcing, reading and asking leave every byte as it was."""
    department.run("PRAGMA journal_mode = DELETE")
    before = file.read_bytes()
    access = department.access("permit number", district=("海淀",))
    query = GrantedQuery(access=access, columns=("permit_no",))
    assert department.read(access)
    assert department.database.exists(query)
    department.database.release(access.grant)
    assert file.read_bytes() == before


def test_a_file_that_is_none_is_unavailable(tmp_path: Path) -> None:
    """Neither a missing file, which is not created, nor one of another kind."""
    missing, text = tmp_path / "missing.db", tmp_path / "text.db"
    text.write_text("name,phone\n" * 100)
    for path in missing, text:
        with pytest.raises(DatabaseUnavailableError):
            SqliteDatabase(path).describe("permits")
    assert not missing.exists()


def test_a_locked_file_is_busy(file: Path, department: Department, monkeypatch: pytest.MonkeyPatch) -> None:
    """The department's own writer may hold the file for long."""
    monkeypatch.setattr("nodes.exchange.databases.sqlite.LOCK_WAIT_S", 0.01)
    department.run("PRAGMA journal_mode = DELETE")
    department.run("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseBusyError):
        department.database.describe("permits")


def test_text_that_is_not_utf_8_ends_the_query_unquoted(department: Department) -> None:
    """No value stands in the message or in its chain: SQLite's own message has the text."""
    department.run("UPDATE permits SET holder = CAST(x'736563726574ff' AS TEXT) WHERE id = 5")
    access = department.access("name")
    with pytest.raises(QueryFailedError) as caught:
        department.read(access)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_column_of_another_type_is_drift(department: Department) -> None:
    """SQLite changes a type only by a new table in place of the old one; a length counts as well."""
    access = department.access("permit number")
    department.run("ALTER TABLE permits RENAME TO old")
    department.run(
        "CREATE TABLE permits (id INTEGER PRIMARY KEY, permit_no varchar ( 20 ), holder VARCHAR(50), "
        "district VARCHAR(20), floors TEXT, phone TEXT)"
    )
    with pytest.raises(SchemaDriftedError) as caught:
        department.database.enforce(access)
    assert str(caught.value.drift) == "'holder' VARCHAR(100) became VARCHAR(50); 'floors' INTEGER became TEXT"


def test_columns_in_another_order_are_drift(department: Department) -> None:
    """The schema's hash counts the order."""
    access = department.access("permit number")
    department.run("ALTER TABLE permits RENAME TO old")
    department.run(
        "CREATE TABLE permits (permit_no VARCHAR(20), id INTEGER PRIMARY KEY, holder VARCHAR(100), "
        "district VARCHAR(20), floors INTEGER, phone TEXT)"
    )
    with pytest.raises(SchemaDriftedError, match="the order of the columns changed"):
        department.database.enforce(access)


@pytest.mark.parametrize(
    ("create", "columns", "expected"),
    [
        ("CREATE TABLE t (b TEXT, a INTEGER, PRIMARY KEY (a)) WITHOUT ROWID", ("b",), ["2", "1"]),
        ("CREATE TABLE t (b TEXT, a INTEGER)", ("b",), ["1", "2"]),
        ("CREATE TABLE t (rowid TEXT, a INTEGER)", ("rowid",), ["1", "2"]),
        ("CREATE TABLE t (b TEXT, a INTEGER, PRIMARY KEY (b DESC))", ("b",), ["1", "2"]),
        ("CREATE TABLE t (b TEXT, a INTEGER, PRIMARY KEY (a DESC))", ("b", "a"), ["2", "1"]),
    ],
)
def test_the_order_is_that_of_the_key_or_of_the_file(
    file: Path, department: Department, create: str, columns: tuple[str, ...], expected: list[str]
) -> None:
    """Tables with and without row numbers, with a column of that name, and with a key that is granted or not."""
    department.run(create)
    department.run("INSERT INTO t VALUES ('1', 20), ('2', 10)")
    database = SqliteDatabase(file)
    access = GrantedAccess(grant="R-1", table="t", schema=database.describe("t"), columns=columns)
    rows = [row for batch in database.stream(GrantedQuery(access=access, columns=columns)) for row in batch]
    assert [row[0] for row in rows] == expected


def test_columns_that_shadow_every_row_number_are_read_in_their_own_order(file: Path, department: Department) -> None:
    """Nothing is left to order by but what is delivered."""
    department.run("CREATE TABLE t (rowid INTEGER, _rowid_ INTEGER, oid INTEGER)")
    department.run("INSERT INTO t VALUES (2, 1, 1), (1, 1, 1)")
    database = SqliteDatabase(file)
    access = GrantedAccess(grant="R-1", table="t", schema=database.describe("t"), columns=("rowid",))
    assert list(database.stream(GrantedQuery(access=access, columns=("rowid",)))) == [[(1,), (2,)]]


def test_the_connection_ends_with_the_stream(file: Path, department: Department) -> None:
    """A stream that is closed half-way leaves no lock: the department can write without a write-ahead log."""
    department.run("PRAGMA journal_mode = DELETE")
    department.fill("permits", [(n, f"P-{n:03}", "", "海淀", n, "") for n in range(6, 1_000)])
    access = department.access("permit number")
    stream = department.database.stream(GrantedQuery(access=access, columns=("permit_no",)))
    next(stream)
    department.run("PRAGMA busy_timeout = 0")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        department.run("DELETE FROM permits")
    stream.close()
    department.run("DELETE FROM permits")


def test_a_name_that_cannot_be_quoted_is_refused() -> None:
    """SQLite would read a statement only up to U+0000."""
    assert quoted('a"b') == '"a""b"'
    with pytest.raises(ValueError, match=r"U\+0000"):
        quoted("a\0b")


def test_conditions_cannot_hold_what_a_database_cannot() -> None:
    """At least one value, at most ten thousand, and none with U+0000."""
    for values in (), ("x",) * 10_001, ("a\0",):
        with pytest.raises(ValueError):
            Condition("district", values)


def test_a_query_that_failed_holds_up_no_writer(department: Department) -> None:
    """Although somebody still looks at the error, and the file has no write-ahead log."""
    department.run("PRAGMA journal_mode = DELETE")
    department.run("PRAGMA busy_timeout = 0")
    department.run("UPDATE permits SET holder = CAST(x'ff' AS TEXT)")
    stream = department.database.stream(GrantedQuery(access=department.access("name"), columns=("holder",)))
    with pytest.raises(QueryFailedError) as kept:
        list(stream)
    department.run("UPDATE permits SET holder = 'mended'")
    assert kept.value is not None
