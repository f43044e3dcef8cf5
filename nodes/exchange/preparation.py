"""From a question to a sealed delivery on the disk: rows are read, coded, sealed and written in one pass.

What is held at a time is a few batches of rows, one chunk, and 32 bytes for each chunk before: a million rows take no
more memory than a thousand. Nothing has been promised when this is done; the ledger is told afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from ledger.content import ContentHeader, Row, Scalar, encode_header, encode_rows
from ledger.crypto.sealing import (
    SUITE,
    ContentKeys,
    Scope,
    StreamSealer,
    content_commitment,
    sealed_digest,
)
from ledger.registers.catalogue import Table
from ledger.registers.sharing.records import Deliver
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.values import Condition as DeclaredCondition
from ledger.registers.sharing.values import Grant
from nodes.exchange.chunk_files import SEALED, TAGS, ChunkFolder, stem
from nodes.exchange.databases.access import columns_of, conditions_of, granted_access
from nodes.exchange.databases.database import Database, GrantedAccess, GrantedQuery
from nodes.exchange.databases.errors import NotEnforcedError
from nodes.exchange.errors import NoRoomError, QuestionError, StatementRefusedError
from nodes.exchange.messages import Offer, Question
from nodes.exchange.read_ahead import read_ahead
from nodes.exchange.subjects import Tagger

ANSWER_COLUMNS = ("holds",)
"""What a verification delivers: one row with yes or no."""

Batches = Generator[list[Row], None, None]


class Coded(NamedTuple):
    """A batch of rows, ready to be sealed."""

    rows: int
    blocks: tuple[bytes, ...]
    subjects: list[Scalar]
    """Whom they are about, as the database names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A delivery that is complete on the disk."""

    offer: Offer
    commitment_key: bytes
    traceable: bool
    """Whether the tags of its subjects were kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the rows of one delivery come from."""

    database: Database
    entry: Table
    """The table as the catalogue has it."""
    access: GrantedAccess
    query: GrantedQuery
    verifies: bool
    """Whether yes or no is delivered instead of rows."""

    @classmethod
    def of(cls, grant: Grant, question: Question, entry: Table, database: Database, physical: str) -> Source:
        """Return the source that answers `question` under `grant`.

        Args:
            physical: The table's name in the database.

        Raises:
            FieldNotHeldError: The table has not exactly the columns that grant or question need.
            ColumnNotGrantedError: The question goes beyond the grant.
            QuestionError: A verification without a condition, or a value that no database takes.
        """
        verifies = grant.mode == "verification"
        if verifies and not question.selection:
            raise QuestionError("a verification asks whether somebody or something is there: give a condition")
        access = granted_access(
            entry, physical, grant=grant.id, fields=grant.fields, conditions=_declared(grant.selection)
        )
        try:
            query = GrantedQuery(
                access=access,
                columns=columns_of(entry, question.fields or grant.fields),
                selection=conditions_of(entry, _declared(question.selection)),
            )
        except ValueError as error:
            raise QuestionError(str(error)) from None
        return cls(database=database, entry=entry, access=access, query=query, verifies=verifies)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of what is delivered."""
        return ANSWER_COLUMNS if self.verifies else self.query.columns

    def batches(self) -> Batches:
        """Yield what is delivered. The database holds the limits of the grant before the first row is read.

        It says so itself, before the first row, if it does not; making it hold them again each time would take longer
        than many a delivery.
        """
        try:
            yield from self._read()
        except NotEnforcedError:
            self.database.enforce(self.access)
            yield from self._read()

    def _read(self) -> Batches:
        if self.verifies:
            yield [(self.database.exists(self.query),)]
        else:
            yield from self.database.stream(self.query)


class SubjectColumn:
    """Where a delivery says whom it is about: in a column of its rows, or else in the conditions it was asked with."""

    def __init__(self, source: Source, item: str | None) -> None:
        """Args: `item` is the information item that identifies a subject, None if the binding names none."""
        held = [column.name for column in source.entry.columns if item and column.information_item == item]
        self._positions = [source.columns.index(name) for name in held if name in source.columns]
        conditions = (*source.access.conditions, *source.query.selection)
        self.asked: list[Scalar] = [value for one in conditions if one.column in held for value in one.values]

    @property
    def known(self) -> bool:
        """Whether there is any such place."""
        return bool(self._positions or self.asked)

    def of(self, rows: Iterable[Row]) -> list[Scalar]:
        """Return the identifiers in a batch of rows."""
        return [row[position] for position in self._positions for row in rows]


def prepare_delivery(
    source: Source,
    grant: Grant,
    *,
    scope: Scope,
    entropy: bytes,
    subject_key: bytes,
    subject_item: str | None,
    folder: ChunkFolder,
    report: Callable[[int], None],
) -> Prepared:
    """Read, seal and write one delivery, and return what is to be stated of it.

    Args:
        entropy: `sealing.ENTROPY_BYTES` random bytes, for this delivery alone.
        subject_key: 32 random bytes, for the tags of this delivery's subjects.
        report: Told the number of rows after each batch.

    Raises:
        StatementRefusedError: More rows than the grant has left.
        UnsendableValueError: The database holds a value that cannot be sent.
        NoRoomError: The disk is full.
        LedgerError: What the database raises.
    """
    keys = ContentKeys.of(entropy)
    sealer = StreamSealer(keys, scope)
    header = ContentHeader(table=source.entry.id, schema=source.entry.schema, columns=source.columns)
    subjects, tagger = SubjectColumn(source, subject_item), Tagger(subject_key)
    name, rows, rows_max = stem(scope.grant, scope.number), 0, grant.volume_max - grant.used - grant.pending
    try:
        with (
            folder.write(name + SEALED) as sealed,
            folder.write(name + TAGS) as tags,
            # One thread reads and codes under the interpreter's lock; this one seals and writes, mostly without it.
            closing(read_ahead(_coded(source.batches(), subjects))) as batches,
        ):
            tags.append(tagger.tags(subjects.asked))
            for chunk in sealer.feed(encode_header(header)):
                sealed.append(chunk)
            for batch in batches:
                rows += batch.rows
                if rows > rows_max:
                    raise StatementRefusedError(SharingRefusal.VOLUME_EXCEEDED)
                tags.append(tagger.tags(batch.subjects))
                for block in batch.blocks:
                    for chunk in sealer.feed(block):
                        sealed.append(chunk)
                report(rows)
            last, stream = sealer.finish()
            sealed.append(last)
            tags.finish(another_follows=True)
            # The ciphertext last: with it, all is there.
            sealed.finish()
    except OSError as error:
        raise NoRoomError(f"a delivery under {scope.grant} cannot be written: {error.strerror or error}") from error
    sealed_keys = SUITE.encrypt(
        keys.encode(), X25519PublicKey.from_public_bytes(grant.recipient_key), info=scope.encode()
    )
    delivery = Deliver(
        grant=scope.grant,
        number=scope.number,
        table=source.entry.id,
        rows=rows,
        size_bytes=sealed.size,
        chunks=stream.chunks,
        commitment=content_commitment(
            keys.commitment_key, scope, rows=rows, chunks=stream.chunks, root=stream.content_root
        ),
        sealed=sealed_digest(sealed_keys, stream.leaves),
        schema=source.entry.schema,
    )
    return Prepared(
        offer=Offer(delivery=delivery, sealed_keys=sealed_keys, leaves=b"".join(stream.leaves)),
        commitment_key=keys.commitment_key,
        traceable=subjects.known,
    )


def _coded(batches: Batches, subjects: SubjectColumn) -> Generator[Coded, None, None]:
    with closing(batches):
        for batch in batches:
            yield Coded(len(batch), tuple(encode_rows(batch)), subjects.of(batch))


def _declared(selection: Iterable[DeclaredCondition]) -> list[tuple[str, tuple[str, ...]]]:
    return [(condition.information_item, condition.values) for condition in selection]
