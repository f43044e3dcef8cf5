"""How fast rows get from one department's database to another department, against the fastest ways without a grant.

A delivery here is all that both nodes do with rows: the granted query, rows as bytes, tags of their subjects, sealing,
the file that is synced; then opening, checking against commitment and leaves, and rows again. Not in it: the ledger's
two rounds of consensus, which do not grow with the rows, and the network. One node waits for the other as it does in
operation, so the times of both add up.

Beside it, in the same rounds: psycopg's server-side cursor with the same columns into Python rows, and COPY, of which
nothing is parsed but where rows end; and what Python's own driver of SQLite takes for the same rows of its file.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.content import Row
from ledger.crypto.sealing import ENTROPY_BYTES, Scope, sealed_leaf
from ledger.errors import InvariantBrokenError
from ledger.identifiers import Digest
from ledger.registers.catalogue import Table, schema_hash
from ledger.registers.sharing.values import Delivery, DeliveryStatus, Grant, GrantStatus
from nodes.exchange.chunk_files import SEALED, TAGS, ChunkFolder, stem
from nodes.exchange.databases import Database, PostgresBinding, SqliteBinding, columns_with_items, open_database
from nodes.exchange.databases.binding import Binding
from nodes.exchange.messages import Question
from nodes.exchange.preparation import Prepared, Source, prepare_delivery
from nodes.exchange.reception import Expected, check_offer, receive
from nodes.measurements.granted_streams import FETCH_ROWS, plain_ways
from nodes.measurements.private_postgres import Cluster, find_postgres, private_cluster
from nodes.measurements.rounds import Sample, Task

ROWS = 100_000

SQLITE, POSTGRES = "SQLite, delivered", "PostgreSQL, delivered"
SQLITE_DRIVER = "sqlite3 into rows"

_TABLE, _GRANT = "records", "AY-R1"
_ITEMS = {
    "record_number": "record number",
    "name": "name",
    "district_code": "district code",
    "subject": "subject reference",
    "in_force": "in force",
    "quantity": "quantity",
    "handled_on": "handled on",
    "updated_at": "updated at",
}
_CREATE = f"""CREATE TABLE {_TABLE} (
    record_number VARCHAR(32), name VARCHAR(200), district_code VARCHAR(6), subject VARCHAR(64),
    in_force BOOLEAN, quantity INTEGER, handled_on DATE, updated_at TIMESTAMP
)"""
_ROLES = """
CREATE ROLE registry_owner LOGIN;
CREATE ROLE mulu_reader LOGIN NOINHERIT;
CREATE ROLE mulu_steward LOGIN CREATEROLE;
GRANT registry_owner TO mulu_steward;
"""
"""As docs/databases.md has them for a department."""


@dataclass
class CountedRows:
    """An output that has all rows as Python has them, and keeps none."""

    rows: int = 0
    columns: tuple[str, ...] = field(default=())

    def begin(self, columns: Sequence[str]) -> None:
        """Take the names of the columns."""
        self.columns = tuple(columns)

    def write(self, rows: Sequence[Row]) -> None:
        """Count a batch of rows."""
        self.rows += len(rows)

    def complete(self) -> str:
        """Nothing is to be made durable."""
        return ""

    def publish(self) -> None:
        """Nothing is there to be seen."""

    def discard(self) -> None:
        """Nothing is there to be forgotten."""


class MeasuredDeliveries:
    """Delivers a whole table again and again, each time under the next number of one grant."""

    def __init__(self, database: Database, folder: Path, rows: int) -> None:
        self._database, self._rows, self._number = database, rows, 0
        self._folder = ChunkFolder(folder)
        self._private = X25519PrivateKey.generate()
        columns = columns_with_items(database.describe(_TABLE), _ITEMS)
        self._entry = Table(
            id="AY-01-D1-T1",
            owner="11110000A00000230N",
            data_item="AY-01-D1",
            system=None,
            name=_TABLE,
            columns=columns,
            schema=schema_hash(columns),
            revision=1,
            published_height=1,
            withdrawn_height=0,
        )
        self._grant = _whole_table(self._private.public_key().public_bytes_raw(), rows)
        self._question = Question(grant=_GRANT, table="", fields=(), selection=())
        # What is made once a grant is no part of a delivery.
        source = Source.of(self._grant, self._question, self._entry, database, _TABLE)
        database.enforce(source.access)

    def run(self) -> Sample:
        """Deliver the table once.

        Raises:
            InvariantBrokenError: Another number of rows arrived.
        """
        self._number += 1
        scope = Scope(chain=Digest(bytes(32)), grant=_GRANT, number=self._number)
        began_s = time.perf_counter()
        prepared = self._provide(scope)
        provided_s = time.perf_counter()
        received = self._receive(prepared, scope)
        ended_s = time.perf_counter()
        for kind in (SEALED, TAGS):
            self._folder.remove(stem(_GRANT, self._number) + kind)
        if received != self._rows:
            raise InvariantBrokenError(f"{received} rows arrived of {self._rows}")
        stages = {"provider": provided_s - began_s, "requester": ended_s - provided_s}
        return Sample(received, ended_s - began_s, stages)

    def _provide(self, scope: Scope) -> Prepared:
        source = Source.of(self._grant, self._question, self._entry, self._database, _TABLE)
        return prepare_delivery(
            source,
            self._grant,
            scope=scope,
            entropy=os.urandom(ENTROPY_BYTES),
            subject_key=os.urandom(32),
            subject_item="subject reference",
            folder=self._folder,
            report=lambda rows: None,
        )

    def _receive(self, prepared: Prepared, scope: Scope) -> int:
        delivery, output = _stated(prepared), CountedRows()
        check_offer(prepared.offer, delivery)
        leaves = prepared.offer.leaf_list()
        expected = Expected(self._grant, delivery, self._entry, self._question, scope)
        with self._folder.open(stem(scope.grant, scope.number) + SEALED) as file:
            if any(sealed_leaf(chunk) != leaf for chunk, leaf in zip(file.chunks(len(leaves)), leaves, strict=True)):
                raise InvariantBrokenError("a chunk is another one than was sealed")
            receive(
                file.chunks(len(leaves)),
                prepared.offer,
                expected,
                private=self._private,
                output=output,
                report=lambda rows: None,
            )
        return output.rows


def sqlite_ways(folder: Path, rows: int) -> dict[str, Task]:
    """Fill a SQLite file below `folder`, and return what delivers it and what reads it without a grant."""
    path = folder / "records.db"
    with closing(sqlite3.connect(path)) as owner:
        owner.execute("PRAGMA journal_mode = WAL")
        owner.execute(_CREATE)
        owner.executemany(f"INSERT INTO {_TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", made_up_rows(rows))
        owner.commit()
    binding = Binding(format=1, database=SqliteBinding(str(path)), tables={})

    def driver() -> Sample:
        began_s, count = time.perf_counter(), 0
        with closing(sqlite3.connect(path)) as reader:
            found = reader.execute(f"SELECT {', '.join(_ITEMS)} FROM {_TABLE}")
            while batch := found.fetchmany(FETCH_ROWS):
                count += len(batch)
        return Sample(count, time.perf_counter() - began_s)

    deliveries = MeasuredDeliveries(open_database(binding), folder / "sqlite", rows)
    return {SQLITE: deliveries.run, SQLITE_DRIVER: driver}


@contextmanager
def postgres_ways(folder: Path, rows: int) -> Iterator[tuple[str, dict[str, Task]]]:
    """Fill a table of a private server; yield its version, and what delivers the table or reads it without a grant.

    Raises:
        NoPostgresError: There is no server program, or it does not start.
    """
    with private_cluster(find_postgres()) as cluster, cluster.database("registry"):
        _set_up(cluster, rows)
        binding = Binding(
            format=1,
            database=PostgresBinding(
                cluster.connection_text("registry", "mulu_reader"), cluster.connection_text("registry", "mulu_steward")
            ),
            tables={},
        )
        deliveries = MeasuredDeliveries(open_database(binding), folder / "postgres", rows)
        with psycopg.connect(cluster.connection_text("registry", "registry_owner")) as connection:
            version = connection.info.parameter_status("server_version") or "unknown"
            yield version, {POSTGRES: deliveries.run, **plain_ways(connection, _TABLE, _ITEMS)}


def _set_up(cluster: Cluster, rows: int) -> None:
    with psycopg.connect(cluster.connection_text("registry", "postgres")) as superuser:
        superuser.execute(_ROLES.encode())
        superuser.execute("ALTER DATABASE registry OWNER TO registry_owner")
        superuser.execute("ALTER SCHEMA public OWNER TO registry_owner")
    with psycopg.connect(cluster.connection_text("registry", "registry_owner"), autocommit=True) as owner:
        owner.execute(_CREATE.encode())
        with owner.cursor() as cursor, cursor.copy(f"COPY {_TABLE} FROM STDIN".encode()) as copy:
            for row in made_up_rows(rows):
                copy.write_row(row)
        owner.execute(f"ANALYZE {_TABLE}".encode())


def made_up_rows(count: int) -> Iterator[Row]:
    """Yield rows as a department has them: numbers, names, codes, dates. Nobody is in them."""
    for number in range(1, count + 1):
        yield (
            f"AY-01-D1-{number:06}",
            f"样例许可{number}",
            f"1101{number % 17:02}",
            f"{number * 0x9E3779B97F4A7C15 % (1 << 128):032x}",
            number % 10 != 0,
            number % 10_000,
            f"20{20 + number % 6}-{1 + number % 12:02}-{1 + number % 28:02}",
            f"2025-{1 + number % 12:02}-{1 + number % 28:02} {number % 24:02}:00:00",
        )


def _whole_table(recipient_key: bytes, rows: int) -> Grant:
    return Grant(
        id=_GRANT,
        requester="11110000000021003G",
        provider="11110000A00000230N",
        data_item="AY-01-D1",
        fields=tuple(_ITEMS.values()),
        selection=(),
        mode="database",
        volume_max=rows,
        last_day="2026-12-31",
        conditions="",
        recipient_key=recipient_key,
        basis="unconditional",
        status=GrantStatus.LIVE,
        ended_reason="",
        duty=None,
        granted_ms=1,
        granted_height=1,
        deliveries=0,
        open_delivery=0,
        pending=0,
        used=0,
    )


def _stated(prepared: Prepared) -> Delivery:
    """Return the delivery as the ledger would have it."""
    record = prepared.offer.delivery
    return Delivery(
        grant=record.grant,
        number=record.number,
        table=record.table,
        rows=record.rows,
        size_bytes=record.size_bytes,
        chunks=record.chunks,
        commitment=record.commitment,
        sealed=record.sealed,
        schema=record.schema,
        status=DeliveryStatus.PENDING,
        rejection=None,
        duty=None,
        delivered_ms=1,
        delivered_height=1,
        settled_ms=0,
        settled_height=0,
    )
