"""Real endpoints on loopback: who gets a connection, what arrives, and what one bad peer can do to the others."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.errors import InvariantBrokenError
from ledger.identifiers import CreditCode
from ledger.limits import FRAME_BYTES_MAX
from nodes.transport.budgets import PeerBudgets
from nodes.transport.framing import PREFIX_BYTES, encode_frame
from nodes.transport.peers import PeerAddress, PeerNetwork
from nodes.transport.tls import TlsIdentity, client_context, make_identity

CODES = tuple(CreditCode(f"11110000{letter * 10}") for letter in "ABCD")
A, B, C, D = CODES
IDENTITIES: Mapping[CreditCode, TlsIdentity] = {
    code: make_identity(code, now=datetime(2026, 3, 1, tzinfo=UTC)) for code in CODES
}
LIMIT_S = 20.0
"""How long a test waits for what must happen. It does not lengthen a test that passes."""

QUICK = PeerBudgets(redial_first_s=0.001, redial_max_s=0.02)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario to its end, within the limit."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await scenario()

    asyncio.run(limited())


def listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def address(listener: socket.socket, code: CreditCode) -> PeerAddress:
    host, port = listener.getsockname()
    return PeerAddress(host, port, IDENTITIES[code].spki_hash)


@dataclass
class Member:
    """One endpoint and what it was told."""

    network: PeerNetwork
    received: list[tuple[CreditCode, bytes]] = field(default_factory=list)
    events: list[tuple[str, CreditCode]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    wakers: set[asyncio.Task[None]] = field(default_factory=set)

    def wake(self) -> None:
        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.get_running_loop().create_task(notify())
        self.wakers.add(task)
        task.add_done_callback(self.wakers.discard)

    async def until(self, condition: Callable[[Member], bool]) -> None:
        """Wait until the condition holds; it is looked at after each event."""
        async with self.changed:
            await self.changed.wait_for(lambda: condition(self))

    async def until_connected(self, *peers: CreditCode) -> None:
        await self.until(lambda member: set(peers) <= set(member.network.connected))

    async def until_received(self, sender: CreditCode, message: bytes) -> None:
        await self.until(lambda member: (sender, message) in member.received)


def make_member(
    me: CreditCode,
    peers: Mapping[CreditCode, PeerAddress],
    *,
    identity: TlsIdentity | None = None,
    budgets: PeerBudgets = QUICK,
    on_message: Callable[[CreditCode, bytes], None] | None = None,
) -> Member:
    def received(sender: CreditCode, message: bytes) -> None:
        member.received.append((sender, message))
        member.wake()
        if on_message:
            on_message(sender, message)

    def told(what: str) -> Callable[[CreditCode], None]:
        def tell(peer: CreditCode) -> None:
            member.events.append((what, peer))
            member.wake()

        return tell

    member = Member(
        PeerNetwork(
            identity or IDENTITIES[me],
            me,
            {code: where for code, where in peers.items() if code != me},
            [IDENTITIES[code].certificate_pem for code in peers if code != me],
            on_message=received,
            on_connected=told("connected"),
            on_disconnected=told("disconnected"),
            jitter=lambda: 0.5,
            budgets=budgets,
        )
    )
    return member


@asynccontextmanager
async def running(
    codes: tuple[CreditCode, ...], budgets: PeerBudgets = QUICK
) -> AsyncIterator[dict[CreditCode, Member]]:
    """Members that are all connected with each other, closed in the end."""
    listeners = {code: listen() for code in codes}
    addresses = {code: address(listeners[code], code) for code in codes}
    members = {code: make_member(code, addresses, budgets=budgets) for code in codes}
    try:
        for code, member in members.items():
            await member.network.start(listeners[code])
        for code, member in members.items():
            await member.until_connected(*(other for other in codes if other != code))
        yield members
    finally:
        await asyncio.gather(*(member.network.close() for member in members.values()))


@asynccontextmanager
async def started(member: Member, listener: socket.socket) -> AsyncIterator[Member]:
    await member.network.start(listener)
    try:
        yield member
    finally:
        await member.network.close()


async def dial_as(code: CreditCode, where: PeerAddress, other: CreditCode) -> tuple[asyncio.StreamReader, Any]:
    """Connect to `other` with the key of `code`, by asyncio's own TLS: an independent other end."""
    context = client_context(IDENTITIES[code], [IDENTITIES[other].certificate_pem])
    return await asyncio.open_connection(where.host, where.port, ssl=context, server_hostname="")


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):  # The other end may have been quicker.
        await writer.wait_closed()


async def until_log(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait until a log line with `text` has been written."""
    written = asyncio.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                written.set()

    watch = Watch()
    logging.getLogger("nodes.transport").addHandler(watch)
    try:
        if text not in caplog.text:
            await written.wait()
    finally:
        logging.getLogger("nodes.transport").removeHandler(watch)


def test_four_members_exchange_messages_both_ways() -> None:
    """Each hears each other one, in the order sent, over one connection a pair."""

    async def scenario() -> None:
        async with running(CODES) as members:
            for code, member in members.items():
                for number in range(3):
                    assert member.network.broadcast(f"{code} {number}".encode()) == 3
                for other in CODES:
                    assert member.network.send(other, f"{code} to {other}".encode()) == (other != code)
            for code, member in members.items():
                for other in set(CODES) - {code}:
                    await member.until_received(other, f"{other} to {code}".encode())
                    heard = [message for sender, message in member.received if sender == other]
                    assert heard == [
                        *(f"{other} {number}".encode() for number in range(3)),
                        f"{other} to {code}".encode(),
                    ]
                    counters = member.network.counters[other]
                    assert (counters.connections, counters.frames_received, counters.frames_sent) == (1, 4, 4)

    run(scenario)


def test_a_message_of_the_largest_size_arrives() -> None:
    """Frames far beyond a socket's buffer pass whole, in both directions at once."""

    async def scenario() -> None:
        largest = bytes(range(256)) * (FRAME_BYTES_MAX // 256)
        async with running((A, B)) as members:
            for code, other in ((A, B), (B, A)):
                members[code].network.send(other, largest)
            for code, other in ((A, B), (B, A)):
                await members[code].until_received(other, largest)

    run(scenario)


def test_what_was_sent_before_closing_arrives() -> None:
    """Closing writes the queue first."""

    async def scenario() -> None:
        async with running((A, B)) as members:
            for number in range(100):
                members[A].network.send(B, b"%d" % number)
            await members[A].network.close()
            await members[B].until_received(A, b"99")
            await members[B].until(lambda member: ("disconnected", A) in member.events)
            assert len(members[B].received) == 100

    run(scenario)


def test_an_unknown_key_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """A stranger under a member's name gets no connection, and one line says so."""

    async def scenario() -> None:
        listeners = {A: listen(), B: listen()}
        addresses = {code: address(listeners[code], code) for code in (A, B)}
        stranger = make_identity(A, now=datetime(2026, 3, 1, tzinfo=UTC))
        slow = PeerBudgets(redial_first_s=LIMIT_S, redial_max_s=LIMIT_S)
        impostor = make_member(A, addresses, identity=stranger, budgets=slow)
        async with (
            started(make_member(B, addresses), listeners[B]) as honest,
            started(impostor, listeners[A]),
        ):
            await until_log(caplog, "refused a connection from 127.0.0.1")
            await until_log(caplog, f"no connection to {B}")
            assert honest.events == impostor.events == []
            assert honest.network.totals.refused == 1
        lines = [record.getMessage() for record in caplog.records if "refused a connection" in record.getMessage()]
        assert len(lines) == 1
        assert "not one that is expected here" in lines[0]

    run(scenario)


def test_a_registered_key_under_anothers_name_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever dials B and finds C there hangs up, though both keys are registered."""

    async def scenario() -> None:
        listeners = {code: listen() for code in (A, B, C)}
        addresses = {code: address(listeners[code], code) for code in (A, B, C)}
        swapped = {**addresses, B: PeerAddress("127.0.0.1", addresses[C].port, IDENTITIES[B].spki_hash)}
        listeners[B].close()
        async with (
            started(make_member(C, addresses), listeners[C]),
            started(make_member(A, swapped), listeners[A]) as deceived,
        ):
            await until_log(caplog, f"it showed the key of {C}, not of {B}")
            await deceived.until_connected(C)
            assert B not in deceived.network.connected

    run(scenario)


def test_a_peer_that_is_dialled_must_not_dial(caplog: pytest.LogCaptureFixture) -> None:
    """One connection a pair: the higher code is refused when it dials, its key notwithstanding."""

    async def scenario() -> None:
        listener = listen()
        addresses = {A: address(listener, A), B: PeerAddress("127.0.0.1", 9, IDENTITIES[B].spki_hash)}
        async with started(make_member(A, addresses), listener) as member:
            reader, writer = await dial_as(B, addresses[A], A)
            with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
                await reader.read()
            await until_log(caplog, "not one that is expected here")
            assert member.events == []
            await hang_up(writer)

    run(scenario)


def test_silence_in_the_handshake_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever connects and says nothing is cut off, and holds up nobody meanwhile."""

    async def scenario() -> None:
        listener = listen()
        addresses = {A: PeerAddress("127.0.0.1", 9, IDENTITIES[A].spki_hash), B: address(listener, B)}
        budgets = PeerBudgets(handshake_s=0.2, handshakes_max=2)
        async with started(make_member(B, addresses, budgets=budgets), listener) as member:
            silent, silent_writer = await asyncio.open_connection(addresses[B].host, addresses[B].port)
            reader, writer = await dial_as(A, addresses[B], B)
            assert await reader.readexactly(PREFIX_BYTES) == encode_frame(b"")
            assert list(member.network.connected) == [A]
            assert await silent.read() == b""
            assert "no handshake within 0.2 s" in caplog.text
            await hang_up(silent_writer)
            await hang_up(writer)

    run(scenario)


def test_a_new_connection_replaces_the_old_one_once_its_key_is_known() -> None:
    """The owner hears of the change in order, the old connection ends, and the new one carries messages."""

    async def scenario() -> None:
        listener = listen()
        addresses = {A: PeerAddress("127.0.0.1", 9, IDENTITIES[A].spki_hash), B: address(listener, B)}
        async with started(make_member(B, addresses), listener) as member:
            old, old_writer = await dial_as(A, addresses[B], B)
            await old.readexactly(PREFIX_BYTES)
            new, new_writer = await dial_as(A, addresses[B], B)
            await new.readexactly(PREFIX_BYTES)
            assert member.events == [("connected", A), ("disconnected", A), ("connected", A)]
            assert await old.read() == b""
            new_writer.write(encode_frame(b"here again"))
            await member.until_received(A, b"here again")
            await hang_up(old_writer)
            await hang_up(new_writer)

    run(scenario)


def test_a_peer_that_does_not_read_holds_up_nobody() -> None:
    """Its queue stays bounded and drops the oldest, counted; the others hear everything meanwhile."""

    async def scenario() -> None:
        listeners = {code: listen() for code in (B, C)}
        addresses = {
            A: PeerAddress("127.0.0.1", 9, IDENTITIES[A].spki_hash),
            **{code: address(listeners[code], code) for code in (B, C)},
        }
        sender, reader = make_member(B, addresses), make_member(C, addresses)
        async with started(sender, listeners[B]), started(reader, listeners[C]):
            await sender.until_connected(C)
            deaf, writer = await dial_as(A, addresses[B], B)
            await deaf.readexactly(PREFIX_BYTES)
            writer.transport.pause_reading()
            counters = sender.network.counters
            number = 0
            while not counters[A].frames_dropped:
                message = number.to_bytes(4, "big") + bytes(1 << 20)
                assert sender.network.broadcast(message) == 2
                await reader.until_received(B, message)
                reader.received.clear()
                number += 1
                assert number < 100
            assert counters[C].frames_dropped == 0
            assert sender.network.queued_bytes(C) == 0
            assert 0 < sender.network.queued_bytes(A) <= QUICK.queue_bytes_max
            # What the peer gets once it reads again is whole, and ends with the newest.
            sender.network.send(A, b"newest")
            writer.transport.resume_reading()
            got: list[bytes] = []
            while not got or got[-1] != b"newest":
                size = int.from_bytes(await deaf.readexactly(PREFIX_BYTES), "big")
                got.append(await deaf.readexactly(size))
            numbers = [int.from_bytes(message[:4], "big") for message in got[:-1]]
            assert numbers == sorted(numbers)
            # The message that found the queue full is there; an older one made room for it.
            assert numbers[-1] == number - 1
            assert len(numbers) == number - counters[A].frames_dropped
            await hang_up(writer)

    run(scenario)


@pytest.mark.parametrize("returning", [A, B])
def test_a_member_that_restarts_is_connected_again(returning: CreditCode) -> None:
    """Whether it dials or is dialled, and each side hears of both events."""

    async def scenario() -> None:
        staying = B if returning == A else A
        listeners = {code: listen() for code in (A, B)}
        addresses = {code: address(listeners[code], code) for code in (A, B)}
        again = listeners[returning].dup()  # Keeps the port while nobody accepts.
        async with started(make_member(staying, addresses), listeners[staying]) as member:
            async with started(make_member(returning, addresses), listeners[returning]):
                await member.until_connected(returning)
            await member.until(lambda member: ("disconnected", returning) in member.events)
            assert not member.network.send(returning, b"nobody there")
            assert member.network.counters[returning].frames_unsent == 1
            async with started(make_member(returning, addresses), again) as back:
                await member.until_connected(returning)
                await back.until_connected(staying)
                assert member.network.send(returning, b"welcome back")
                await back.until_received(staying, b"welcome back")
            assert member.events[:3] == [
                ("connected", returning),
                ("disconnected", returning),
                ("connected", returning),
            ]

    run(scenario)


def test_an_oversize_frame_closes_that_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """The prefix alone ends it, it counts as a bad message, and the other peers notice nothing."""

    async def scenario() -> None:
        listeners = {code: listen() for code in (B, C)}
        addresses = {
            A: PeerAddress("127.0.0.1", 9, IDENTITIES[A].spki_hash),
            **{code: address(listeners[code], code) for code in (B, C)},
        }
        async with (
            started(make_member(B, addresses), listeners[B]) as member,
            started(make_member(C, addresses), listeners[C]) as other,
        ):
            await other.until_connected(B)
            reader, writer = await dial_as(A, addresses[B], B)
            await reader.readexactly(PREFIX_BYTES)
            writer.write(encode_frame(b"fine") + (FRAME_BYTES_MAX + 1).to_bytes(PREFIX_BYTES, "big"))
            await member.until(lambda member: ("disconnected", A) in member.events)
            assert member.received == [(A, b"fine")]
            assert member.network.counters[A].bad_messages == 1
            assert f"frame has {FRAME_BYTES_MAX + 1} bytes" in caplog.text
            member.network.send(C, b"still here")
            await other.until_received(B, b"still here")
            assert other.events == [("connected", B)]
            await hang_up(writer)

    run(scenario)


def test_too_many_bad_messages_bring_a_ban_that_ends() -> None:
    """The owner counts them; the connection ends, none is had during the ban, and then there is one again."""

    async def scenario() -> None:
        budgets = PeerBudgets(bad_messages_max=3, ban_s=0.3, redial_first_s=0.001, redial_max_s=0.02)
        async with running((A, B), budgets) as members:
            banning = members[B]
            loop = asyncio.get_running_loop()
            for _ in range(2):
                banning.network.penalise(A)
            assert list(banning.network.connected) == [A]
            banned_at = loop.time()
            banning.network.penalise(A)
            assert not banning.network.connected
            counters = banning.network.counters[A]
            assert (counters.bad_messages, counters.bans) == (3, 1)
            await banning.until_connected(A)
            assert loop.time() - banned_at >= 0.3
            assert banning.network.totals.refused > 0

    run(scenario)


def test_a_peer_over_its_budget_is_read_more_slowly_not_dropped() -> None:
    """Everything arrives, in order, at the rate allowed, over the same connection."""

    async def scenario() -> None:
        budgets = PeerBudgets(inbound_frames_per_s=400, inbound_burst_s=0.25)
        async with running((A, B), budgets) as members:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            # Messages of a tenth of the receive buffer, so that no one reading takes them all.
            messages = [b"%03d" % number + bytes(26_000) for number in range(200)]
            for message in messages:
                members[A].network.send(B, message)
            await members[B].until_received(A, messages[-1])
            assert members[B].received == [(A, message) for message in messages]
            # 100 are the burst. Nothing is owed for the last reading, of 10 frames and a part at most.
            assert loop.time() - begun >= (200 - 100 - 22) / 400
            counters = members[B].network.counters[A]
            assert counters.reading_paused > 0
            assert counters.connections == 1

    run(scenario)


def test_a_callback_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The error is logged and counted; the next message comes over the same connection."""

    async def scenario() -> None:
        def fail_once(_: CreditCode, message: bytes) -> None:
            if message == b"first":
                raise RuntimeError("the owner's mistake")

        listeners = {code: listen() for code in (A, B)}
        addresses = {code: address(listeners[code], code) for code in (A, B)}
        async with (
            started(make_member(A, addresses), listeners[A]) as sender,
            started(make_member(B, addresses, on_message=fail_once), listeners[B]) as receiver,
        ):
            await sender.until_connected(B)
            sender.network.send(B, b"first")
            sender.network.send(B, b"second")
            await receiver.until_received(A, b"second")
            assert receiver.network.totals.callback_failures == 1
            assert receiver.events == [("connected", A)]
        assert "the owner's mistake" in caplog.text

    run(scenario)


def test_a_broken_invariant_silences_the_network_and_comes_out() -> None:
    """After it nothing is delivered or connected, and whoever waits for the network gets the error."""

    async def scenario() -> None:
        def break_down(_: CreditCode, message: bytes) -> None:
            raise InvariantBrokenError(message.decode())

        listeners = {code: listen() for code in (A, B)}
        addresses = {code: address(listeners[code], code) for code in (A, B)}
        async with (
            started(make_member(A, addresses), listeners[A]) as sender,
            started(make_member(B, addresses, on_message=break_down), listeners[B]) as receiver,
        ):
            await sender.until_connected(B)
            sender.network.send(B, b"two roots")
            sender.network.send(B, b"and more")
            with pytest.raises(InvariantBrokenError, match="two roots"):
                await receiver.network.wait_closed()
            assert receiver.received == [(A, b"two roots")]
            assert not receiver.network.connected

    run(scenario)


def test_a_key_off_the_ledger_loses_its_connection_and_a_new_member_gets_one() -> None:
    """After a change of members the connections follow; a peer that stays keeps its connection."""

    async def scenario() -> None:
        listeners = {code: listen() for code in (A, B, C)}
        addresses = {code: address(listeners[code], code) for code in (A, B, C)}
        without = {code: addresses[code] for code in (A, B)}
        pems = {code: IDENTITIES[code].certificate_pem for code in CODES}
        async with (
            started(make_member(A, without), listeners[A]) as first,
            started(make_member(B, addresses), listeners[B]) as second,
            started(make_member(C, addresses), listeners[C]) as third,
        ):
            await first.until_connected(B)
            await third.until_connected(B)
            first.network.set_peers({B: addresses[B], C: addresses[C]}, [pems[B], pems[C]])
            await first.until_connected(B, C)
            second.network.set_peers({A: addresses[A]}, [pems[A]])
            assert list(second.network.connected) == [A]
            await third.until(lambda member: ("disconnected", B) in member.events)
            assert first.events == [("connected", B), ("connected", C)]

    run(scenario)


def test_a_key_that_is_being_rotated_is_accepted_beside_the_old_one() -> None:
    """In the joint period a peer is itself under either of its two keys."""

    async def scenario() -> None:
        listeners = {code: listen() for code in (A, B)}
        addresses = {code: address(listeners[code], code) for code in (A, B)}
        new = make_identity(A, now=datetime(2026, 3, 1, tzinfo=UTC))
        joint = PeerAddress("127.0.0.1", addresses[A].port, IDENTITIES[A].spki_hash, new.spki_hash)
        receiver = make_member(B, addresses)
        receiver.network.set_peers({A: joint}, [IDENTITIES[A].certificate_pem, new.certificate_pem])
        async with started(receiver, listeners[B]):
            async with started(make_member(A, addresses), listeners[A]):
                await receiver.until_connected(A)
            await receiver.until(lambda member: ("disconnected", A) in member.events)
            async with started(make_member(A, addresses, identity=new), listen()):
                await receiver.until_connected(A)

    run(scenario)


def test_only_loopback_is_listened_on_unless_asked() -> None:
    """A socket that other machines reach is refused before anything is accepted."""

    async def scenario() -> None:
        member = make_member(A, {})
        with socket.create_server(("0.0.0.0", 0)) as everywhere, pytest.raises(ValueError, match=r"0\.0\.0\.0"):
            await member.network.start(everywhere)
        await member.network.close()

    run(scenario)


def test_misuse_is_told_at_once() -> None:
    """A peer list with oneself, one key twice or no certificate, and messages that are empty or too long."""
    where = PeerAddress("127.0.0.1", 9, IDENTITIES[A].spki_hash)

    def make(peers: Mapping[CreditCode, PeerAddress]) -> PeerNetwork:
        def ignore(*_: object) -> None:
            pass

        return PeerNetwork(
            IDENTITIES[D],
            D,
            peers,
            [IDENTITIES[A].certificate_pem],
            on_message=ignore,
            on_connected=ignore,
            on_disconnected=ignore,
            jitter=lambda: 0.0,
        )

    with pytest.raises(ValueError, match="its own peer"):
        make({D: where})
    with pytest.raises(ValueError, match="the same key"):
        make({A: where, B: where})
    with pytest.raises(ValueError, match=f"no certificate for a key of {B}"):
        make({A: where, B: PeerAddress("127.0.0.1", 9, IDENTITIES[B].spki_hash)})
    network = make({A: where})
    with pytest.raises(ValueError, match="empty"):
        network.send(A, b"")
    with pytest.raises(ValueError, match="does not fit"):
        network.broadcast(bytes(FRAME_BYTES_MAX + 1))
