"""Departments' databases for the tests of the exchange."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from nodes.exchange.databases import Binding, PostgresBinding, Row, SqliteBinding, open_database
from nodes.measurements.private_postgres import Cluster, private_cluster
from tests.exchange.departments_database import CREATE, PERMITS, Department

TABLES = {"AY-01-D1-T1": "permits"}


def set_up_statements() -> bytes:
    """Return what docs/databases.md tells a department to execute."""
    document = (Path(__file__).resolve().parents[2] / "docs" / "databases.md").read_bytes()
    return document.partition(b"```sql\n")[2].partition(b"```")[0]


@pytest.fixture
def sqlite_department(tmp_path: Path) -> Iterator[Department]:
    """A department with its permits in SQLite."""
    path = tmp_path / "permits.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as owner:

        def fill(table: str, rows: Iterable[Row]) -> None:
            owner.execute("BEGIN")
            owner.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(PERMITS[0]))})', rows)
            owner.execute("COMMIT")

        owner.execute("PRAGMA journal_mode = WAL")
        owner.execute(CREATE)
        fill("permits", PERMITS)
        binding = Binding(format=1, database=SqliteBinding(str(path)), tables=TABLES)
        yield Department(open_database(binding), owner.execute, fill)


@pytest.fixture(scope="session")
def postgres_cluster(optional_tool: Callable[[str], Path]) -> Iterator[Cluster]:
    """A private PostgreSQL server with a database `registry` and a department's three roles: owner, steward, reader."""
    with private_cluster(optional_tool("postgres")) as cluster, cluster.database("registry"):
        with psycopg.connect(cluster.connection_text("postgres", "postgres")) as superuser:
            superuser.execute("CREATE ROLE registry_owner LOGIN")
            superuser.execute("ALTER DATABASE registry OWNER TO registry_owner")
            superuser.execute(set_up_statements())
        yield cluster


@pytest.fixture
def postgres_binding(postgres_cluster: Cluster) -> Iterator[Binding]:
    """The binding to an empty database, whose owner is `registry_owner`; it is emptied again, and no role is left."""
    with psycopg.connect(postgres_cluster.connection_text("registry", "postgres"), autocommit=True) as superuser:
        superuser.execute("DROP SCHEMA public")
        superuser.execute("CREATE SCHEMA public AUTHORIZATION registry_owner")
        superuser.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        reader = postgres_cluster.connection_text("registry", "mulu_reader")
        steward = postgres_cluster.connection_text("registry", "mulu_steward")
        yield Binding(format=1, database=PostgresBinding(reader, steward), tables=TABLES)
        superuser.execute("DROP OWNED BY registry_owner CASCADE")
        superuser.execute("DROP SCHEMA IF EXISTS public CASCADE")
        superuser.execute("CREATE SCHEMA public")
        for (role,) in superuser.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'mulu\\_grant\\_%'"):
            superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture
def postgres_department(postgres_cluster: Cluster, postgres_binding: Binding) -> Iterator[Department]:
    """A department with its permits in PostgreSQL."""
    with psycopg.connect(postgres_cluster.connection_text("registry", "registry_owner"), autocommit=True) as owner:

        def fill(table: str, rows: Iterable[Row]) -> None:
            with owner.cursor() as cursor, cursor.copy(f'COPY "{table}" FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)

        owner.execute(CREATE)
        fill("permits", PERMITS)
        yield Department(open_database(postgres_binding), owner.execute, fill)


@pytest.fixture(params=["sqlite", "postgres"])
def department(request: pytest.FixtureRequest) -> Any:
    """A department with its permits, in each product there is."""
    return request.getfixturevalue(f"{request.param}_department")
