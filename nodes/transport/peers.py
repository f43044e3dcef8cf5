"""The network a node talks through: one connection to each peer, kept up, bounded, and known by its key.

Of each pair the member with the lower credit code dials. A connection that comes in while another is up replaces it,
but only once its key is known: so a peer that lost its machine gets back in, and nobody else can push it out.

Nothing here waits for a slow peer: what it does not read waits in its queue, then the oldest is dropped and counted. A
peer over its inbound budget is not read from for a while, and TCP makes it wait.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from ledger.errors import InvariantBrokenError
from ledger.identifiers import CreditCode, Digest
from nodes.transport.budgets import PeerBudgets
from nodes.transport.framing import encode_frame
from nodes.transport.link import CLOSE_S, Link, PeerCounters, RefusedError
from nodes.transport.tls import TlsIdentity, certificate_spki_hash, client_context, server_context

logger = logging.getLogger(__name__)

ACCEPT_PAUSE_S = 0.1
"""After a failure to accept, for want of descriptors mostly: time for some to come back."""


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer listens and which key it shows."""

    host: str
    port: int
    spki_hash: Digest
    next_spki_hash: Digest | None = None
    """The key that will follow, valid beside the first for the joint period of a rotation."""


@dataclass(slots=True)
class NetworkCounters:
    """What has happened with connections that belong to no peer, and with the owner's callbacks."""

    refused: int = 0
    """Connections that ended before both ends knew each other."""
    callback_failures: int = 0


class PeerNetwork:
    """All connections of one node. Used from the event loop's thread only.

    The callbacks are called on that thread, one at a time, and must not block. What they raise is logged and counted;
    `InvariantBrokenError` alone ends the network, and comes out of `wait_closed`.
    """

    def __init__(
        self,
        identity: TlsIdentity,
        me: CreditCode,
        peers: Mapping[CreditCode, PeerAddress],
        certificates_pem: Iterable[bytes],
        *,
        on_message: Callable[[CreditCode, bytes], None],
        on_connected: Callable[[CreditCode], None],
        on_disconnected: Callable[[CreditCode], None],
        jitter: Callable[[], float],
        budgets: PeerBudgets | None = None,
        loopback_only: bool = True,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            peers: Everybody else, `me` excluded.
            certificates_pem: Of all peers, in any order: at least one for each, under a key registered for it. Those
                under other keys are ignored.
            on_message: Gets a sender and a message, not empty.
            on_connected, on_disconnected: Take turns for each peer. A replaced connection gives one of each, because
                messages may have been lost in between.
            jitter: Gives numbers in [0, 1), for the waits between dials.
            loopback_only: Refuse to listen where other machines could connect.

        Raises:
            ValueError: `me` is among the peers, two peers show the same key, or one has no certificate.
        """
        self.me = me
        self.totals = NetworkCounters()
        self.counters: dict[CreditCode, PeerCounters] = {}
        """By peer; kept when a peer leaves, so that sums never fall."""
        self._identity = identity
        self._on_message = on_message
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._jitter = jitter
        self._budgets = budgets or PeerBudgets()
        self._loopback_only = loopback_only
        self._links: dict[CreditCode, Link] = {}
        self._alive: dict[Link, None] = {}
        self._dirty: dict[Link, None] = {}
        self._banned_until: dict[CreditCode, float] = {}
        self._bad_messages: dict[CreditCode, int] = {}
        self._handshakes = asyncio.Semaphore(self._budgets.handshakes_max)
        self._dials = asyncio.Semaphore(self._budgets.dials_max)
        self._dialling: dict[CreditCode, asyncio.Task[None]] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None
        self._finished: asyncio.Future[None] | None = None
        self._closing = False
        self._take_peers(peers, certificates_pem)

    @property
    def connected(self) -> AbstractSet[CreditCode]:
        """The peers messages can be sent to now; a live view."""
        return self._links.keys()

    def queued_bytes(self, peer: CreditCode) -> int:
        """Return the bytes that wait because `peer` does not read."""
        return link.queued_bytes if (link := self._links.get(peer)) else 0

    async def start(self, listener: socket.socket) -> None:
        """Accept on `listener`, and dial the peers with higher credit codes.

        Args:
            listener: Bound and listening already, so that a forked node inherits it and no port is raced for. The
                network owns it from here on.

        Raises:
            ValueError: The socket listens beyond loopback, and that was not asked for.
        """
        host = listener.getsockname()[0]
        if self._loopback_only and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"{host} can be reached from other machines, and only loopback is allowed")
        listener.setblocking(False)
        self._listener = listener
        self._finished = asyncio.get_running_loop().create_future()
        self._accepting = self._spawn(self._accept(listener), "accept peers")
        self._dial_all()

    async def close(self) -> None:
        """Write what is queued to the peers that take it, close all connections, and stop. No callback comes after."""
        self._closing = True
        await asyncio.gather(*self._cancel_tasks(), return_exceptions=True)
        for link in list(self._alive):
            link.close("this node is closing")
        if closing := [link.closed for link in self._alive]:
            # The links abort themselves when a peer does not take its last bytes; this wait is bounded by that.
            await asyncio.wait(closing, timeout=2 * CLOSE_S)
        if self._listener:
            self._listener.close()
        if self._finished and not self._finished.done():
            self._finished.set_result(None)

    async def wait_closed(self) -> None:
        """Wait until the network is closed, or has failed.

        Raises:
            InvariantBrokenError: A callback raised it; nothing has been delivered since.
        """
        if self._finished is None:
            raise ValueError("the network has not been started")
        await asyncio.shield(self._finished)

    def set_peers(self, peers: Mapping[CreditCode, PeerAddress], certificates_pem: Iterable[bytes]) -> None:
        """Talk to these peers from now on: after a change of members or keys.

        Connections of peers that stay under the same key stay up; those of the others are closed.

        Raises:
            ValueError: As the constructor; nothing has changed then.
        """
        self._take_peers(peers, certificates_pem)
        for link in list(self._alive):
            if link.spki_hash is not None and self._key_owners.get(link.spki_hash) != link.peer:
                self._drop(link, "its key is no longer registered")
        for peer in self._dialling.keys() - self._peers.keys():
            self._dialling.pop(peer).cancel()
        self._dial_all()

    def send(self, peer: CreditCode, message: bytes) -> bool:
        """Queue a message for `peer`; return whether it was connected. Arrival is never promised.

        Raises:
            ValueError: The message is empty or does not fit a frame.
        """
        return self._queue_for((peer,), message) == 1

    def broadcast(self, message: bytes) -> int:
        """Queue a message for every peer, framed once; return to how many. Those not connected are counted as unsent.

        Raises:
            ValueError: The message is empty or does not fit a frame.
        """
        return self._queue_for(self._peers, message)

    def ban(self, peer: CreditCode, seconds: float) -> None:
        """Close the connection with `peer` and have none for a while. A shorter ban does not shorten a longer one."""
        until = asyncio.get_running_loop().time() + seconds
        self._banned_until[peer] = max(until, self._banned_until.get(peer, until))
        self.counters[peer].bans += 1
        logger.warning("banned %s for %g s", peer, seconds)
        for link in [link for link in self._alive if link.peer == peer]:
            self._drop(link, "banned")

    def penalise(self, peer: CreditCode) -> None:
        """Count a bad message, one with a bad signature for example; a peer with too many is banned."""
        self.counters[peer].bad_messages += 1
        self._bad_messages[peer] = count = self._bad_messages.get(peer, 0) + 1
        if count >= self._budgets.bad_messages_max:
            del self._bad_messages[peer]
            self.ban(peer, self._budgets.ban_s)

    # What links ask and tell.

    def identify(self, link: Link, spki_hash: Digest) -> tuple[CreditCode, PeerCounters]:
        """Say whose key a link was shown, and refuse it unless that is somebody to have this connection with."""
        if self._closing:
            raise RefusedError("this node is closing")
        peer = self._key_owners.get(spki_hash)
        if peer is None:
            raise RefusedError(f"the key {spki_hash.hex()} is not registered")
        if link.dialled is not None and peer != link.dialled:
            raise RefusedError(f"it showed the key of {peer}, not of {link.dialled}")
        if self._ban_left_s(peer) > 0:
            raise RefusedError(f"{peer} is banned")
        if sum(other.peer == peer for other in self._alive) >= self._budgets.connections_max:
            raise RefusedError(f"{peer} has {self._budgets.connections_max} connections already")
        return peer, self.counters[peer]

    def link_up(self, link: Link) -> None:
        """Put a new connection in the place of an older one, if there is one."""
        assert link.peer is not None
        if (old := self._links.get(link.peer)) is not None:
            self._drop(old, "replaced by a new connection")
        self._links[link.peer] = link
        self._call(self._on_connected, link.peer)

    def link_message(self, link: Link, message: bytes) -> None:
        """Pass a message on."""
        assert link.peer is not None
        self._call(self._on_message, link.peer, message)

    def link_misbehaved(self, link: Link, reason: str) -> None:
        """Count a broken frame as a bad message: no honest peer sends one."""
        assert link.peer is not None
        logger.warning("closing the connection with %s: %s", link.peer, reason)
        self.penalise(link.peer)

    def link_down(self, link: Link) -> None:
        """Forget a connection."""
        del self._alive[link]
        self._dirty.pop(link, None)
        if link.was_up:
            self._forget(link)
        elif not self._closing:
            self.totals.refused += 1
            if link.dialled is None:
                logger.warning("refused a connection from %s: %s", link.address, link.reason)

    # Connecting.

    def _take_peers(self, peers: Mapping[CreditCode, PeerAddress], certificates_pem: Iterable[bytes]) -> None:
        if self.me in peers:
            raise ValueError(f"{self.me} is not its own peer")
        owners: dict[Digest, CreditCode] = {}
        for peer, address in peers.items():
            for key in {address.spki_hash, address.next_spki_hash or address.spki_hash}:
                if (other := owners.setdefault(key, peer)) != peer:
                    raise ValueError(f"{other} and {peer} show the same key {key.hex()}")
        # Each end trusts only those it can meet there, and nobody whose key is not registered. It also halves the time
        # a node needs for its contexts, in which OpenSSL's decoding of certificates is nearly everything.
        dialling: list[bytes] = []
        dialled: list[bytes] = []
        missing = set(peers)
        for certificate in certificates_pem:
            if (owner := owners.get(certificate_spki_hash(certificate))) is not None:
                (dialling if owner < self.me else dialled).append(certificate)
                missing.discard(owner)
        if missing:
            raise ValueError(f"there is no certificate for a key of {', '.join(sorted(missing))}")
        self._server_context = server_context(self._identity, dialling)
        self._client_context = client_context(self._identity, dialled)
        self._peers = dict(peers)
        self._key_owners = owners
        for peer in peers:
            self.counters.setdefault(peer, PeerCounters())

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._handshakes.acquire()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._handshakes.release()
                logger.warning("cannot accept peers: %s", error)
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            await loop.connect_accepted_socket(self._answer, connection)

    def _answer(self) -> Link:
        link = Link(self, self._server_context, self._budgets, dialled=None)
        link.settled.add_done_callback(lambda _: self._handshakes.release())
        self._alive[link] = None
        return link

    def _dial_all(self) -> None:
        if self._finished is None or self._closing:
            return
        for peer in self._peers:
            if peer > self.me and peer not in self._dialling:
                self._dialling[peer] = self._spawn(self._keep_dialling(peer), f"dial {peer}")

    async def _keep_dialling(self, peer: CreditCode) -> None:
        """Have a connection with `peer`, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        attempt, last_reason = 0, ""
        while True:
            while (left := self._ban_left_s(peer)) > 0:
                await asyncio.sleep(left)
            async with self._dials:
                link, reason = await self._dial(peer)
            if link is not None:
                came_up = loop.time()
                await asyncio.shield(link.closed)
                reason = link.reason
                # A peer that takes a connection only to drop it is not dialled ever faster.
                if loop.time() - came_up > self._budgets.redial_max_s:
                    attempt = 0
            # A peer that is switched off would otherwise fill the log with one sentence.
            logger.log(
                logging.DEBUG if reason == last_reason else logging.WARNING, "no connection to %s: %s", peer, reason
            )
            last_reason = reason
            await asyncio.sleep(self._budgets.redial_s(attempt, self._jitter()))
            attempt += 1

    async def _dial(self, peer: CreditCode) -> tuple[Link | None, str]:
        """Return a connection that is up, or why there is none."""
        loop = asyncio.get_running_loop()
        address = self._peers[peer]
        link = Link(self, self._client_context, self._budgets, dialled=peer)

        def begin() -> Link:
            self._alive[link] = None
            return link

        try:
            async with asyncio.timeout(self._budgets.handshake_s):
                await loop.create_connection(begin, address.host, address.port)
        except TimeoutError:
            return None, f"{address.host}:{address.port} does not answer"
        except OSError as error:
            return None, f"{address.host}:{address.port}: {error.strerror or error}"
        # The link bounds the handshake itself.
        if await asyncio.shield(link.settled):
            return link, ""
        await asyncio.shield(link.closed)
        return None, link.reason

    # The rest.

    def _queue_for(self, peers: Iterable[CreditCode], message: bytes) -> int:
        if not message:
            raise ValueError("an empty message would be taken for a greeting")
        frame = encode_frame(message)
        count = 0
        for peer in peers:
            if (link := self._links.get(peer)) is not None:
                link.enqueue(frame)
                if not self._dirty:
                    # At the end of this turn of the loop: all that is sent until then leaves in one write a peer.
                    asyncio.get_running_loop().call_soon(self._flush)
                self._dirty[link] = None
                count += 1
            elif peer in self.counters:
                self.counters[peer].frames_unsent += 1
        return count

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for link in dirty:
            link.flush()

    def _ban_left_s(self, peer: CreditCode) -> float:
        return self._banned_until.get(peer, 0.0) - asyncio.get_running_loop().time()

    def _drop(self, link: Link, reason: str) -> None:
        """Close a connection at once, and tell the owner now rather than when the socket is gone."""
        link.abort(reason)
        self._forget(link)

    def _forget(self, link: Link) -> None:
        if link.peer is not None and self._links.get(link.peer) is link:
            del self._links[link.peer]
            self._call(self._on_disconnected, link.peer)

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Call the owner, and let nothing it raises reach the event loop, which would only log it."""
        if self._closing:
            return
        try:
            callback(*arguments)
        except InvariantBrokenError as error:
            self._fail(error)
        except Exception:
            self.totals.callback_failures += 1
            logger.exception("a callback of the peer network failed")

    def _fail(self, error: BaseException) -> None:
        """Go silent at once, and hand the error to whoever waits."""
        self._closing = True
        self._cancel_tasks()
        for link in list(self._alive):
            link.abort("this node has failed")
        if self._finished and not self._finished.done():
            self._finished.set_exception(error)

    def _cancel_tasks(self) -> list[asyncio.Task[None]]:
        tasks = [*self._dialling.values(), *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        return tasks

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # Without this task the node would be deaf and nobody would know.
            self._fail(error)
