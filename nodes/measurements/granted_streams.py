"""How fast rows come out of a department's PostgreSQL under a grant, against the fastest ways without one.

Three tasks read the same columns of the same rows: the granted stream, which logs in, takes the grant's role, checks
schema and rights, and delivers only scalars; psycopg's server-side cursor with everything as it comes; and COPY, of
which nothing is parsed but where rows end. Sessions of the last two are open before the clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import psycopg
from psycopg import sql

from nodes.exchange.databases import Database, GrantedQuery
from nodes.measurements.rounds import Rounds, Sample, Task, interleaved

GRANTED, CURSOR, COPY = "granted stream", "server-side cursor into rows", "COPY"

FETCH_ROWS = 2_000
"""Rows a round trip of the plain cursor. psycopg's own default of 100 would flatter the stream."""


def measure_granted_streams(database: Database, query: GrantedQuery, *, plain: str, rounds: int) -> Rounds:
    """Read all rows of a query in three ways, in turn.

    Args:
        database: Where `query.access` is enforced.
        query: Without a selection; its access without conditions, so that all three have the same rows.
        plain: Connection text for a role that may read the table by itself.

    Raises:
        ValueError: The three did not give the same number of rows.
    """

    def granted() -> Sample:
        began_s = time.perf_counter()
        count = sum(map(len, database.stream(query)))
        return Sample(count, time.perf_counter() - began_s)

    with psycopg.connect(plain) as connection:
        ways = plain_ways(connection, query.access.table, query.columns)
        measured = interleaved({GRANTED: granted, **ways}, rounds, warm=True)
    counts = {sample.count for samples in measured.samples.values() for sample in samples}
    if len(counts) != 1:
        raise ValueError(f"the three ways gave {sorted(counts)} rows")
    return measured


def plain_ways(
    connection: psycopg.Connection[tuple[object, ...]], table: str, columns: Iterable[str]
) -> dict[str, Task]:
    """Return the two ways that know no grant: the server-side cursor, and COPY.

    Args:
        connection: A session of a role that may read the table by itself.
        table: `table`, or `schema.table`.
    """
    select = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(*table.split("."))
    )

    def cursor() -> Sample:
        began_s, count = time.perf_counter(), 0
        with connection.cursor(name="plain") as rows:
            rows.execute(select)
            while batch := rows.fetchmany(FETCH_ROWS):
                count += len(batch)
        return Sample(count, time.perf_counter() - began_s)

    def copy() -> Sample:
        began_s = time.perf_counter()
        with connection.cursor() as rows, rows.copy(sql.SQL("COPY ({}) TO STDOUT").format(select)) as out:
            # In its text form a line break within a value is escaped.
            count = sum(bytes(block).count(b"\n") for block in out)
        return Sample(count, time.perf_counter() - began_s)

    return {CURSOR: cursor, COPY: copy}
