"""The side of a delivery that has the data.

A number is given out once. Under it the rows are read and sealed; from the moment that this is kept (`SEALED`) the
number has these bytes for good, and they are stated on the ledger before the first of them leaves. Whatever happens in
between, a later question finds what there is and goes on from it:

    nothing kept        whatever lies on the disk was never stated: the number is prepared anew
    sealed              stated now, if it is not on the ledger yet; if the ledger refuses it, it is as if it never was
    stated              served, as often as asked for, from whichever chunk: always the same bytes
    settled             the requester has answered, or the grant has ended; the bytes are gone
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ledger.crypto.sealing import ENTROPY_BYTES, Scope
from ledger.errors import LedgerError
from ledger.identifiers import Digest
from ledger.registers.catalogue import Table
from ledger.registers.shared import ReferenceRefusal
from ledger.registers.sharing.records import ReportDrift
from ledger.registers.sharing.values import Delivery, DeliveryStatus, Grant
from ledger.state.store import State
from nodes.exchange.chunk_files import SEALED, TAGS, ChunkFolder, stem
from nodes.exchange.databases.database import Database
from nodes.exchange.databases.drift import SchemaDriftedError
from nodes.exchange.databases.errors import TableNotBoundError
from nodes.exchange.errors import (
    DeliveryLostError,
    DeliveryOpenError,
    NoRoomError,
    QuestionError,
    StatementRefusedError,
)
from nodes.exchange.ledger import Ledger, delivery_of, has_ended, published_table, reported_drift, usable_grant
from nodes.exchange.messages import Offer, Question
from nodes.exchange.preparation import Source, prepare_delivery
from nodes.exchange.retries import Retries
from nodes.exchange.store import ExchangeStore, Sent, SentStep
from nodes.exchange.subjects import Tagger, holds_tag
from nodes.exchange.turns import Turns

logger = logging.getLogger(__name__)

SUBJECT_KEY_BYTES = 32

RELEASE_LOOKS_MAX = 720
"""Calls of `release` between two tries at most: an hour of a node that looks every five seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A department's database, and what of it the catalogue knows."""

    database: Database | None
    """None if the node is bound to none: then `tables` is empty."""
    tables: Mapping[str, str]
    """Name in the database, by id in the catalogue."""
    subjects: Mapping[str, str]
    """By id of the table, the information item that says whom a row is about."""


@dataclass(frozen=True, slots=True)
class Served:
    """A delivery that was about a certain subject."""

    grant: str
    number: int
    requester: str


class Provider:
    """Prepares and serves the deliveries of one department. Every call may be made from any thread."""

    def __init__(
        self,
        ledger: Ledger,
        bound: Bound,
        *,
        folder: ChunkFolder,
        store: ExchangeStore,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._ledger = ledger
        self._bound = bound
        self._folder = folder
        self._store = store
        self._entropy = entropy
        self._turns = Turns()
        self._releases = Retries(looks_max=RELEASE_LOOKS_MAX)
        """Of grants that have ended."""

    def offer(self, requester: str, question: Question, report: Callable[[int], None]) -> Offer:
        """Return a delivery that answers `question` and is on the ledger, prepared now or before a cut.

        Args:
            requester: Who asks, known by the key of its connection.
            report: Told how many rows have been read, now and then. What it raises ends the preparation, with no trace.

        Raises:
            StatementRefusedError: The grant does not allow it, with the code that the ledger has for that.
            QuestionError, ColumnNotGrantedError, FieldNotHeldError, TableNotBoundError: It cannot be answered.
            DeliveryOpenError: The delivery before answers another question and is not settled.
            DeliveryBusyError: Another connection is at it.
            DeliveryLostError: The bytes of the open delivery are gone, or were forgotten on purpose.
            SchemaDriftedError: The table is not as the catalogue says; the ledger was told.
            LedgerError: What the database or the ledger raises.
        """
        with self._turns.at(question.grant):
            grant = self._ledger.ask(lambda state: self._own_grant(state, question.grant, requester))
            number = grant.open_delivery or grant.deliveries + 1
            sent = self._store.sent(grant.id, number)
            if sent is None:
                if grant.open_delivery:
                    raise DeliveryLostError(f"delivery {number} under {grant.id} is no longer kept here")
                try:
                    sent = self._prepare(grant, number, question, report)
                except NoRoomError:
                    # What found room is of no use without the rest, and keeps the disk full.
                    self._remove_files(grant.id, number)
                    raise
            if sent.step is SentStep.SEALED:
                self._state(sent)
            if sent.question is None:
                raise DeliveryLostError(f"delivery {number} under {grant.id} was forgotten here before it was answered")
            if sent.question != question:
                raise DeliveryOpenError(
                    f"delivery {number} under {grant.id} answers another question: fetch that one first, or reject it"
                )
            return sent.offer

    def chunks(self, offer: Offer, first: int) -> Iterator[bytes]:
        """Yield the sealed chunks of an offer from number `first`, counted from 0.

        Raises:
            DeliveryLostError: They are gone, because the delivery was settled meanwhile for example.
        """
        delivery = offer.delivery
        try:
            file = self._folder.open(stem(delivery.grant, delivery.number) + SEALED)
        except FileNotFoundError:
            raise DeliveryLostError(f"delivery {delivery.number} under {delivery.grant} is no longer kept") from None
        with file:
            for index in range(first, delivery.chunks):
                yield file.chunk(index)

    def settle(self) -> None:
        """Remove bytes and questions of the deliveries that were answered, or whose grant has ended.

        Under a grant that has ended nothing is stated or fetched any more: what was never stated goes as a whole.
        """
        for sent in self._store.unsettled():
            stated, ended = self._ledger.ask(partial(_standing, sent))
            if not ended and (stated is None or stated.status not in _ANSWERED):
                continue
            if stated is not None:
                self._folder.remove(stem(sent.grant, sent.number) + SEALED)
                self._store.settle_sent(sent.grant, sent.number)
            else:
                self._remove_files(sent.grant, sent.number)
                self._store.drop_sent(sent.grant, sent.number)

    def release(self) -> None:
        """Close the database to grants that have ended. What cannot be closed now is tried again by a later call.

        Only the first failure of each grant goes to the log.
        """
        if (database := self._bound.database) is None:
            return
        for grant in self._store.opened():
            if not self._ledger.ask(partial(has_ended, name=grant)) or not self._releases.is_due(grant):
                continue
            try:
                with self._turns.at(grant):
                    database.release(grant)
                    self._store.drop_opened(grant)
                self._releases.done(grant)
            except LedgerError as error:
                if self._releases.failed(grant):
                    logger.warning("the database is still open to grant %s: %s [%s]", grant, error, error.code)

    def served(self, identifier: str) -> list[Served]:
        """Return the deliveries that were about the subject with this identifier, rejected ones among them.

        Not searched: those whose keys were destroyed, and those whose rows do not say whom they are about
        (`ExchangeStore.untraceable` counts both).
        """
        found = []
        for sent in self._store.traceable():
            assert sent.subject_key is not None, "the query leaves out those without"
            tag = Tagger(sent.subject_key).tags([identifier])
            if holds_tag(self._folder.read(stem(sent.grant, sent.number) + TAGS), tag):
                found.append(Served(sent.grant, sent.number, sent.requester))
        return found

    def forget(self, grant: str, number: int) -> None:
        """Destroy keys, tags and bytes of a delivery. The ledger's proofs of it still verify, and say nothing."""
        self._store.forget(grant, number)
        self._remove_files(grant, number)

    def _remove_files(self, grant: str, number: int) -> None:
        for kind in (TAGS, SEALED):
            self._folder.remove(stem(grant, number) + kind)

    def _own_grant(self, state: State, name: str, requester: str) -> Grant:
        grant, owner = usable_grant(state, name, requester=requester)
        if owner != self._ledger.me:
            raise StatementRefusedError(ReferenceRefusal.NOT_THE_OWNER)
        return grant

    def _prepare(self, grant: Grant, number: int, question: Question, report: Callable[[int], None]) -> Sent:
        """Read and seal; when this returns, `number` has its bytes for good."""
        entry = self._ledger.ask(lambda state: self._table_for(state, grant, question.table))
        assert self._bound.database is not None, "a table was found, so there is a database"
        source = Source.of(grant, question, entry, self._bound.database, self._bound.tables[entry.id])
        self._store.add_opened(grant.id)
        subject_key = self._entropy(SUBJECT_KEY_BYTES)
        try:
            prepared = prepare_delivery(
                source,
                grant,
                scope=Scope(chain=Digest(self._ledger.chain), grant=grant.id, number=number),
                entropy=self._entropy(ENTROPY_BYTES),
                subject_key=subject_key,
                subject_item=self._bound.subjects.get(entry.id),
                folder=self._folder,
                report=report,
            )
        except SchemaDriftedError as error:
            self._report_schema(entry, error.drift.observed)
            raise
        self._report_schema(entry, entry.schema)
        sent = Sent(
            grant=grant.id,
            number=number,
            step=SentStep.SEALED,
            requester=grant.requester,
            question=question,
            offer=prepared.offer,
            commitment_key=prepared.commitment_key,
            subject_key=subject_key if prepared.traceable else None,
        )
        self._store.add_sent(sent)
        return sent

    def _table_for(self, state: State, grant: Grant, wanted: str) -> Table:
        """Return the table of the catalogue that a delivery under `grant` is read from."""
        names = [wanted] if wanted else list(self._bound.tables)
        tables = [table for name in names if (table := published_table(state, name)) is not None]
        tables = [table for table in tables if table.data_item == grant.data_item]
        if len(tables) > 1:
            choice = ", ".join(table.id for table in tables)
            raise QuestionError(f"{grant.data_item} is in several tables, name one: {choice}")
        if not tables:
            # The name that was asked for is not repeated: it may be anything, and this is told to another department.
            raise QuestionError(
                f"{'the table asked for does not hold' if wanted else 'no table bound here holds'} {grant.data_item}"
            )
        if tables[0].id not in self._bound.tables:
            raise TableNotBoundError(tables[0].id)
        return tables[0]

    def _report_schema(self, entry: Table, observed: Digest) -> None:
        """Tell the ledger of the schema that was found, unless that is what it holds already."""
        known = self._ledger.ask(lambda state: reported_drift(state, entry.id))
        if observed == (entry.schema if known is None else known.observed):
            return
        logger.warning("the schema of %s was found to be %s", entry.id, observed.hex())
        try:
            self._ledger.tell(ReportDrift(table=entry.id, observed=observed))
        except LedgerError as error:
            # What was found out stands, whether it could be reported or not: it is found again by the next question.
            logger.warning("and could not be reported: %s [%s]", error, error.code)

    def _state(self, sent: Sent) -> None:
        """Have the delivery on the ledger, exactly as it was sealed."""
        if not self._is_stated(sent):
            try:
                self._ledger.tell(sent.offer.delivery)
            except StatementRefusedError:
                # An earlier attempt, of which nothing was heard, may have been executed after all.
                if not self._is_stated(sent):
                    self._store.drop_sent(sent.grant, sent.number)
                    self._remove_files(sent.grant, sent.number)
                    raise
        self._store.mark_stated(sent.grant, sent.number)

    def _is_stated(self, sent: Sent) -> bool:
        return self._ledger.ask(partial(_stated, sent)) is not None


_ANSWERED = (DeliveryStatus.ACKNOWLEDGED, DeliveryStatus.REJECTED)


def _stated(sent: Sent, state: State) -> Delivery | None:
    """Return the delivery as the ledger has it, if it is the one that was sealed here."""
    stated = delivery_of(state, sent.grant, sent.number)
    return stated if stated is not None and stated.sealed == sent.offer.delivery.sealed else None


def _standing(sent: Sent, state: State) -> tuple[Delivery | None, bool]:
    """Return the delivery as `_stated` does, and whether its grant has ended, both as of one block."""
    return _stated(sent, state), has_ended(state, sent.grant)
