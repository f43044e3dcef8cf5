"""How fast rows come out of a department's PostgreSQL under a grant, against the fastest ways without one.

Three tasks read the same columns of the same rows: the granted stream, which logs in, takes the grant's role, checks
schema and rights, and delivers only scalars; psycopg's server-side cursor with everything as it comes; and COPY, of
which nothing is parsed but where rows end. Sessions of the last two are open before the clock starts.
"""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from nodes.exchange.databases import Database, GrantedQuery
from nodes.measurements.rounds import Rounds, Sample, interleaved

GRANTED, CURSOR, COPY = "granted stream", "server-side cursor", "COPY"

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
    columns = sql.SQL(", ").join(map(sql.Identifier, query.columns))
    table = sql.Identifier(*query.access.table.split("."))
    select = sql.SQL("SELECT {} FROM {}").format(columns, table)

    def granted() -> Sample:
        began_s = time.perf_counter()
        count = sum(map(len, database.stream(query)))
        return Sample(count, time.perf_counter() - began_s)

    with psycopg.connect(plain) as connection:

        def cursor() -> Sample:
            began_s = time.perf_counter()
            count = 0
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

        measured = interleaved({GRANTED: granted, CURSOR: cursor, COPY: copy}, rounds, warm=True)
    counts = {sample.count for samples in measured.samples.values() for sample in samples}
    if len(counts) != 1:
        raise ValueError(f"the three ways gave {sorted(counts)} rows")
    return measured
