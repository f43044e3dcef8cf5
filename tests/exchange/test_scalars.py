"""What values of a database are delivered as."""

from __future__ import annotations

import math

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from nodes.exchange.databases import GrantedAccess, GrantedQuery, Row
from nodes.exchange.databases.scalars import BATCH_BYTES, BATCH_ROWS_MAX, BatchSize, floats_as_text
from tests.exchange.departments_database import Department

POSTGRES_VALUES = {
    "smallint": ("-32768", -32768),
    "integer": ("7", 7),
    "bigint": ("9223372036854775807", 9223372036854775807),
    "boolean": ("true", True),
    "bytea": (r"'\x00ff'", b"\x00\xff"),
    "text": ("'e\u0301 未规范化'", "e\u0301 未规范化"),
    "character(4)": ("'ab'", "ab  "),
    "character varying(20)": ("'海淀'", "海淀"),
    "date": ("'2026-02-28'", "2026-02-28"),
    "time without time zone": ("'08:09:10.5'", "08:09:10.5"),
    "timestamp without time zone": ("'2026-02-28 08:09:10.123456'", "2026-02-28 08:09:10.123456"),
    "timestamp with time zone": ("'2026-02-28 08:09:10+08'", "2026-02-28 00:09:10+00"),
    "interval": ("'1 day 2 hours'", "P1DT2H"),
    "numeric(12,2)": ("1234567890.10", "1234567890.10"),
    "numeric": ("'NaN'", "NaN"),
    "double precision": ("0.1", "0.1"),
    "real": ("0.1", "0.1"),
    "uuid": ("'00000000-0000-0000-0000-00000000000a'", "00000000-0000-0000-0000-00000000000a"),
    "jsonb": ("""'{"b": 1, "a": [true]}'""", '{"a": [true], "b": 1}'),
    "integer[]": ("'{1,2}'", "{1,2}"),
    "inet": ("'192.0.2.1'", "192.0.2.1"),
}


def rows_of(department: Department, table: str) -> list[Row]:
    """Return all rows of a table, granted whole."""
    schema = department.database.describe(table)
    columns = tuple(column.name for column in schema)
    access = GrantedAccess(grant="R-9", table=table, schema=schema, columns=columns)
    department.database.enforce(access)
    query = GrantedQuery(access=access, columns=columns)
    return [row for batch in department.database.stream(query) for row in batch]


def test_every_type_of_postgresql_is_delivered_as_a_scalar(postgres_department: Department) -> None:
    """Whole numbers, truth and bytes as themselves, all else as the server's text; types under their own names."""
    columns = ", ".join(f"c{number} {name}" for number, name in enumerate(POSTGRES_VALUES))
    postgres_department.run(f"CREATE TABLE kinds ({columns})")
    postgres_department.run(f"INSERT INTO kinds VALUES ({', '.join(text for text, _ in POSTGRES_VALUES.values())})")
    postgres_department.run("INSERT INTO kinds DEFAULT VALUES")
    full, empty = rows_of(postgres_department, "kinds")
    assert full == tuple(value for _, value in POSTGRES_VALUES.values())
    assert [type(value) for value in full] == [type(value) for _, value in POSTGRES_VALUES.values()]
    assert set(empty) == {None}
    assert msgpack.unpackb(msgpack.packb(full)) == list(full)
    described = postgres_department.database.describe("kinds")
    assert [c.type if c.length is None else f"{c.type}({c.length})" for c in described] == list(POSTGRES_VALUES)


def test_a_servers_settings_do_not_change_what_is_delivered(postgres_department: Department) -> None:
    """The reader may have its own date style and time zone; a date has one text all the same."""
    postgres_department.run("CREATE TABLE dates (d DATE, t TIMESTAMPTZ, f FLOAT8, b BYTEA)")
    postgres_department.run(r"INSERT INTO dates VALUES ('2026-02-28', '2026-02-28 08:00+08', 1e300, '\x0a')")
    settings = {
        "datestyle": "'German'",
        "timezone": "'Asia/Shanghai'",
        "extra_float_digits": "-5",
        "bytea_output": "escape",
    }
    for name, value in settings.items():
        postgres_department.run(f"ALTER DATABASE registry SET {name} TO {value}")
    try:
        assert rows_of(postgres_department, "dates") == [("2026-02-28", "2026-02-28 00:00:00+00", "1e+300", b"\n")]
    finally:
        postgres_department.run("ALTER DATABASE registry RESET ALL")


def test_what_sqlite_holds_is_delivered_as_a_scalar(sqlite_department: Department) -> None:
    """Any column may hold any kind, and a number with a fraction is always text."""
    sqlite_department.run("CREATE TABLE kinds (a, b INTEGER, c REAL, d TEXT, e BLOB)")
    sqlite_department.run(r"INSERT INTO kinds VALUES (0.1, 9223372036854775807, 2, 'e' || char(769), x'00ff')")
    sqlite_department.run("INSERT INTO kinds VALUES ('x', 1.5, 9e999, 7, NULL)")
    assert rows_of(sqlite_department, "kinds") == [
        ("0.1", 9223372036854775807, "2.0", "e\u0301", b"\x00\xff"),
        ("x", "1.5", "inf", "7", None),
    ]


@given(st.lists(st.tuples(st.integers(), st.floats(), st.text(), st.none()), max_size=20))
def test_no_float_is_delivered_and_none_loses_a_digit(rows: list[tuple[object, ...]]) -> None:
    """Each becomes the text that reads back as the same number; all else stays the same object."""
    delivered = floats_as_text(list(rows))
    for row, before in zip(delivered, rows, strict=True):
        assert type(row[1]) is str
        number = float(row[1])
        assert number == before[1] or (math.isnan(number) and before[1] != before[1])
        assert (row[0], row[2], row[3]) == (before[0], before[2], before[3])


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=30))
def test_the_next_batch_fits_rows_as_wide_as_the_last(widths: list[int]) -> None:
    """Never more than the bounds, never none, and growth at most fourfold."""
    size = BatchSize()
    for width in widths:
        before = size.rows
        size.learn([("x" * width,)] * 3)
        assert 1 <= size.rows <= min(4 * before, BATCH_ROWS_MAX)
        assert size.rows == 1 or size.rows * width <= BATCH_BYTES
