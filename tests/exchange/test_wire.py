"""Deliveries between two nodes' exchanges over real connections: who is let in, what a cut costs, what stops when."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.errors import LedgerError
from ledger.identifiers import CreditCode
from nodes.exchange import server as server_module
from nodes.exchange.client import RemoteProvider, dialler
from nodes.exchange.databases import GrantedQuery, Row
from nodes.exchange.errors import ConnectionCutError, NoExchangeError, ProviderNotReadyError
from nodes.exchange.messages import Greeting, Offer, Problem, Question, SealedQuestion, answers, greetings
from nodes.exchange.provider import Provider
from nodes.exchange.requester import Connection
from nodes.exchange.server import ExchangeServer
from nodes.exchange.wire import ExchangeAddress, ExchangeKeys, Wire
from nodes.transport.tls import client_context, make_identity
from tests.exchange.departments_database import ITEMS, Department
from tests.exchange.test_crashes import check_delivered_once, small_chunks
from tests.exchange.two_departments import TwoDepartments, asking, two_departments
from tests.state.small_ledger import HOUSING, MARKET, TAX

__all__ = ["small_chunks"]

NOW = datetime(2025, 9, 15, tzinfo=UTC)
IDENTITIES = {code: make_identity(code, now=NOW) for code in (HOUSING, MARKET, TAX)}


def keys_of(me: CreditCode, *others: CreditCode) -> ExchangeKeys:
    """Return the keys of a node that knows these others."""
    known = [IDENTITIES[code] for code in others]
    owners = {identity.spki_hash: code for code, identity in zip(others, known, strict=True)}
    return ExchangeKeys(IDENTITIES[me], owners, [identity.certificate_pem for identity in known])


@contextmanager
def serving(provider: Provider) -> Iterator[ExchangeAddress]:
    """Serve a provider on loopback; yield where."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = ExchangeServer(provider, keys_of(HOUSING, MARKET), listener)
    server.start()
    try:
        yield ExchangeAddress("127.0.0.1", listener.getsockname()[1], IDENTITIES[HOUSING].spki_hash)
    finally:
        server.close()


@pytest.fixture
def two(sqlite_department: Department, tmp_path: Path, small_chunks: None) -> Iterator[TwoDepartments]:
    """Two departments whose exchanges speak over TLS; the provider is served."""
    both = two_departments(sqlite_department.database, sqlite_department.table, ITEMS, tmp_path)
    both.grant()
    with serving(both.provider) as address:
        dial = dialler(keys_of(MARKET, HOUSING), {HOUSING: address})
        both.connection = lambda *_: dial(HOUSING)
        both.address = address  # type: ignore[attr-defined]
        yield both
    both.close()


def address_of(two: TwoDepartments) -> ExchangeAddress:
    """Return where the provider is served."""
    address: ExchangeAddress = two.address  # type: ignore[attr-defined]
    return address


def test_a_delivery_crosses_the_wire(two: TwoDepartments, tmp_path: Path) -> None:
    """Question, offer, chunks, and the acknowledgement on the ledger."""
    two.fetch(tmp_path / "rows.jsonl")
    check_delivered_once(two, tmp_path / "rows.jsonl")


def test_a_refusal_crosses_the_wire_with_its_code(two: TwoDepartments, tmp_path: Path) -> None:
    """And the connection can be used for the next question."""
    with address_of_connection(two) as remote:
        for _ in range(2):
            with pytest.raises(LedgerError) as refused:
                remote.ask(asking(fields=("phone",)), lambda _: None)
            assert refused.value.code == "column_not_granted"
        assert remote.ask(asking(), lambda _: None).delivery.number == 1


@pytest.mark.parametrize("code", ["\x1b[2J", "gone\n", "gone]\nmulu: all is well [", ""])
def test_a_problem_without_a_code_is_a_broken_connection(code: str) -> None:
    """A code goes as it is to terminals and scripts, so nothing else may stand in its place."""
    requester, provider = map(Wire, socket.socketpair())
    with requester, provider:
        provider.tell(Greeting(question_key=X25519PrivateKey.generate().public_key().public_bytes_raw()))
        provider.tell(Problem(code=code, message="gone", retry=False))
        with pytest.raises(ConnectionCutError, match="does not belong here"):
            RemoteProvider(requester).ask(asking(), lambda _: None)


def test_what_only_the_provider_can_mend_stands_in_its_own_log(
    two: TwoDepartments, sqlite_department: Department, caplog: pytest.LogCaptureFixture
) -> None:
    """The requester hears the code, and neither where the database lies nor what stands in it beside the grant."""
    with address_of_connection(two) as remote:
        sqlite_department.run("ALTER TABLE permits ADD COLUMN debts TEXT")
        with pytest.raises(ProviderNotReadyError) as drifted:
            remote.ask(asking(), lambda _: None)
        sqlite_department.run("DROP TABLE permits")
        with pytest.raises(ProviderNotReadyError) as missing:
            remote.ask(asking(), lambda _: None)
    assert (drifted.value.code, missing.value.code) == ("schema_drifted", "table_missing")
    assert str(drifted.value) == str(missing.value) == "the provider: it cannot deliver now, and its own log says why"
    assert f"to {MARKET} now: 'permits' differs from the catalogue: 'debts' TEXT was added" in caplog.text
    assert "has no table 'permits'" in caplog.text


def test_a_question_sealed_to_another_connection_is_not_read(two: TwoDepartments) -> None:
    """Its key is of that connection alone; what is wrong is said without a word of what was sealed."""
    keys = keys_of(MARKET, HOUSING)
    with keys.dial(address_of(two)) as first, keys.dial(address_of(two)) as second:
        greeting, _ = first.hear(greetings), second.hear(greetings)
        second.tell(SealedQuestion.of(asking(name=("赵六",)), greeting))
        problem: Problem = second.hear(answers)
    assert (problem.code, problem.retry) == ("unreadable_question", False)


@contextmanager
def address_of_connection(two: TwoDepartments) -> Iterator[RemoteProvider]:
    """Connect to the provider as the requester."""
    remote = RemoteProvider(keys_of(MARKET, HOUSING).dial(address_of(two)))
    try:
        yield remote
    finally:
        remote.close()


def test_a_greeting_that_nothing_can_be_sealed_to_is_a_broken_connection() -> None:
    """A key of small order would show the question to anybody."""
    requester, provider = map(Wire, socket.socketpair())
    with requester, provider:
        provider.tell(Greeting(question_key=bytes(32)))
        with pytest.raises(ConnectionCutError, match="nothing can be sealed to"):
            RemoteProvider(requester).ask(asking(), lambda _: None)


def test_a_delivery_that_is_gone_ends_the_connection_without_a_failure(
    sqlite_department: Department, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was forgotten between offer and fetch; the log says so in a line, and holds no trace of a failed thread."""
    both = two_departments(sqlite_department.database, sqlite_department.table, ITEMS, tmp_path)
    both.grant()
    caplog.set_level("INFO")
    with serving(both.provider) as address:
        remote = RemoteProvider(keys_of(MARKET, HOUSING).dial(address))
        remote.ask(asking(), lambda _: None)
        both.provider.forget("AY-R1", 1)
        with pytest.raises(ConnectionCutError):
            list(remote.chunks(0, 1))
        remote.close()
    both.close()
    assert "no longer kept" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_requester_hears_that_rows_are_being_read(two: TwoDepartments, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it can tell a slow database from a dead connection."""
    monkeypatch.setattr(server_module, "REPORT_S", 0.0)
    heard: list[int] = []
    with address_of_connection(two) as remote:
        remote.ask(asking(), heard.append)
    assert heard[-1] == 5


def test_the_requester_hears_of_a_database_that_seeks_for_long(
    two: TwoDepartments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there is a row to count: silence would end the connection, and asking again begin anew."""
    monkeypatch.setattr(server_module, "STILL_THERE_S", 0.01)
    heard, stream = threading.Event(), two.database.stream

    def seek(query: GrantedQuery) -> Generator[list[Row], None, None]:
        assert heard.wait(10)
        yield from stream(query)

    monkeypatch.setattr(two.database, "stream", seek)
    with address_of_connection(two) as remote:
        assert remote.ask(asking(), lambda _: heard.set()).delivery.rows == 5


def test_a_stranger_is_not_let_in(two: TwoDepartments) -> None:
    """A node whose key the provider does not know gets no answer."""
    wire = keys_of(TAX, HOUSING).dial(address_of(two))
    with wire, pytest.raises(ConnectionCutError):
        wire.receive()


def test_a_provider_with_another_key_is_not_asked(two: TwoDepartments) -> None:
    """Whoever answers at the address must be who was meant."""
    address = address_of(two)
    wrong = ExchangeAddress(address.host, address.port, IDENTITIES[TAX].spki_hash)
    with pytest.raises(ConnectionCutError, match="shows the key of"):
        keys_of(MARKET, HOUSING, TAX).dial(wrong)


def test_a_connection_of_consensus_is_not_taken(two: TwoDepartments) -> None:
    """The right key under the name of the peer protocol is refused."""
    address = address_of(two)
    context = client_context(IDENTITIES[MARKET], [IDENTITIES[HOUSING].certificate_pem])
    plain = socket.create_connection((address.host, address.port))
    with context.wrap_socket(plain) as secured:
        assert secured.selected_alpn_protocol() is None
        assert secured.recv(1) == b""


def test_a_department_without_an_exchange_is_named(two: TwoDepartments) -> None:
    """And so is one that does not answer."""
    dial = dialler(keys_of(MARKET, HOUSING), {})
    with pytest.raises(NoExchangeError, match="no node"):
        dial(HOUSING)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gone = ExchangeAddress("127.0.0.1", port, IDENTITIES[HOUSING].spki_hash)
    with pytest.raises(ConnectionCutError, match="does not answer"):
        keys_of(MARKET, HOUSING).dial(gone)


class Proxy:
    """Passes bytes between the requester and the provider, and breaks after so many from the provider."""

    def __init__(self, target: ExchangeAddress, limits: list[int]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = ExchangeAddress("127.0.0.1", self.listener.getsockname()[1], target.spki_hash)
        self.passed = 0
        self._target, self._limits = target, limits
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection((self._target.host, self._target.port))
            limit = self._limits.pop(0) if self._limits else 1 << 60
            threading.Thread(target=self._pump, args=(near, far, 1 << 60), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, limit), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int) -> None:
        with suppress(OSError):
            while limit > 0 and (data := source.recv(min(limit, 4_096))):
                sink.sendall(data)
                limit -= len(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.mark.parametrize("limit", [1, 500, 1_500, 1_800, 1_900, 2_000, 2_100, 2_200])
def test_a_connection_cut_anywhere_is_mended_later(two: TwoDepartments, tmp_path: Path, limit: int) -> None:
    """In the handshake, the offer or a chunk: asking again, now or later, delivers once."""
    proxy = Proxy(address_of(two), [limit, limit])
    dial = dialler(keys_of(MARKET, HOUSING), {HOUSING: proxy.address})
    two.connection = lambda *_: dial(HOUSING)
    for _ in range(4):
        try:
            two.fetch(tmp_path / "rows.jsonl")
            break
        except ConnectionCutError:
            continue
    proxy.listener.close()
    check_delivered_once(two, tmp_path / "rows.jsonl")


def test_what_crosses_the_wire_is_sealed(two: TwoDepartments, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before TLS is put around it, no name and no phone number is to be seen."""
    frames: list[bytes] = []
    send = Wire.send
    monkeypatch.setattr(Wire, "send", lambda wire, message: (frames.append(message), send(wire, message))[1])
    two.fetch(tmp_path / "rows.jsonl")
    assert len(frames) > 5
    joined = b"".join(frames)
    assert "王芳".encode() not in joined
    assert b"P-001" not in joined


def test_one_requester_takes_no_more_than_its_share(two: TwoDepartments) -> None:
    """Two connections; a third is closed."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(address_of_connection(two)) for _ in range(2))
        first.ask(asking(), lambda _: None)
        second.ask(asking(), lambda _: None)
        third = stack.enter_context(address_of_connection(two))
        with pytest.raises(ConnectionCutError):
            third.ask(asking(), lambda _: None)


def test_closing_cuts_who_is_connected(sqlite_department: Department, tmp_path: Path, small_chunks: None) -> None:
    """And comes to an end, also while a requester does not read."""
    both = two_departments(sqlite_department.database, sqlite_department.table, ITEMS, tmp_path)
    both.grant()
    with serving(both.provider) as address:
        remote = RemoteProvider(keys_of(MARKET, HOUSING).dial(address))
        offer = remote.ask(asking(), lambda _: None)
    with pytest.raises(ConnectionCutError):
        list(remote.chunks(0, offer.delivery.chunks))
    remote.close()
    both.close()


class Tampering:
    """Brings other chunks than the provider has sent."""

    def __init__(self, inner: RemoteProvider, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
        self._inner, self._spoil = inner, spoil

    def ask(self, question: Question, working: Callable[[int], None]) -> Offer:
        return self._inner.ask(question, working)

    def chunks(self, first: int, count: int) -> Iterator[bytes]:
        yield from self._spoil(list(self._inner.chunks(first, count)))

    def close(self) -> None:
        self._inner.close()


SPOILT: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "turned bit": lambda chunks: [*chunks[:2], bytes([chunks[2][0] ^ 1]) + chunks[2][1:], *chunks[3:]],
    "swapped": lambda chunks: [chunks[1], chunks[0], *chunks[2:]],
    "repeated": lambda chunks: [chunks[0], *chunks],
    "dropped": lambda chunks: chunks[1:],
    "shortened": lambda chunks: [chunks[0][:-1], *chunks[1:]],
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_provider_that_sends_other_chunks_is_rejected(
    two: TwoDepartments, tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    """On the ledger, under its own statement of what it has sealed; its rows do not count, and none is written."""
    dial = two.connection
    tampering: Callable[[Provider, CreditCode], Connection] = lambda *who: Tampering(dial(*who), spoil)  # type: ignore[arg-type]  # noqa: E731
    two.connection = tampering
    with pytest.raises(LedgerError) as rejected:
        two.fetch(tmp_path / "rows.jsonl")
    assert rejected.value.code == "delivery_tampered"
    assert two.delivery().rejection == "tampered"
    assert not (tmp_path / "rows.jsonl").exists()
    two.provider.settle()
    two.connection = dial
    assert two.fetch(tmp_path / "rows.jsonl").number == 2
    assert two.grant_now().used == 5
