"""`exchange.db`: what a node keeps of each delivery beside the data, so that a crash changes nothing.

One row a delivery and side, and one for each grant that the department's database is open to. The keys in it open
commitments and subject tags; `forget` destroys them, and overwrites where they stood. Nothing here is needed to follow
the ledger.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ledger.encoding import decode
from ledger.errors import StorageFailedError
from nodes.exchange.errors import NoRoomError, StoreReadElsewhereError
from nodes.exchange.messages import Offer, Question

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE sent (
    grant_id TEXT NOT NULL, number INTEGER NOT NULL, step TEXT NOT NULL, requester TEXT NOT NULL,
    question BLOB, offer BLOB NOT NULL, commitment_key BLOB, subject_key BLOB,
    PRIMARY KEY (grant_id, number)
) WITHOUT ROWID;
CREATE TABLE received (
    grant_id TEXT NOT NULL, number INTEGER NOT NULL, step TEXT NOT NULL, provider TEXT NOT NULL,
    question BLOB, offer BLOB NOT NULL, commitment_key BLOB, output TEXT NOT NULL, mark TEXT NOT NULL,
    PRIMARY KEY (grant_id, number)
) WITHOUT ROWID;
CREATE TABLE opened (grant_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class SentStep(Enum):
    """How far a provider has come with a delivery."""

    SEALED = "sealed"
    """Its bytes are on the disk and will never be others; whether it is on the ledger is not known."""
    STATED = "stated"
    """It is on the ledger, and may be served."""
    SETTLED = "settled"
    """The requester has acknowledged or rejected it, or can fetch it no more; the bytes are gone."""


class ReceivedStep(Enum):
    """How far a requester has come with a delivery."""

    FETCHING = "fetching"
    """Chunks come, or have come and are not looked into yet."""
    WRITTEN = "written"
    """Checked, and the rows are in the output or about to be given their name there."""
    SETTLED = "settled"
    """The ledger was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A delivery of this department."""

    grant: str
    number: int
    step: SentStep
    requester: str
    question: Question | None
    """None once it is settled: it may name persons."""
    offer: Offer
    commitment_key: bytes | None
    """None once it was forgotten."""
    subject_key: bytes | None
    """None if it was forgotten, or if nothing in the rows says whom they are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A delivery to this department."""

    grant: str
    number: int
    step: ReceivedStep
    provider: str
    question: Question | None
    offer: Offer
    commitment_key: bytes | None
    """Known once the keys were opened; None again once it was forgotten."""
    output: str
    """Where the rows are to go, or went."""
    mark: str
    """By which the output can be told from another file of its name; empty until it is complete."""


class ExchangeStore:
    """The open database. Used from any thread; one at a time gets in.

    Whatever changes something raises `NoRoomError`, and has changed nothing, where the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        """Open the database, or make it.

        Raises:
            StorageFailedError: The file is of another version, or no database.
        """
        self._lock = threading.Lock()
        self._path = path
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            # One sync a change instead of three.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            elif version != SCHEMA_VERSION:
                raise StorageFailedError(f"{path} is of version {version}; this program reads {SCHEMA_VERSION}")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise StorageFailedError(f"{path} cannot be used: {error}") from error
        except StorageFailedError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    # As a provider

    def add_sent(self, sent: Sent) -> None:
        """Keep a delivery that was sealed. Once this returns, its number has these bytes for good."""
        self._change(
            "INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            sent.grant,
            sent.number,
            sent.step.value,
            sent.requester,
            None if sent.question is None else sent.question.encode(),
            sent.offer.encode(),
            sent.commitment_key,
            sent.subject_key,
        )

    def sent(self, grant: str, number: int) -> Sent | None:
        """Return a delivery of this department."""
        rows = self._rows("SELECT * FROM sent WHERE grant_id = ? AND number = ?", grant, number)
        return _sent(rows[0]) if rows else None

    def unsettled(self) -> list[Sent]:
        """Return the deliveries of this department whose bytes are still kept."""
        return [_sent(row) for row in self._rows("SELECT * FROM sent WHERE step != ?", SentStep.SETTLED.value)]

    def traceable(self) -> list[Sent]:
        """Return the deliveries of this department whose subjects can be found, oldest first in each grant."""
        return [_sent(row) for row in self._rows("SELECT * FROM sent WHERE subject_key IS NOT NULL ORDER BY 1, 2")]

    def untraceable(self) -> int:
        """Return how many deliveries of this department cannot be searched for subjects."""
        return int(self._rows("SELECT count(*) FROM sent WHERE subject_key IS NULL")[0][0])

    def mark_stated(self, grant: str, number: int) -> None:
        """Note that the delivery is on the ledger."""
        self._change("UPDATE sent SET step = ? WHERE grant_id = ? AND number = ?", SentStep.STATED.value, grant, number)

    def settle_sent(self, grant: str, number: int) -> None:
        """Note that nobody will fetch it any more; what was asked is forgotten."""
        self._change(
            "UPDATE sent SET step = ?, question = NULL WHERE grant_id = ? AND number = ?",
            SentStep.SETTLED.value,
            grant,
            number,
        )
        self._overwrite_what_was()

    def drop_sent(self, grant: str, number: int) -> None:
        """Forget a delivery that will never be stated: nobody has ever seen anything of it."""
        self._change("DELETE FROM sent WHERE grant_id = ? AND number = ?", grant, number)
        self._overwrite_what_was()

    def add_opened(self, grant: str) -> None:
        """Keep that the database may have been opened to a grant. Doing it again changes nothing."""
        self._change("INSERT OR IGNORE INTO opened VALUES (?)", grant)

    def opened(self) -> list[str]:
        """Return the grants that the database may be open to, ascending."""
        return [grant for (grant,) in self._rows("SELECT grant_id FROM opened ORDER BY 1")]

    def drop_opened(self, grant: str) -> None:
        """Forget that the database was opened to a grant: it is so no more."""
        self._change("DELETE FROM opened WHERE grant_id = ?", grant)

    # As a requester

    def add_received(self, received: Received) -> None:
        """Keep an offer that was compared with the ledger."""
        self._change(
            "INSERT INTO received VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            received.grant,
            received.number,
            received.step.value,
            received.provider,
            None if received.question is None else received.question.encode(),
            received.offer.encode(),
            received.commitment_key,
            received.output,
            received.mark,
        )

    def received(self, grant: str, number: int) -> Received | None:
        """Return a delivery to this department."""
        rows = self._rows("SELECT * FROM received WHERE grant_id = ? AND number = ?", grant, number)
        return _received(rows[0]) if rows else None

    def receiving(self, grant: str) -> Received | None:
        """Return the delivery under a grant that is under way to this department."""
        rows = self._rows("SELECT * FROM received WHERE grant_id = ? AND step != ?", grant, ReceivedStep.SETTLED.value)
        return _received(rows[0]) if rows else None

    def fetching(self) -> list[str]:
        """Return the grants of deliveries to this department of which not all was checked yet."""
        rows = self._rows("SELECT grant_id FROM received WHERE step = ?", ReceivedStep.FETCHING.value)
        return [grant for (grant,) in rows]

    def redirect(self, grant: str, number: int, output: str) -> None:
        """Note that the rows are to go to another place."""
        self._change(
            "UPDATE received SET output = ?, mark = '' WHERE grant_id = ? AND number = ?", output, grant, number
        )

    def mark_written(self, grant: str, number: int, *, output: str, mark: str, commitment_key: bytes) -> None:
        """Note that the rows were checked and where they are, before they get their name there."""
        self._change(
            "UPDATE received SET step = ?, output = ?, mark = ?, commitment_key = ? WHERE grant_id = ? AND number = ?",
            ReceivedStep.WRITTEN.value,
            output,
            mark,
            commitment_key,
            grant,
            number,
        )

    def settle_received(self, grant: str, number: int) -> None:
        """Note that the ledger was told; what was asked is forgotten."""
        self._change(
            "UPDATE received SET step = ?, question = NULL WHERE grant_id = ? AND number = ?",
            ReceivedStep.SETTLED.value,
            grant,
            number,
        )
        self._overwrite_what_was()

    # As either

    def forget(self, grant: str, number: int) -> None:
        """Destroy the keys of a delivery, on whichever side. What is on the ledger still verifies and says nothing.

        Raises:
            StoreReadElsewhereError: They are gone from the database, and may be found where they stood.
        """
        place = (grant, number)
        self._change(
            "UPDATE sent SET commitment_key = NULL, subject_key = NULL, question = NULL "
            "WHERE grant_id = ? AND number = ?",
            *place,
        )
        self._change(
            "UPDATE received SET commitment_key = NULL, question = NULL WHERE grant_id = ? AND number = ?", *place
        )
        if not self._overwrite_what_was():
            raise StoreReadElsewhereError(
                f"{self._path} is being read by another program and so keeps former values: do it again afterwards"
            )

    def _overwrite_what_was(self) -> bool:
        """Empty the write-ahead log, where former values would stand until it is full; return whether it could be."""
        ((blocked, _, _),) = self._change("PRAGMA wal_checkpoint(TRUNCATE)")
        return not blocked

    def _change(self, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            raise NoRoomError(f"{self._path} cannot be written: {error}") from error

    def _rows(self, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def _sent(row: tuple[Any, ...]) -> Sent:
    grant, number, step, requester, question, offer, commitment_key, subject_key = row
    return Sent(
        grant=grant,
        number=number,
        step=SentStep(step),
        requester=requester,
        question=None if question is None else decode(Question, question),
        offer=decode(Offer, offer),
        commitment_key=commitment_key,
        subject_key=subject_key,
    )


def _received(row: tuple[Any, ...]) -> Received:
    grant, number, step, provider, question, offer, commitment_key, output, mark = row
    return Received(
        grant=grant,
        number=number,
        step=ReceivedStep(step),
        provider=provider,
        question=None if question is None else decode(Question, question),
        offer=decode(Offer, offer),
        commitment_key=commitment_key,
        output=output,
        mark=mark,
    )
