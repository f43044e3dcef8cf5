"""How the department's own people tell their node what to fetch: a socket in its directory, for this user alone.

    DIRECTORY/exchange.sock

Whoever may open the socket may have the node sign, fetch and forget, and may read its keys in the directory anyway: the
mode of the file is the permission. So nothing of this stands on a port, and the gateway needs no secrets.

A command is one frame, answered by any number of `Progressed` and then one of the others.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from ledger.encoding import Canonical, Decoder, Key32, UInt63
from ledger.errors import LedgerError, NotFoundError
from ledger.limits import RECORD_BYTES_MAX
from ledger.registers import RULEBOOK
from nodes.exchange.accepting import Acceptor
from nodes.exchange.errors import CommandFailedError, CommandNotYetError, ConnectionCutError, NoExchangeError
from nodes.exchange.messages import Problem, Question, problem_of
from nodes.exchange.requester import Progress, Report
from nodes.exchange.service import Exchange
from nodes.exchange.wire import Wire

logger = logging.getLogger(__name__)

SOCKET_FILE = "exchange.sock"

COMMANDS_MAX = 16
"""Carried out at once; more wait. Each holds a thread, and a fetch some megabytes."""

_SOCKET_PATH_BYTES = 107

PathText = Annotated[str, Meta(min_length=1, max_length=4_096)]


class FetchData(Canonical, tag="control-fetch", kw_only=True):
    """Fetch one delivery, or go on with it."""

    size_max: ClassVar[int] = 2 << 20

    question: Question
    output: PathText
    """Absolute: the node writes it, in its own user's name."""


class TellLedger(Canonical, tag="control-tell", kw_only=True):
    """Sign a record with the department's key, and put it on the ledger."""

    record: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]


class ShowKey(Canonical, tag="control-key", kw_only=True):
    """Tell the key that requests name."""


class ShowReceipt(Canonical, tag="control-receipt", kw_only=True):
    """Prove a delivery that was acknowledged."""

    grant: Annotated[str, Meta(min_length=1, max_length=80)]
    number: UInt63


class FindReaders(Canonical, tag="control-readers", kw_only=True):
    """Find the deliveries of this department that were about a subject."""

    identifier: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Forget(Canonical, tag="control-forget", kw_only=True):
    """Destroy keys and data of a delivery that this department sent or received."""

    grant: Annotated[str, Meta(min_length=1, max_length=80)]
    number: UInt63


class Progressed(Canonical, tag="control-progressed", kw_only=True):
    """As `requester.Progress`."""

    stage: str
    done: UInt63
    total: UInt63


class FetchedData(Canonical, tag="control-fetched", kw_only=True):
    """The rows are in their place, and the ledger was told."""

    grant: str
    number: UInt63
    rows: UInt63
    output: str


class Done(Canonical, tag="control-done", kw_only=True):
    """It was done, and there is nothing to say."""


class Key(Canonical, tag="control-the-key", kw_only=True):
    """The X25519 public key that this node opens deliveries with."""

    public: Key32


class ReceiptText(Canonical, tag="control-the-receipt", kw_only=True):
    """A receipt, as `ledger.proofs.delivery` reads it."""

    text: bytes


class ServedDelivery(Canonical, tag="control-served", kw_only=True):
    """A delivery that was about the subject."""

    grant: str
    number: UInt63
    requester: str


class Readers(Canonical, tag="control-the-readers", kw_only=True):
    """What was found, and how many deliveries could not be searched."""

    deliveries: tuple[ServedDelivery, ...]
    not_searched: UInt63


Command = FetchData | TellLedger | ShowKey | ShowReceipt | FindReaders | Forget
Answer = FetchedData | Done | Key | ReceiptText | Readers
_commands: Decoder = Decoder(Command)
_answers: Decoder = Decoder(Answer | Progressed | Problem)


class ControlServer:
    """Carries out commands until it is closed."""

    def __init__(self, directory: Path, exchange: Exchange) -> None:
        """Make the socket in the node's directory, in the place of one that a crash has left."""
        self._exchange = exchange
        self._closing = False
        self._wires: set[Wire] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._path = directory / SOCKET_FILE
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        with _short_path(directory) as short:
            listener.bind(short)
        # Before it listens; and the directory is closed to others in any case.
        self._path.chmod(0o600)
        listener.listen()
        self._acceptor = Acceptor(listener, at_once=COMMANDS_MAX, of="commands")
        self._accepting = threading.Thread(target=self._accept, name="control-accept", daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Take no more commands, and wait for those under way; a fetch ends at the next cut connection."""
        with self._lock:
            self._closing = True
            wires = list(self._wires)
        self._acceptor.close()
        self._path.unlink(missing_ok=True)
        for wire in wires:
            wire.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        for connection in self._acceptor:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._serve, args=(connection,), name="control", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with Wire(connection) as wire, self._known(wire):
                try:
                    wire.tell(self._carry_out(wire.hear(_commands), wire))
                except LedgerError as error:
                    wire.tell(problem_of(error))
        except ConnectionCutError:
            pass
        except Exception:
            logger.exception("a command failed")
        finally:
            self._acceptor.served()

    @contextmanager
    def _known(self, wire: Wire) -> Iterator[None]:
        with self._lock:
            if self._closing:
                raise ConnectionCutError("this node stops")
            self._wires.add(wire)
        try:
            yield
        finally:
            with self._lock:
                self._wires.remove(wire)

    def _carry_out(self, command: Command, wire: Wire) -> Answer:
        exchange = self._exchange
        match command:
            case FetchData(question=question, output=output):
                fetched = exchange.requester.fetch(question, Path(output), lambda progress: _report(wire, progress))
                return FetchedData(grant=fetched.grant, number=fetched.number, rows=fetched.rows, output=fetched.output)
            case TellLedger(record=record):
                exchange.ledger.tell(RULEBOOK.decode_record(record))
                return Done()
            case ShowKey():
                return Key(public=exchange.recipient_key)
            case ShowReceipt(grant=grant, number=number):
                return ReceiptText(text=exchange.ledger.delivery_receipt(grant, number))
            case FindReaders(identifier=identifier):
                found = exchange.provider.served(identifier)
                return Readers(
                    deliveries=tuple(
                        ServedDelivery(grant=s.grant, number=s.number, requester=s.requester) for s in found
                    ),
                    not_searched=exchange.store.untraceable(),
                )
            case Forget(grant=grant, number=number):
                if exchange.store.sent(grant, number) is None and exchange.store.received(grant, number) is None:
                    raise NotFoundError(f"this node has neither sent nor received a delivery {number} under {grant}")
                exchange.provider.forget(grant, number)
                exchange.requester.forget(grant, number)
                return Done()


def command(directory: Path, what: Command, report: Report = lambda _: None) -> Any:
    """Have the node in `directory` carry out a command, and return its answer.

    Raises:
        NoExchangeError: No node runs there, or this user may not ask it.
        CommandFailedError, CommandNotYetError: It could not be done, or not now; `code` says why.
        ConnectionCutError: The node stopped meanwhile.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _short_path(directory) as short:
            connection.connect(short)
    except OSError as error:
        connection.close()
        raise NoExchangeError(
            f"no node runs in {directory} ({error.strerror or error}): start it with `mulu node run`"
        ) from error
    with Wire(connection) as wire:
        wire.tell(what)
        while True:
            match wire.hear(_answers):
                case Progressed(stage=stage, done=done, total=total):
                    report(Progress(stage, done, total))
                case Problem(code=code, message=message, retry=retry):
                    raise (CommandNotYetError if retry else CommandFailedError)(code, message)
                case answer:
                    return answer


def _report(wire: Wire, progress: Progress) -> None:
    wire.tell(Progressed(stage=progress.stage, done=progress.done, total=progress.total))


@contextmanager
def _short_path(directory: Path) -> Iterator[str]:
    """Yield a path to the socket that is short enough for its address, which has room for 107 bytes."""
    path = str(directory / SOCKET_FILE)
    if len(os.fsencode(path)) < _SOCKET_PATH_BYTES or not Path("/proc/self/fd").is_dir():
        yield path
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_FILE}"
    finally:
        os.close(descriptor)
