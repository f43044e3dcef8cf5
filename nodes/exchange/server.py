"""The provider's end of connections: a listener of its own, and a few threads that serve who has connected.

Threads, because reading a database and waiting for a slow reader both block, and because OpenSSL, SQLite and libpq let
the interpreter go meanwhile. They run at a lower priority than the thread that votes. How many there are bounds what
the exchange can take of a node: who comes later waits in the kernel's queue.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.identifiers import CreditCode
from nodes.exchange.accepting import Acceptor
from nodes.exchange.errors import ConnectionCutError, DeliveryBusyError, DeliveryOpenError
from nodes.exchange.messages import (
    Get,
    Greeting,
    Offer,
    Problem,
    SealedQuestion,
    Working,
    gets,
    problem_of,
    sealed_questions,
)
from nodes.exchange.provider import Provider
from nodes.exchange.wire import SILENCE_S, ExchangeKeys, Wire

logger = logging.getLogger(__name__)

CONNECTIONS_MAX = 8
"""Served at once. Each holds a batch of rows and a chunk, some 4 MiB."""

CONNECTIONS_A_PEER_MAX = 2
"""So that no requester keeps the others waiting."""

_ABOUT_THE_QUESTION = (InvalidInputError, NotFoundError, DeliveryOpenError, DeliveryBusyError)
"""Told to the requester as they are. All else is about this department's database, disk or node, and what those are
called and where they lie is nobody else's affair."""

REPORT_S = 0.5
"""Between two words to a requester that the rows are still being read."""

STILL_THERE_S = SILENCE_S / 4
"""Between two words while no row comes, be it for a whole table without one that fits: then silence is no answer."""

NICENESS = 10
"""Of the serving threads, where the system knows that of threads: what consensus needs goes first."""


class ExchangeServer:
    """Serves one provider until it is closed."""

    def __init__(self, provider: Provider, keys: ExchangeKeys, listener: socket.socket) -> None:
        """Args: `listener` is bound and listening; the server owns it from here on."""
        self._provider = provider
        self._keys = keys
        self._acceptor = Acceptor(listener, at_once=CONNECTIONS_MAX, of="requesters")
        self._closing = False
        self._lock = threading.Lock()
        self._wires: dict[Wire, CreditCode] = {}
        self._threads = ThreadPoolExecutor(CONNECTIONS_MAX, "exchange", initializer=_yield_to_consensus)
        self._accepting = threading.Thread(target=self._accept, name="exchange-accept", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._accepting.start()

    def close(self) -> None:
        """Stop accepting, cut all connections, and wait until the threads have ended. Requesters go on later."""
        with self._lock:
            self._closing = True
            wires = list(self._wires)
        self._acceptor.close()
        for wire in wires:
            wire.close()
        if self._accepting.is_alive():
            self._accepting.join()
        self._threads.shutdown()

    def _accept(self) -> None:
        for connection in self._acceptor:
            try:
                self._threads.submit(self._serve, connection)
            except RuntimeError:
                # Closed in this very moment.
                connection.close()
                return

    def _serve(self, connection: socket.socket) -> None:
        try:
            peer, wire = self._keys.answer(connection)
            with wire, self._admitted(peer, wire):
                self._converse(peer, wire)
        except LedgerError as error:
            # Cut, or what was offered is gone by now: where a chunk is waited for, no problem can be told.
            logger.info("a connection of the exchange ended: %s", error)
        except Exception:
            # Where it failed, and nothing of the conversation: questions may name persons.
            logger.exception("a connection of the exchange failed")
        finally:
            self._acceptor.served()

    @contextlib.contextmanager
    def _admitted(self, peer: CreditCode, wire: Wire) -> Iterator[None]:
        with self._lock:
            if self._closing or Counter(self._wires.values())[peer] >= CONNECTIONS_A_PEER_MAX:
                raise ConnectionCutError(f"{peer} has {CONNECTIONS_A_PEER_MAX} connections already, or this node stops")
            self._wires[wire] = peer
        try:
            yield
        finally:
            with self._lock:
                del self._wires[wire]

    def _converse(self, peer: CreditCode, wire: Wire) -> None:
        """Answer one question after the other, until the requester has no more."""
        private = X25519PrivateKey.generate()
        wire.tell(Greeting(question_key=private.public_key().public_bytes_raw()))
        while True:
            sealed: SealedQuestion = wire.hear(sealed_questions)
            try:
                with _Reporter(wire) as reporter:
                    offer = self._provider.offer(peer, sealed.open(private), reporter.report)
            except ConnectionCutError:
                raise
            except LedgerError as error:
                wire.tell(_told(peer, error))
                continue
            wire.tell(offer)
            self._serve_chunks(wire, offer)

    def _serve_chunks(self, wire: Wire, offer: Offer) -> None:
        get: Get = wire.hear(gets)
        for chunk in self._provider.chunks(offer, get.first):
            wire.send(chunk)


def _told(peer: CreditCode, error: LedgerError) -> Problem:
    """Return what a requester is told of an error; what only this department can mend goes to its own log."""
    if isinstance(error, _ABOUT_THE_QUESTION):
        return problem_of(error)
    logger.warning("nothing can be delivered to %s now: %s [%s]", peer, error, error.code)
    return replace(problem_of(error), message="it cannot deliver now, and its own log says why")


class _Reporter:
    """Tells the requester now and then how many rows were read, and so learns when nobody waits any more.

    While the database seeks and no row comes, a thread says so. Use it in a `with`.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rows, self._told_s = 0, time.monotonic()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_telling, name="exchange-report", daemon=True)

    def report(self, rows: int) -> None:
        self._rows = rows
        if time.monotonic() - self._told_s >= REPORT_S:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            self._told_s = time.monotonic()
            self._wire.tell(Working(rows=self._rows))

    def _keep_telling(self) -> None:
        # Where nobody hears it any more, the next report says so to who reads.
        with contextlib.suppress(ConnectionCutError):
            while not self._over.wait(STILL_THERE_S):
                self._tell()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _yield_to_consensus() -> None:
    # On Linux each thread has a niceness of its own; elsewhere the whole process would get it.
    if hasattr(os, "sched_getscheduler"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
