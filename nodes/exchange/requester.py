"""The side of a delivery that asked for the data.

What comes is kept sealed until all of it is there, so that a cut costs only what was on its way, and nothing is written
out that was not checked to the end. It is not synced: what a power loss takes is fetched again, because each chunk has
its leaf. Then, in this order, each step found again after a crash:

    kept            offer compared with the ledger; chunks come, each compared with its leaf
    written         opened and checked; the output is complete beside its place
    published       the output has its name
    acknowledged    the ledger was told; the sealed bytes are removed

So rows are written once, whatever happens, and a delivery is acknowledged only when they are there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.crypto.sealing import Scope, sealed_leaf
from ledger.errors import LedgerError
from ledger.identifiers import CreditCode, Digest
from ledger.registers.catalogue import Table, table_key
from ledger.registers.sharing.records import Acknowledge, RejectDelivery
from ledger.registers.sharing.values import Delivery, DeliveryStatus, Grant, grant_key
from ledger.state.store import State
from nodes.exchange.chunk_files import SEALED, ChunkFile, ChunkFolder, stem
from nodes.exchange.errors import (
    ConnectionCutError,
    DeliveryBusyError,
    DeliveryRejectedError,
    NoRoomError,
    OutcomeUnknownError,
    StatementRefusedError,
)
from nodes.exchange.ledger import Ledger, delivery_of, has_ended, usable_grant
from nodes.exchange.messages import Offer, Question
from nodes.exchange.outputs import Output, open_output, recover_output, remove_output
from nodes.exchange.reception import Expected, NotAsStatedError, Reason, check_offer, receive
from nodes.exchange.store import ExchangeStore, Received, ReceivedStep
from nodes.exchange.turns import Turns


class Progress(NamedTuple):
    """How far a delivery has come."""

    stage: str
    """`reading` at the provider, `fetching`, `writing`."""
    done: int
    total: int
    """Rows, chunks, rows; 0 while it is not known."""


Report = Callable[[Progress], None]

_OPEN = (DeliveryStatus.PENDING, DeliveryStatus.OVERDUE)


class Connection(Protocol):
    """A connection to the provider's node."""

    def ask(self, question: Question, working: Callable[[int], None]) -> Offer:
        """Return the offer that answers `question`; `working` is told how many rows the provider has read."""

    def chunks(self, first: int, count: int) -> Iterator[bytes]:
        """Yield `count` chunks of the offer from number `first`."""

    def close(self) -> None: ...


class Fetched(NamedTuple):
    """A delivery that was received, checked and acknowledged."""

    grant: str
    number: int
    rows: int
    output: str


class Requester:
    """Fetches the deliveries to one department. Every call may be made from any thread."""

    def __init__(
        self,
        ledger: Ledger,
        connect: Callable[[CreditCode], Connection],
        private: X25519PrivateKey,
        *,
        folder: ChunkFolder,
        store: ExchangeStore,
    ) -> None:
        """Args: `connect` opens a connection to a department's node; `private` is what grants name as recipient key."""
        self._ledger = ledger
        self._connect = connect
        self._private = private
        self._folder = folder
        self._store = store
        self._turns, self._places = Turns(), Turns("to")

    def fetch(
        self, question: Question, path: Path, report: Report = lambda _: None, *, output: Output | None = None
    ) -> Fetched:
        """Fetch one delivery to `path` and acknowledge it; go on where an earlier attempt under the grant has stopped.

        Args:
            path: Where the rows go (`outputs.open_output`). An attempt that had checked all of them keeps its own.
            output: Takes the rows instead.

        Raises:
            StatementRefusedError: The grant does not allow it, or the ledger has refused the acknowledgement.
            ProviderRefusedError, ProviderNotReadyError: The provider says no, or not now; `code` is its own.
            ConnectionCutError: What has come is kept; ask again to go on.
            DeliveryRejectedError: What came is not what was granted or stated; the ledger was told.
            OutputError, NoRoomError: The rows cannot be written here. Ask again to go on.
            DeliveryBusyError: Somebody else fetches under the grant, or to `path`.
        """
        with self._turns.at(question.grant), self._places.at(os.path.realpath(path)):
            return self._fetch(question, path, report, output)

    def _fetch(self, question: Question, path: Path, report: Report, output: Output | None) -> Fetched:
        under_way = self._under_way(question.grant)
        if (
            under_way is not None
            and under_way.step is ReceivedStep.WRITTEN
            and recover_output(Path(under_way.output), under_way.mark)
        ):
            return self._finish(under_way)
        target = output or open_output(path)
        view = self._ledger.ask(lambda state: usable_grant(state, question.grant, requester=self._ledger.me))
        received = self._fetch_all(CreditCode(view.owner), question, str(path), report)
        return self._finish(self._open(received, target, str(path), report))

    def forget(self, grant: str, number: int) -> None:
        """Destroy keys, sealed bytes and the output of a delivery. The ledger's proofs of it still verify.

        Raises:
            OutputError: Another file is in the place of the output, or its content was changed; it stays. All else is
                destroyed.
            DeliveryBusyError: Somebody fetches under the grant, and would write what is to be forgotten.
        """
        with self._turns.at(grant):
            received = self._store.received(grant, number)
            self._store.forget(grant, number)
            self._folder.remove(stem(grant, number) + SEALED)
            if received is not None:
                with self._places.at(os.path.realpath(received.output)):
                    remove_output(Path(received.output), received.mark)

    def settle(self) -> None:
        """Remove bytes and questions of deliveries that will not be fetched to their end.

        Somebody has rejected them, or their grant has ended. Rows that are written already stay to be acknowledged.
        """
        for grant in self._store.fetching():
            with contextlib.suppress(DeliveryBusyError), self._turns.at(grant):
                received = self._store.receiving(grant)
                if received is None or received.step is not ReceivedStep.FETCHING:
                    # Somebody has fetched it to its end in this moment.
                    continue
                settled = self._status(received) not in (*_OPEN, None)
                if settled or self._ledger.ask(partial(has_ended, name=grant)):
                    self._abandon_output(received)
                    self._clear(received)

    # Fetching

    def _fetch_all(self, provider: CreditCode, question: Question, path: str, report: Report) -> Received:
        """Return a delivery all of whose chunks are here. A cut is mended as long as each attempt brings something."""
        before = -1
        while True:
            try:
                return self._fetch_more(provider, question, path, report)
            except ConnectionCutError:
                received = self._store.receiving(question.grant)
                count = -1 if received is None else self._kept(received)
                if count <= before or received is None:
                    raise
                before = count

    def _fetch_more(self, provider: CreditCode, question: Question, path: str, report: Report) -> Received:
        connection = self._connect(provider)
        try:
            offer = connection.ask(question, lambda rows: report(Progress("reading", rows, 0)))
            received = self._keep_offer(provider, question, offer, path)
            leaves, name = offer.leaf_list(), stem(received.grant, received.number) + SEALED
            with _writing(name), self._folder.open(name, create=True) as file:
                first = _intact(file, leaves)
                report(Progress("fetching", first, len(leaves)))
                for index, chunk in enumerate(connection.chunks(first, len(leaves) - first), first):
                    if sealed_leaf(chunk) != leaves[index]:
                        self._reject(received, "tampered", f"chunk {index + 1} of {len(leaves)} is another one")
                    file.put(index, chunk)
                    report(Progress("fetching", index + 1, len(leaves)))
            return received
        finally:
            connection.close()

    def _keep_offer(self, provider: CreditCode, question: Question, offer: Offer, path: str) -> Received:
        """Compare an offer with the ledger, and keep it with the place for its rows."""
        grant, number = offer.delivery.grant, offer.delivery.number
        if grant != question.grant:
            raise ConnectionCutError(f"{provider} offers a delivery under {grant} instead of {question.grant}")
        # The provider may have executed blocks that this node has not.
        if not self._ledger.wait_until(lambda state: delivery_of(state, grant, number) is not None):
            raise OutcomeUnknownError(f"this node has not heard of delivery {number} under {grant} yet")
        received = Received(
            grant=grant,
            number=number,
            step=ReceivedStep.FETCHING,
            provider=provider,
            question=question,
            offer=offer,
            commitment_key=None,
            output=path,
            mark="",
        )
        if self._status(received) not in _OPEN:
            raise ConnectionCutError(f"{provider} offers delivery {number} under {grant}, which was settled before")
        try:
            check_offer(offer, self._expected(received).delivery)
        except NotAsStatedError as error:
            self._reject(received, error.reason, error)
        kept = self._store.received(grant, number)
        if kept is None:
            self._store.add_received(received)
        elif kept.output != path:
            self._abandon_output(kept)
            self._store.redirect(grant, number, path)
        # What was forgotten before it was complete is received anew, for the question of now.
        return received if kept is None or kept.question is None else kept

    def _under_way(self, grant: str) -> Received | None:
        """Return what was being received when the last attempt ended, unless that was rejected and merely not noted."""
        received = self._store.receiving(grant)
        if received is None or self._status(received) is not DeliveryStatus.REJECTED:
            return received
        self._abandon_output(received)
        self._clear(received)
        return None

    def _abandon_output(self, received: Received) -> None:
        """Leave nothing of rows that were never complete, unless another delivery goes to their place now."""
        with contextlib.suppress(DeliveryBusyError), self._places.at(os.path.realpath(received.output)):
            remove_output(Path(received.output), mark="")

    def _kept(self, received: Received) -> int:
        with self._folder.open(stem(received.grant, received.number) + SEALED, create=True) as file:
            return _intact(file, received.offer.leaf_list())

    # Opening

    def _open(self, received: Received, output: Output, path: str, report: Report) -> Received:
        """Open, check and write what has come; return once all but the output's name is there."""
        expected, name = self._expected(received), stem(received.grant, received.number) + SEALED
        try:
            with _writing(path), self._folder.open(name) as file:
                commitment_key = receive(
                    file.chunks(expected.delivery.chunks),
                    received.offer,
                    expected,
                    private=self._private,
                    output=output,
                    report=lambda rows: report(Progress("writing", rows, expected.delivery.rows)),
                )
                mark = output.complete()
            self._store.mark_written(
                received.grant, received.number, output=path, mark=mark, commitment_key=commitment_key
            )
            output.publish()
        except NotAsStatedError as error:
            output.discard()
            self._reject(received, error.reason, error)
        except LedgerError:
            output.discard()
            raise
        written = self._store.received(received.grant, received.number)
        assert written is not None, "it was marked just now"
        return written

    def _expected(self, received: Received) -> Expected:
        question = received.question
        assert question is not None, "it is kept until the delivery is settled"

        def look(state: State) -> tuple[Grant, Delivery, Table]:
            delivery = delivery_of(state, received.grant, received.number)
            grant = state.get(grant_key(received.grant), Grant)
            assert delivery is not None, "waited for"
            assert grant is not None, "a delivery has a grant"
            entry = state.get(table_key(delivery.table), Table)
            assert entry is not None, "a delivery is of a published table"
            return grant, delivery, entry

        grant, delivery, entry = self._ledger.ask(look)
        scope = Scope(chain=Digest(self._ledger.chain), grant=grant.id, number=delivery.number)
        return Expected(grant, delivery, entry, question, scope)

    # Telling the ledger

    def _finish(self, received: Received) -> Fetched:
        """Acknowledge a delivery whose output is in its place."""
        delivery = received.offer.delivery
        statement = Acknowledge(
            grant=received.grant, number=received.number, commitment=delivery.commitment, sealed=delivery.sealed
        )
        self._tell(received, statement, DeliveryStatus.ACKNOWLEDGED)
        return Fetched(received.grant, received.number, delivery.rows, received.output)

    def _reject(self, received: Received, reason: Reason, cause: Exception | str) -> NoReturn:
        """Tell the ledger that a delivery is not taken.

        Raises:
            DeliveryRejectedError: Always, once the ledger was told.
        """
        statement = RejectDelivery(grant=received.grant, number=received.number, reason=reason)
        self._tell(received, statement, DeliveryStatus.REJECTED)
        raise DeliveryRejectedError(reason, cause)

    def _tell(self, received: Received, statement: Acknowledge | RejectDelivery, status: DeliveryStatus) -> None:
        try:
            self._ledger.tell(statement)
        except StatementRefusedError:
            # An earlier attempt, of which nothing was heard, may have been executed after all.
            if self._status(received) is not status:
                raise
        self._clear(received)

    def _status(self, received: Received) -> DeliveryStatus | None:
        stated = self._ledger.ask(lambda state: delivery_of(state, received.grant, received.number))
        return None if stated is None else stated.status

    def _clear(self, received: Received) -> None:
        """Forget the sealed bytes, and then that they were ever needed."""
        self._folder.remove(stem(received.grant, received.number) + SEALED)
        self._store.settle_received(received.grant, received.number)


def _intact(file: ChunkFile, leaves: list[Digest]) -> int:
    """Return how many chunks from the first are there, each with its leaf."""
    return file.intact(lambda index, chunk: index < len(leaves) and sealed_leaf(chunk) == leaves[index])


@contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise NoRoomError(f"{what} cannot be written: {error}") from error
