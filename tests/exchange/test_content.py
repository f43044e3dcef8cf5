"""Rows become bytes and rows again, however the bytes are cut, and bytes that are no rows are refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import content
from ledger.content import (
    BrokenContentError,
    ContentHeader,
    ContentReader,
    UnsendableValueError,
    encode_header,
    encode_rows,
)
from ledger.identifiers import Digest
from nodes.exchange.outputs import OutputError, is_output, open_output, recover_output

HEADER = ContentHeader(table="AY-01-T1", schema=Digest(b"\x01" * 32), columns=("姓名", "amount"))

VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.text(), st.binary())
BATCHES = st.lists(st.lists(st.tuples(VALUES, VALUES), max_size=5), max_size=5)


def bytes_of(batches: Sequence[Sequence[tuple[Any, ...]]], header: ContentHeader = HEADER) -> bytes:
    """Return the content that holds `batches`."""
    return encode_header(header) + b"".join(block for batch in batches for block in encode_rows(batch))


def rows_of(data: bytes, cut: int = 1 << 20) -> tuple[ContentHeader, list[tuple[Any, ...]]]:
    """Return header and rows of content that comes in pieces of `cut` bytes."""
    reader = ContentReader()
    rows = [
        row for start in range(0, len(data), cut) for batch in reader.feed(data[start : start + cut]) for row in batch
    ]
    assert reader.rows == len(rows)
    return reader.finish(), rows


@given(batches=BATCHES, cut=st.integers(1, 40))
def test_rows_come_back_as_they_went(batches: list[list[tuple[Any, Any]]], cut: int) -> None:
    """Every kind of value, whatever the pieces."""
    assert rows_of(bytes_of(batches), cut) == (HEADER, [row for batch in batches for row in batch])


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}, datetime(2025, 9, 1, tzinfo=UTC)])
def test_values_of_other_kinds_are_not_taken(value: Any) -> None:
    """A provider that sends floats, arrays, maps or extension types sends something else than rows."""
    with pytest.raises(BrokenContentError, match="not rows of the header's columns"):
        rows_of(bytes_of([[("a", value)]]))


def test_a_value_that_cannot_be_sent_is_named_by_its_kind_alone() -> None:
    """The message and its chain hold no data."""
    with pytest.raises(UnsendableValueError) as caught:
        list(encode_rows([(1 << 70, "Zhang San")]))
    assert "Zhang" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_batch_longer_than_a_block_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long rows take more blocks; the rows and their order stay."""
    monkeypatch.setattr(content, "ROWS_BYTES_MAX", 300)
    monkeypatch.setattr(content, "BLOCK_BYTES_MAX", 300)
    batch = [(bytes([number]) * 100, number) for number in range(9)]
    assert len(list(encode_rows(batch))) > 4
    assert rows_of(bytes_of([batch]))[1] == batch
    with pytest.raises(UnsendableValueError, match="a row has"):
        list(encode_rows([(bytes(400), 1)]))


def test_a_long_block_holds_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small rows take many times their bytes in memory: who seals a long block of them gets none of it decoded."""
    monkeypatch.setattr(content, "ROWS_BYTES_MAX", 300)
    long_row = (bytes(400), 1)
    assert rows_of(bytes_of([[long_row]]))[1] == [long_row]
    body = msgspec.msgpack.encode([(None, None)] * 200)
    with pytest.raises(BrokenContentError, match="not rows of the header's columns"):
        rows_of(encode_header(HEADER) + len(body).to_bytes(4, "big") + body)


@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1])
def test_an_integer_beyond_63_bits_is_no_value(number: int) -> None:
    """MessagePack has some more and no database does: they are not taken, beside byte strings neither."""
    for beside in "a", b"a":
        body = msgspec.msgpack.encode([(beside, number)])
        with pytest.raises(BrokenContentError, match="not rows of the header's columns"):
            rows_of(encode_header(HEADER) + len(body).to_bytes(4, "big") + body)


@pytest.mark.parametrize("drop", [1, 3, 20])
def test_content_that_ends_inside_of_a_block_is_broken(drop: int) -> None:
    """Also if it ends inside of the first one."""
    data = bytes_of([[("a", 1)]])
    with pytest.raises(BrokenContentError, match="ends inside"):
        rows_of(data[:-drop])
    with pytest.raises(BrokenContentError, match="ends inside"):
        rows_of(data[:10])


def test_rows_have_exactly_the_columns_of_the_header() -> None:
    """A value more or less than the header says is never written anywhere."""
    for row in (("a",), ("a", 1, 2)):
        with pytest.raises(BrokenContentError, match="not rows of the header's columns"):
            rows_of(bytes_of([[row]]))


def test_a_block_that_announces_too_much_is_refused_at_once() -> None:
    """Before anything of it is waited for."""
    with pytest.raises(BrokenContentError, match="at most"):
        list(ContentReader().feed(b"\xff\xff\xff\xff"))


@given(data=st.binary(max_size=120))
def test_bytes_are_content_or_broken(data: bytes) -> None:
    """Whatever a provider seals, no other exception escapes."""
    reader = ContentReader()
    try:
        list(reader.feed(encode_header(HEADER) + data))
        reader.finish()
    except BrokenContentError:
        return


def test_a_message_about_broken_rows_holds_none_of_them() -> None:
    """What a provider sends may be personal, also when it is wrong."""
    body = msgspec.msgpack.encode([["Zhang San", 1, 2]])
    with pytest.raises(BrokenContentError) as caught:
        list(ContentReader().feed(encode_header(HEADER) + len(body).to_bytes(4, "big") + body))
    assert "Zhang" not in str(caught.value)


ROWS = [("张三", 1, None), ('a "quoted", name', True, b"\x00\xff"), ("line\nbreak", 2, "2.5")]
COLUMNS = ("name", 'odd "column"', "rest")


def written(path: Path) -> Path:
    """Write the rows to `path` and publish them."""
    output = open_output(path)
    output.begin(COLUMNS)
    output.write(ROWS[:1])
    output.write(ROWS[1:])
    mark = output.complete()
    assert not path.exists()
    assert not is_output(path, mark)
    output.publish()
    assert is_output(path, mark)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o077 == 0
    return path


def test_sqlite_output_holds_the_rows(tmp_path: Path) -> None:
    """Columns under their names, values with their types."""
    connection = sqlite3.connect(written(tmp_path / "rows.db"))
    cursor = connection.execute("SELECT * FROM delivery")
    assert tuple(column[0] for column in cursor.description) == COLUMNS
    assert cursor.fetchall() == [ROWS[0], (ROWS[1][0], 1, b"\x00\xff"), (ROWS[2][0], 2, "2.5")]
    connection.close()


def test_json_lines_output_holds_the_rows(tmp_path: Path) -> None:
    """One object a line, byte strings in base64."""
    lines = written(tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == [
        ROWS[0],
        (ROWS[1][0], True, "AP8="),
        (ROWS[2][0], 2, "2.5"),
    ]
    assert tuple(json.loads(lines[0])) == COLUMNS


def test_csv_output_holds_the_rows(tmp_path: Path) -> None:
    """As RFC 4180 quotes them."""
    assert written(tmp_path / "rows.csv").read_bytes().decode() == (
        'name,"odd ""column""",rest\r\n张三,1,\r\n"a ""quoted"", name",true,00ff\r\n"line\nbreak",2,2.5\r\n'
    )


@pytest.mark.parametrize("name", ["rows.db", "rows.jsonl", "rows.csv"])
def test_a_discarded_output_leaves_nothing(tmp_path: Path, name: str) -> None:
    """Neither under its name nor under another, and discarding again does no harm."""
    output = open_output(tmp_path / name)
    output.begin(COLUMNS)
    output.write(ROWS)
    output.discard()
    output.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rows.db", "rows.jsonl", "rows.csv"])
def test_a_new_attempt_begins_anew(tmp_path: Path, name: str) -> None:
    """What a crash left of an earlier one does not show."""
    abandoned = open_output(tmp_path / name)
    abandoned.begin(COLUMNS)
    abandoned.write(ROWS)
    written(tmp_path / name)
    abandoned.discard()


def test_an_output_never_overwrites(tmp_path: Path) -> None:
    """Neither what is there at first, nor what came to be there meanwhile."""
    path = tmp_path / "rows.csv"
    output = open_output(path)
    output.begin(COLUMNS)
    mark = output.complete()
    path.write_text("mine")
    with pytest.raises(OutputError, match="meanwhile"):
        output.publish()
    with pytest.raises(OutputError, match="exists already"):
        open_output(path)
    with pytest.raises(OutputError, match="meanwhile"):
        recover_output(path, mark)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("others", [b"mine", b'name,"odd ""column""",rest\r\n'])
def test_a_file_that_came_in_the_place_of_an_output_is_another(tmp_path: Path, others: bytes) -> None:
    """Although file systems give a new file the number of the one that was removed just now."""
    path = tmp_path / "rows.csv"
    output = open_output(path)
    output.begin(COLUMNS)
    mark = output.complete()
    output.publish()
    path.unlink()
    path.write_bytes(others)
    assert not is_output(path, mark)


@pytest.mark.parametrize("name", ["rows.db", "rows.jsonl", "rows.csv"])
def test_a_completed_output_is_known_again(tmp_path: Path, name: str) -> None:
    """Before and after it got its name, and no other file is taken for it."""
    path = tmp_path / name
    output = open_output(path)
    output.begin(COLUMNS)
    output.write(ROWS)
    mark = output.complete()
    assert recover_output(path, mark)
    assert recover_output(path, mark)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    path.rename(tmp_path / "moved")
    path.write_text("another")
    assert not recover_output(path, mark)
    assert not recover_output(path, "")


def test_an_output_names_what_it_cannot_write(tmp_path: Path) -> None:
    """An unknown suffix, and a folder that is not there."""
    with pytest.raises(OutputError, match="suffix"):
        open_output(tmp_path / "rows.xlsx")
    with pytest.raises(OutputError, match="not a folder"):
        open_output(tmp_path / "missing" / "rows.csv")
