"""The index's file: opened, checked or rebuilt; one thread that writes, connections that read."""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from ledger.consensus.effects import CheckpointAdvanced, Executed
from ledger.errors import NotYetError, StorageFailedError
from ledger.identifiers import ChainId, Height
from nodes.index import schema
from nodes.index.rows import BlockRows, rows_of

logger = logging.getLogger(__name__)

P = ParamSpec("P")
A = TypeVar("A")

QUEUE_BLOCKS_MAX = 64
"""Executed blocks that wait for the writer. Only catching up fills the queue; then it bounds the memory."""

LOCK_WAIT_S = 2.0
"""What another process gets to finish with the file, a copy being made for example."""

OnIndexed = Callable[[Height, Mapping[tuple[str, int], int]], None]
"""Gets a height and how many records of each kind got each code, once the block can be read."""


class IndexLockedError(StorageFailedError):
    """Another process holds the index file; nothing was changed."""

    code = "index_locked"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is locked by another process: close the program that has it open, then start the node again"
        )
        self.path = path


class IndexUnavailableError(NotYetError):
    """The index cannot answer now; the ledger itself goes on."""

    code = "index_unavailable"


class QueryIndex:
    """The index of one node. Close it, or use it in a `with`.

    Blocks go in through `executed`, in ascending order; those it has are compared and skipped, so that what a restart
    executes again can be handed in as it comes. Questions go through `ask`, from any thread.
    """

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        chain: ChainId,
        journal_height: Height,
        on_indexed: OnIndexed | None = None,
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> Self:
        """Open the index at `path`, or begin it anew.

        Args:
            path: The file; SQLite keeps two more beside it while it is open.
            journal_height: Height up to which the journal was executed. An index that is ahead of it is not trusted.
            on_indexed: Called on the writer's thread after each commit; must be quick and raise nothing.

        A file that is damaged, of another version or network, or ahead is deleted, with a warning, and begun anew.

        Raises:
            IndexLockedError: Another process has it open.
            StorageFailedError: The file can neither be used nor replaced.
        """
        if (reason := _why_not_usable(path, chain, journal_height, lock_wait_s)) is not None:
            logger.warning("the index %s is built anew: %s", path, reason)
            _delete(path)
        try:
            writer = _connect(path, chain, lock_wait_s)
        except sqlite3.Error as error:
            raise StorageFailedError(f"{path} cannot be used as an index: {error}") from error
        return cls(path, writer, on_indexed)

    def __init__(self, path: Path, writer: sqlite3.Connection, on_indexed: OnIndexed | None) -> None:
        """Use `open`."""
        self.path = path
        self.on_indexed = on_indexed
        self.failure = ""
        """Why nothing more is written, or empty."""
        self._writer = writer
        self._height = _height_of(writer)
        self._waiting: queue.Queue[Executed | None] = queue.Queue(QUEUE_BLOCKS_MAX)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._write_all, name="index-writer", daemon=True)
        self._thread.start()

    @property
    def height(self) -> Height:
        """Height up to which questions are answered; 0 before the first block."""
        return self._height

    @property
    def queued(self) -> int:
        """Blocks that wait to be written."""
        return self._waiting.qsize()

    def executed(self, effect: Executed) -> None:
        """Take a block; it can be read a moment later. Waits only while `QUEUE_BLOCKS_MAX` blocks are queued."""
        if not self.failure and not self._closed:
            self._waiting.put(effect)

    def checkpoint_advanced(self, effect: CheckpointAdvanced) -> None:
        """Nothing: a checkpoint supersedes the one before it, and the newest is at hand without an index."""

    def ask(self, question: Callable[Concatenate[sqlite3.Connection, P], A], *args: P.args, **kwargs: P.kwargs) -> A:
        """Return the answer to a question of `nodes.index.queries`. Blocks; not for an event loop's thread.

        Raises:
            IndexUnavailableError: The file cannot be read, or the index was closed.
        """
        with self.reading() as connection:
            return question(connection, *args, **kwargs)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for several questions, all answered as of the same block.

        Raises:
            IndexUnavailableError: As for `ask`.
        """
        if self._closed:
            raise IndexUnavailableError("the index is closed")
        try:
            connection = self._reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.rollback()
                self._readers.put(connection)
        except sqlite3.Error as error:
            raise IndexUnavailableError(f"the index cannot be read: {error}") from error

    def flush(self) -> None:
        """Wait until everything handed in so far can be read, or will never be."""
        self._waiting.join()

    def close(self) -> None:
        """Write what is queued, then close the file. Never raises: the journal has everything."""
        if self._closed:
            return
        self._closed = True
        self._waiting.put(None)
        self._thread.join()
        with contextlib.suppress(queue.Empty, sqlite3.Error):
            while True:
                self._readers.get_nowait().close()
        with contextlib.suppress(sqlite3.Error):
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reader(self) -> sqlite3.Connection:
        with contextlib.suppress(queue.Empty):
            return self._readers.get_nowait()
        connection = sqlite3.connect(
            f"{self.path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = ON")
        return connection

    # The writer's thread.

    def _write_all(self) -> None:
        while (effect := self._waiting.get()) is not None:
            try:
                if not self.failure:
                    self._write(effect)
            except Exception as error:
                # A cache must not take its node down. The next start finds it behind, or damaged, and mends it.
                self.failure = f"block {effect.height} was not indexed: {error}"
                logger.exception("the index stops at height %d until the next start", self._height)
            finally:
                self._waiting.task_done()
        self._waiting.task_done()

    def _write(self, effect: Executed) -> None:
        if effect.height <= self._height:
            if self._has(effect):
                return
            # The journal is right. All blocks below were compared before this one, so they may stay.
            logger.warning("the index had another block at height %d: it is rewritten from there", effect.height)
            with _transaction(self._writer):
                for table in schema.TABLES_BY_HEIGHT:
                    self._writer.execute(f"DELETE FROM {table} WHERE height >= ?", (effect.height,))
            self._height = Height(effect.height - 1)
        if effect.height != self._height + 1:
            raise ValueError(f"the index ends at height {self._height}")
        rows = rows_of(effect)
        with _transaction(self._writer):
            _insert(self._writer, rows)
        self._height = effect.height
        if self.on_indexed is not None:
            self.on_indexed(effect.height, rows.counts)

    def _has(self, effect: Executed) -> bool:
        row = self._writer.execute("SELECT block_id FROM blocks WHERE height = ?", (effect.height,)).fetchone()
        return row is not None and row[0] == effect.record.block


def _why_not_usable(path: Path, chain: ChainId, journal_height: Height, lock_wait_s: float) -> str | None:
    """Return why the file must be deleted, or None if it can be used or is not there."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=lock_wait_s, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if (application, version) != (schema.APPLICATION_ID, schema.VERSION):
                return f"it has version {version}, this program writes version {schema.VERSION}"
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                return f"it is damaged: {verdict}"
            (found,) = connection.execute("SELECT chain FROM network").fetchone()
            if found != chain:
                return f"it is of network {found.hex()}, this node of {chain.hex()}"
            if (height := _height_of(connection)) > journal_height:
                return f"it reaches height {height}, the journal {journal_height}"
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise IndexLockedError(path) from error
        return f"it cannot be read: {error}"
    except (sqlite3.DatabaseError, TypeError) as error:
        # A query that finds no row gives None, which cannot be taken apart: tables are there, their content is not.
        return f"it is damaged: {error}"
    return None


def _delete(path: Path) -> None:
    try:
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailedError(f"{path} cannot be used as an index, nor replaced: {error.strerror}") from error


def _connect(path: Path, chain: ChainId, lock_wait_s: float) -> sqlite3.Connection:
    """Return the writer's connection to a file that is new or usable."""
    is_new = not path.exists()
    connection = sqlite3.connect(path, timeout=lock_wait_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if is_new:
        with _transaction(connection):
            for statement in schema.SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO network VALUES (?)", (chain,))
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    return connection


def _height_of(connection: sqlite3.Connection) -> Height:
    (height,) = connection.execute("SELECT coalesce(max(height), 0) FROM blocks").fetchone()
    return Height(height)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()
        raise


def _insert(connection: sqlite3.Connection, rows: BlockRows) -> None:
    many: dict[str, list[Any]] = {
        f"INSERT INTO blocks VALUES ({_marks(12)})": [rows.block],
        f"INSERT INTO entries VALUES ({_marks(3)})": rows.entries,
        f"INSERT INTO envelopes VALUES ({_marks(8)})": rows.envelopes,
        f"INSERT INTO records VALUES ({_marks(5)})": rows.records,
        # A record that writes a key twice, or two deadlines of one subject, are one change.
        f"INSERT OR IGNORE INTO history VALUES ({_marks(4)})": rows.history,
        f"INSERT OR IGNORE INTO keys VALUES ({_marks(2)})": [row[:2] for row in rows.history],
        f"INSERT INTO texts VALUES ({_marks(6)})": rows.texts,
    }
    for statement, values in many.items():
        connection.executemany(statement, values)


def _marks(count: int) -> str:
    return ", ".join("?" * count)
