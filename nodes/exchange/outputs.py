"""Where received rows go: a SQLite table, JSON lines or CSV, whole under its name or not there at all.

An output is written beside its place under a temporary name. `complete` makes it durable and gives a mark by which it
is known again, `publish` gives it its name in one step, `discard` leaves nothing. So an application that watches the
place sees complete deliveries only, and after a crash it can be told whether the file there is this one.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from ledger.content import Row, Scalar
from ledger.errors import LedgerError
from nodes.files import DiskFolder

Rows = Sequence[Row]

PARTIAL_SUFFIX = ".partial"


class OutputError(LedgerError):
    """The place for the rows cannot be used: it is taken, or the disk refuses."""

    code = "output"


class Output(Protocol):
    """Takes rows. Either `complete` and then `publish` comes last, or `discard`."""

    def begin(self, columns: Sequence[str]) -> None:
        """Take the names of the columns, once and first."""

    def write(self, rows: Rows) -> None:
        """Take a batch of rows in order."""

    def complete(self) -> str:
        """Make what was written durable; return its mark, or nothing if it cannot be told from another."""

    def publish(self) -> None:
        """Let what was written be seen.

        Raises:
            OutputError: The name was taken meanwhile, or cannot be given.
        """

    def discard(self) -> None:
        """Forget what was written. Doing it twice, or after `publish`, does no harm."""


def open_output(path: Path, *, name: str = "delivery") -> Output:
    """Return an output at `path` of the form that its suffix names: `.db` or `.sqlite`, `.jsonl`, `.csv`.

    Args:
        path: Must not exist, so that a delivery never overwrites an earlier one.
        name: Of the table, in a SQLite file.

    Raises:
        OutputError: The path exists, its folder does not or cannot be looked into, or the suffix is another one.
    """
    forms: dict[str, Callable[[Path], Output]] = {
        ".jsonl": JsonLinesOutput,
        ".csv": CsvOutput,
        ".db": lambda place: SqliteOutput(place, name),
        ".sqlite": lambda place: SqliteOutput(place, name),
    }
    if (form := forms.get(path.suffix)) is None:
        raise OutputError(f"{path}: what to write is named by the suffix, one of {', '.join(forms)}")
    _check_free(path)
    return form(path)


def _check_free(path: Path) -> None:
    try:
        path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise OutputError(f"{path.parent} is not a folder") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    else:
        raise OutputError(f"{path} exists already; a delivery never overwrites anything: give another name")


def is_output(path: Path, mark: str) -> bool:
    """Return whether the file at `path` is the output that got this mark, as it was written."""
    try:
        return bool(mark) and _mark_of(path.stat()) == mark
    except FileNotFoundError:
        return False


def recover_output(path: Path, mark: str) -> bool:
    """Return whether the output with this mark is at `path`, after giving it its name there if a crash came before.

    Raises:
        OutputError: Another file has the name, or it cannot be given.
    """
    partial = _partial_of(path)
    if is_output(path, mark):
        if is_output(partial, mark):
            # The crash came when it had both names.
            partial.unlink()
        return True
    if not is_output(partial, mark):
        return False
    _reveal(partial, path)
    return True


def remove_output(path: Path, mark: str) -> None:
    """Remove the output with this mark from `path`, and what a crash has left of one that was to come there.

    Args:
        mark: Empty if it has not come to be complete.

    Raises:
        OutputError: Another file has its name, or its content was changed; that one stays.
    """
    _partial_of(path).unlink(missing_ok=True)
    if is_output(path, mark):
        path.unlink()
    elif mark and path.exists():
        raise OutputError(f"{path} is not what was written there: remove it yourself if it still holds the rows")


class _FileOutput:
    """A text file that appears when it is complete."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = _partial_of(path)
        self._file: io.BufferedWriter | None = None

    def begin(self, columns: Sequence[str]) -> None:
        self._file = os.fdopen(_new_file(self._partial), "wb")

    def complete(self) -> str:
        assert self._file is not None, "begin() comes first"
        self._file.flush()
        self._file.close()
        return _make_durable(self._partial)

    def publish(self) -> None:
        _reveal(self._partial, self.path)

    def discard(self) -> None:
        if self._file is not None:
            # What waits in the buffer finds no room on a full disk, and nobody wants it.
            with contextlib.suppress(OSError):
                self._file.close()
        self._partial.unlink(missing_ok=True)


class JsonLinesOutput(_FileOutput):
    """One JSON object a row; byte strings in base64."""

    def begin(self, columns: Sequence[str]) -> None:
        super().begin(columns)
        self._columns = tuple(columns)

    def write(self, rows: Rows) -> None:
        assert self._file is not None, "begin() comes first"
        columns = self._columns
        self._file.write(_encode_lines([dict(zip(columns, row, strict=True)) for row in rows]))


class CsvOutput(_FileOutput):
    """RFC 4180 with a line of names, UTF-8; nil is an empty field, byte strings are in hexadecimal."""

    def begin(self, columns: Sequence[str]) -> None:
        super().begin(columns)
        self._write_lines([tuple(columns)])

    def write(self, rows: Rows) -> None:
        self._write_lines([tuple(map(_as_csv, row)) for row in rows])

    def _write_lines(self, lines: Rows) -> None:
        assert self._file is not None, "begin() comes first"
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        self._file.write(text.getvalue().encode())


class SqliteOutput:
    """One table in a SQLite file of its own."""

    def __init__(self, path: Path, table: str) -> None:
        self.path = path
        self._table = table
        self._partial = _partial_of(path)
        self._connection: sqlite3.Connection | None = None

    def begin(self, columns: Sequence[str]) -> None:
        os.close(_new_file(self._partial))
        # Filled and then renamed: until then nobody reads it, so nothing but the last sync needs to be durable.
        connection = sqlite3.connect(self._partial, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        names = ", ".join(map(_quoted, columns))
        connection.execute(f"CREATE TABLE {_quoted(self._table)} ({names})")
        connection.execute("BEGIN")
        self._insert = f"INSERT INTO {_quoted(self._table)} VALUES ({', '.join('?' * len(columns))})"
        self._connection = connection

    def write(self, rows: Rows) -> None:
        assert self._connection is not None, "begin() comes first"
        self._connection.executemany(self._insert, rows)

    def complete(self) -> str:
        assert self._connection is not None, "begin() comes first"
        self._connection.execute("COMMIT")
        self._connection.close()
        self._connection = None
        return _make_durable(self._partial)

    def publish(self) -> None:
        _reveal(self._partial, self.path)

    def discard(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._partial.unlink(missing_ok=True)


_encode_lines = msgspec.json.Encoder().encode_lines


def _as_csv(value: Scalar) -> int | str | None:
    if isinstance(value, bytes):
        return value.hex()
    # Written out, since `True` is Python's spelling and nobody else's.
    return str(value).lower() if isinstance(value, bool) else value


def _quoted(name: str) -> str:
    """Return a name as SQL quotes it: names of columns come from the directory and may hold anything."""
    return '"' + name.replace('"', '""') + '"'


def _partial_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{PARTIAL_SUFFIX}")


def _new_file(partial: Path) -> int:
    """Return a descriptor of a file that was not there, for this process's user alone.

    What is there is a left-over of an earlier attempt, or something that others have put in the way: a link, or a file
    that they would read.
    """
    partial.unlink(missing_ok=True)
    return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _make_durable(partial: Path) -> str:
    """Return the mark of a file whose content is on the disk now."""
    descriptor = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        return _mark_of(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _mark_of(status: os.stat_result) -> str:
    """Return what stays the same when a file gets another name, and is another one for a copy or a new file.

    Its number alone would not do: file systems give a new file the number of one that was removed just now.
    """
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def _reveal(partial: Path, path: Path) -> None:
    """Give a durable file its name, unless somebody else has taken it in the meantime."""
    try:
        os.link(partial, path)
        partial.unlink()
        DiskFolder(path.parent).sync()
    except FileExistsError as error:
        raise OutputError(f"{path} has come to exist meanwhile; nothing was overwritten") from error
    except OSError as error:
        # Some file systems, those of memory cards for example, give a file no second name.
        raise OutputError(f"{path} cannot be the name of the rows: {error.strerror}; give another folder") from error
