"""One connection to one peer: a socket, a TLS channel, frames, and a bounded queue.

A connection goes through four states. It shakes hands; whoever dialled then waits for a greeting, one empty frame,
since in TLS 1.3 the client is finished before the server has looked at its key; then it is up; then it is down for
good. Empty frames after the greeting mean nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, cast

from ledger.errors import OversizeError
from ledger.identifiers import CreditCode, Digest
from nodes.transport.budgets import PeerBudgets, TokenBucket
from nodes.transport.channel import TlsChannel
from nodes.transport.framing import PREFIX_BYTES, FrameDecoder, encode_frame
from nodes.transport.tls import peer_spki_hash

BATCH_BYTES = 1 << 16
"""Plaintext encrypted and written at a time: a system call costs little beside that, and it stays in the cache. Writing
4 MiB at once took 3.7 ms of encryption, in pieces of this size 1.5 ms."""

WRITE_BUFFER_BYTES = 1 << 18
"""Ciphertext the event loop holds for a slow peer before frames wait in the queue, where the oldest can be dropped."""

KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 10, 5, 3
"""A machine that lost power says no goodbye; the kernel finds out within 25 s."""

CLOSE_S = 1.0
"""What a peer has to take the last bytes of a connection that is being closed."""

GREETING = encode_frame(b"")

_received = memoryview(bytearray(1 << 18))
"""Ciphertext between the socket and the channel. Shared by all links: each uses it up before the next one reads."""


class RefusedError(Exception):
    """The other end is not whom this node talks to; the message says why."""


@dataclass(slots=True)
class PeerCounters:
    """What has happened with one peer since the start; only ever counted up."""

    connections: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0
    frames_received: int = 0
    bytes_received: int = 0
    """Of messages, prefixes excluded; so are the bytes sent."""
    frames_dropped: int = 0
    """Displaced by newer ones because the peer did not read, or left in the queue when the connection was lost."""
    frames_unsent: int = 0
    """Not queued at all because the peer was not connected."""
    reading_paused: int = 0
    """Times the peer was over its inbound budget."""
    bad_messages: int = 0
    bans: int = 0


class LinkOwner(Protocol):
    """What a link asks and tells. None of it raises, but `identify`."""

    def identify(self, link: Link, spki_hash: Digest) -> tuple[CreditCode, PeerCounters]:
        """Say whose key was shown, and where to count. Raises `RefusedError`."""

    def link_up(self, link: Link) -> None:
        """Both ends know each other; messages may follow."""

    def link_message(self, link: Link, message: bytes) -> None:
        """A message came, not empty."""

    def link_misbehaved(self, link: Link, reason: str) -> None:
        """The peer, known by now, broke the framing; the link is about to close."""

    def link_down(self, link: Link) -> None:
        """The connection is gone, up or not; `link.reason` says why. Comes once, and last."""


class State(Enum):
    """How far a link has come."""

    SHAKING_HANDS = auto()
    AWAITING_GREETING = auto()
    UP = auto()
    DOWN = auto()


class Link(asyncio.BufferedProtocol):
    """One connection. Made before its socket is connected; used from the event loop's thread only."""

    def __init__(
        self, owner: LinkOwner, context: ssl.SSLContext, budgets: PeerBudgets, *, dialled: CreditCode | None
    ) -> None:
        """Args: `dialled` is whom this end wanted to reach, None for a connection that somebody else opened."""
        self.dialled = dialled
        self.peer: CreditCode | None = None
        """Known once the handshake is finished and the key is registered."""
        self.spki_hash: Digest | None = None
        self.was_up = False
        self.address = ""
        self.reason = ""
        loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[bool] = loop.create_future()
        """Done when the link is up (True), or down before it ever was (False)."""
        self.closed: asyncio.Future[None] = loop.create_future()
        self._owner = owner
        self._budgets = budgets
        self._loop = loop
        self._channel = TlsChannel(context, server_side=dialled is None)
        self._decoder = FrameDecoder()
        self._state = State.SHAKING_HANDS
        self._counters = PeerCounters()
        self._bytes = TokenBucket(budgets.inbound_bytes_per_s, budgets.inbound_bytes_per_s * budgets.inbound_burst_s)
        self._frames = TokenBucket(budgets.inbound_frames_per_s, budgets.inbound_frames_per_s * budgets.inbound_burst_s)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._writing_paused = False
        self._timer: asyncio.TimerHandle | None = None
        """For the handshake, then for the pauses in reading, then for closing: never for two of them at once."""
        self._transport: asyncio.Transport | None = None

    @property
    def queued_bytes(self) -> int:
        """Bytes of frames that wait because the peer does not read."""
        return self._queued_bytes

    def enqueue(self, frame: bytes) -> None:
        """Queue a whole frame for the next `flush`, dropping the oldest ones if there are too many.

        The oldest go because they are worth least: consensus moves on by rounds and repeats what it still needs, so a
        peer that wakes up is better served by the newest. Frames are dropped whole, never one that was begun.
        """
        self._queue.append(frame)
        self._queued_bytes += len(frame)
        if self._is_over_full():
            # Much may be sent in one turn of the loop; that alone is no reason to drop what the peer would take.
            self.flush()
        while self._is_over_full():
            self._queued_bytes -= len(self._queue.popleft())
            self._counters.frames_dropped += 1

    def flush(self) -> None:
        """Write what is queued, many frames at a time, as far as the peer keeps up."""
        while self._queue and not self._writing_paused and self._state is State.UP:
            batch: list[bytes] = []
            size = 0
            while self._queue and size < BATCH_BYTES:
                batch.append(frame := self._queue.popleft())
                size += len(frame)
            self._queued_bytes -= size
            self._counters.frames_sent += len(batch)
            self._counters.bytes_sent += size - len(batch) * PREFIX_BYTES
            self._write(batch[0] if len(batch) == 1 else b"".join(batch))

    def close(self, reason: str) -> None:
        """Close once everything queued is written, with a goodbye; `connection_lost` comes later."""
        if self._state is State.DOWN:
            return
        self.flush()
        self._end(reason)
        if self._transport is None:
            return
        self._channel.finish()
        self._send_ciphertext()
        self._transport.close()
        # A peer that does not read could hold the socket, and what waits for it, for ever.
        self._timer = self._loop.call_later(CLOSE_S, self._transport.abort)

    def abort(self, reason: str) -> None:
        """Close at once, whatever waits; `connection_lost` comes on the loop's next turn."""
        if self._state is not State.DOWN:
            self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        if self._state is State.DOWN:
            # Closed while it was still connecting.
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.address = "{}:{}".format(*transport.get_extra_info("peername", ("?", "?"))[:2])
        _tune(transport.get_extra_info("socket"))
        self._timer = self._loop.call_later(self._budgets.handshake_s, self._on_handshake_timeout)
        if self.dialled is not None:
            self._advance(0)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the common buffer."""
        return _received

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        if self._state is not State.DOWN:
            self._channel.receive(_received[:nbytes])
            self._advance(nbytes)

    def pause_writing(self) -> None:
        """Let frames wait here."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Write what has waited."""
        self._writing_paused = False
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        if self._state is not State.DOWN:
            self._end(f"connection lost: {exc}" if exc else "the peer closed the connection")
        self._stop_timer()
        self._counters.frames_dropped += len(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        if not self.closed.done():
            self.closed.set_result(None)
        self._owner.link_down(self)

    def _is_over_full(self) -> bool:
        return self._queued_bytes > self._budgets.queue_bytes_max or len(self._queue) > self._budgets.queue_frames_max

    def _advance(self, received: int) -> None:
        """Go on with the handshake or with reading, after `received` bytes of ciphertext."""
        try:
            if self._state is State.SHAKING_HANDS and self._channel.shake_hands():
                self._on_handshake()
            if self._state is not State.SHAKING_HANDS:
                self._read(received)
        except RefusedError as error:
            self.close(str(error))
        except ssl.SSLError as error:
            self.close(_describe(error))
        except EOFError as error:
            self.close(str(error))
        except OversizeError as error:
            self._owner.link_misbehaved(self, str(error))
            self.close(str(error))
        else:
            self._send_ciphertext()

    def _on_handshake(self) -> None:
        spki_hash = peer_spki_hash(self._channel.tls)
        self.peer, self._counters = self._owner.identify(self, spki_hash)
        self.spki_hash = spki_hash
        if self.dialled is None:
            self._channel.write(GREETING)
            self._come_up()
        else:
            self._state = State.AWAITING_GREETING

    def _come_up(self) -> None:
        self._state = State.UP
        self.was_up = True
        self._stop_timer()
        self._counters.connections += 1
        self.settled.set_result(True)
        self._owner.link_up(self)

    def _read(self, received: int) -> None:
        frames = 0
        for plaintext in self._channel.read():
            self._decoder.receive(plaintext)
            while (message := self._decoder.next_message()) is not None:
                frames += 1
                self._on_message(message)
                # The owner may have banned the peer for this very message.
                if self._state is State.DOWN:
                    return
        now = self._loop.time()
        wait = max(self._bytes.take(received, now), self._frames.take(frames, now))
        if wait and self._transport is not None and self._state is State.UP and self._timer is None:
            self._counters.reading_paused += 1
            self._transport.pause_reading()
            self._timer = self._loop.call_later(wait, self._resume_reading)

    def _on_message(self, message: bytes) -> None:
        if self._state is State.UP:
            self._counters.frames_received += 1
            self._counters.bytes_received += len(message)
            if message:
                self._owner.link_message(self, message)
        elif message:
            raise RefusedError("a message came before the greeting")
        else:
            self._come_up()

    def _resume_reading(self) -> None:
        self._timer = None
        if self._transport is not None:
            self._transport.resume_reading()

    def _on_handshake_timeout(self) -> None:
        self._timer = None
        self.abort(f"no handshake within {self._budgets.handshake_s:g} s")

    def _write(self, plaintext: bytes) -> None:
        with memoryview(plaintext) as view:
            for start in range(0, len(view), BATCH_BYTES):
                self._channel.write(view[start : start + BATCH_BYTES])
                self._send_ciphertext()

    def _send_ciphertext(self) -> None:
        if self._transport is not None and (ciphertext := self._channel.take_outgoing()):
            self._transport.write(ciphertext)

    def _end(self, reason: str) -> None:
        self._state = State.DOWN
        self.reason = reason
        self._stop_timer()
        if not self.settled.done():
            self.settled.set_result(False)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _describe(error: ssl.SSLError) -> str:
    """Return what went wrong without OpenSSL's file names and line numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not one that is expected here: {error.verify_message}"
    return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"


def _tune(connection: socket.socket) -> None:
    # Frames are joined before they are written, so waiting for more to send would only add to a round's time.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
