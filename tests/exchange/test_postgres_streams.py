"""Reading much from PostgreSQL, and reading while it fails."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from nodes.exchange.databases import (
    Binding,
    Condition,
    DatabaseBusyError,
    DatabaseUnavailableError,
    GrantedAccess,
    GrantedQuery,
    PostgresBinding,
    QueryFailedError,
)
from nodes.exchange.databases.postgres import PostgresDatabase
from nodes.exchange.databases.postgres_roles import role_of
from nodes.measurements.granted_streams import COPY, CURSOR, GRANTED, measure_granted_streams
from nodes.measurements.private_postgres import Cluster
from tests.exchange.departments_database import Department

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def department(postgres_department: Department) -> Department:
    """The department with its permits in PostgreSQL."""
    return postgres_department


def resident_bytes() -> int:
    """Return how much memory this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def grow(department: Department, rows: int) -> None:
    """Put more permits into the table, ten of eleven in one district."""
    department.run(
        "INSERT INTO permits SELECT n, 'P-' || n, '持有人' || n, CASE n % 11 WHEN 0 THEN '朝阳' ELSE '海淀' END, "
        f"n % 40, '138' || n FROM generate_series(1001, {1000 + rows}) n"
    )


def test_a_million_rows_stream_in_bounded_memory(department: Department) -> None:
    """All that fulfil the condition come, each once, in ascending order, and the process grows by less than 100 MB."""
    grow(department, 1_100_000)
    access = department.access("permit number", "name", "floors", district=("海淀",))
    before, most, count, last = resident_bytes(), 0, 0, ""
    for batch in department.database.stream(GrantedQuery(access=access, columns=access.columns)):
        count += len(batch)
        most = max(most, resident_bytes())
        assert last < str(batch[0][0]).rjust(12)
        last = str(batch[-1][0]).rjust(12)
    assert count == 1_000_003
    assert most - before < 100 << 20


def test_a_verification_uses_an_index(department: Department, postgres_cluster: Cluster) -> None:
    """The grant's policies do not keep the server from finding one of 100,000 rows without reading the others."""
    grow(department, 100_000)
    department.run("CREATE INDEX by_number ON permits (permit_no)")
    department.run("ANALYZE permits")
    access = department.access("permit number", district=("海淀",))
    for number, expected in ("P-1002", True), ("P-1001", False), ("P-999", False):
        query = GrantedQuery(access=access, columns=("permit_no",), selection=(Condition("permit_no", (number,)),))
        assert department.database.exists(query) is expected
    with psycopg.connect(postgres_cluster.connection_text("registry", "mulu_reader")) as reader:
        reader.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role_of(reader, access.grant))))
        plan = reader.execute("EXPLAIN SELECT EXISTS (SELECT permit_no FROM permits WHERE permit_no IN ('P-1002'))")
        assert "by_number" in "".join(line for (line,) in plan)


def test_a_server_that_is_down_is_unavailable(tmp_path: Path) -> None:
    """The message says where it was looked for, and has no password."""
    text = f"host={tmp_path} dbname=registry user=mulu_reader password=tiger"
    with pytest.raises(DatabaseUnavailableError, match=str(tmp_path)) as caught:
        PostgresDatabase(PostgresBinding(text)).describe("permits")
    assert "tiger" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_session_that_ends_half_way_is_no_end_of_the_rows(department: Department, postgres_cluster: Cluster) -> None:
    """Whoever reads the stream learns that it is not whole."""
    grow(department, 10_000)
    access = department.access("permit number")
    stream = department.database.stream(GrantedQuery(access=access, columns=access.columns))
    next(stream)
    with psycopg.connect(postgres_cluster.connection_text("registry", "postgres")) as superuser:
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mulu_reader'")
    with pytest.raises(DatabaseUnavailableError, match="the session with the database ended"):
        list(stream)


def test_a_value_that_cannot_be_computed_ends_the_query_unquoted(department: Department) -> None:
    """The server's message would quote a row; what the department's own policies do wrong is not the requester's."""
    department.run("ALTER TABLE permits ENABLE ROW LEVEL SECURITY")
    department.run("CREATE POLICY odd ON permits AS RESTRICTIVE USING (phone::bigint > 0)")
    department.run("UPDATE permits SET phone = 'secret' WHERE id = 5")
    access = department.access("permit number")
    with pytest.raises(QueryFailedError) as caught:
        department.read(access)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_table_that_others_have_locked_is_busy(department: Department, postgres_binding: Binding) -> None:
    """Nobody waits for long behind a change of the table."""
    assert isinstance(postgres_binding.database, PostgresBinding)
    access = department.access("permit number")
    query = GrantedQuery(access=access, columns=access.columns)
    department.run("BEGIN")
    department.run("LOCK TABLE permits")
    impatient = PostgresDatabase(postgres_binding.database, lock_wait_s=0.05)
    with pytest.raises(DatabaseBusyError):
        next(impatient.stream(query))
    with pytest.raises(DatabaseBusyError):
        impatient.enforce(
            GrantedAccess(
                grant="R-2",
                table="permits",
                schema=access.schema,
                columns=("phone",),
                conditions=(Condition("district", ("海淀",)),),
            )
        )
    department.run("ROLLBACK")


def test_a_table_cannot_change_under_a_stream(department: Department, postgres_binding: Binding) -> None:
    """Between the check of the schema and the last row a change waits; it goes through when the stream is closed."""
    access = department.access("permit number")
    stream = department.database.stream(GrantedQuery(access=access, columns=access.columns))
    next(stream)
    department.run("SET lock_timeout TO '20ms'")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        department.run("ALTER TABLE permits DROP COLUMN phone")
    stream.close()
    department.run("ALTER TABLE permits DROP COLUMN phone")


def test_a_stream_may_be_read_by_another_thread_than_its_first(department: Department) -> None:
    """An event loop hands the batches to whichever thread is free."""
    grow(department, 10_000)
    access = department.access("permit number")
    stream = department.database.stream(GrantedQuery(access=access, columns=access.columns))
    count = len(next(stream))
    rest: list[int] = []
    thread = threading.Thread(target=lambda: rest.extend(map(len, stream)))
    thread.start()
    thread.join()
    assert count + sum(rest) == 10_005


def test_the_measurement_reads_the_same_rows_in_three_ways(department: Department, postgres_cluster: Cluster) -> None:
    """Every round has a sample of each way; a grant that shows fewer rows is no fair measure and is refused."""
    grow(department, 5_000)
    plain = postgres_cluster.connection_text("registry", "registry_owner")
    access = department.access("permit number", "name", "floors")
    measured = measure_granted_streams(
        department.database, GrantedQuery(access=access, columns=access.columns), plain=plain, rounds=2
    )
    assert {name: [sample.count for sample in samples] for name, samples in measured.samples.items()} == {
        name: [5_005, 5_005] for name in (GRANTED, CURSOR, COPY)
    }
    narrower = department.access("permit number", grant="R-2", district=("海淀",))
    query = GrantedQuery(access=narrower, columns=narrower.columns)
    with pytest.raises(ValueError, match=r"\[4548, 5005\] rows"):
        measure_granted_streams(department.database, query, plain=plain, rounds=1)
