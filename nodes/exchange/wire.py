"""A connection of the exchange: mutual TLS 1.3 on a blocking socket, frames of the peer protocol on it.

Not the connection that consensus uses, and not its event loop: a thread that waits for a slow reader holds up nothing
but itself, and TCP tells the sender to wait. The keys are the same, the protocol's name is another, so neither listener
takes the other's connections.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from ledger.encoding import Canonical, Decoder
from ledger.errors import DecodeError
from ledger.identifiers import CreditCode, Digest
from ledger.limits import FRAME_BYTES_MAX
from nodes.exchange.errors import ConnectionCutError
from nodes.transport.framing import PREFIX_BYTES, encode_frame
from nodes.transport.tls import TlsIdentity, client_context, peer_spki_hash, server_context

PROTOCOL = "mulu-exchange/1"

HANDSHAKE_S = 5.0
"""From the first byte until the other end is known."""

SILENCE_S = 60.0
"""Longest time that one read or write may take. A provider that reads rows says so more often than that."""


@dataclass(frozen=True, slots=True)
class ExchangeAddress:
    """Where a department's exchange listens, and which key it shows."""

    host: str
    port: int
    spki_hash: Digest


class ExchangeKeys:
    """This node's identity, and whose keys it knows."""

    def __init__(
        self, identity: TlsIdentity, owners: Mapping[Digest, CreditCode], certificates_pem: Iterable[bytes]
    ) -> None:
        """Args: `owners` and `certificates_pem` are of all other nodes, by the hash of their key."""
        self._identity = identity
        self._owners = dict(owners)
        self._certificates = tuple(certificates_pem)

    # Made when they are first needed, on the thread that needs them: OpenSSL takes its time over 52 certificates, and
    # many a node never exchanges anything. Two threads may make one each, and either serves.

    @cached_property
    def _server(self) -> ssl.SSLContext:
        return server_context(self._identity, self._certificates, PROTOCOL)

    @cached_property
    def _client(self) -> ssl.SSLContext:
        return client_context(self._identity, self._certificates, PROTOCOL)

    def answer(self, connection: socket.socket) -> tuple[CreditCode, Wire]:
        """Shake hands with who has connected; return who it is.

        Raises:
            ConnectionCutError: It is nobody known, or it went away.
        """
        return self._shake_hands(connection, self._server, server_side=True)

    def dial(self, address: ExchangeAddress) -> Wire:
        """Connect to a node, and check that it is the one that was meant.

        Raises:
            ConnectionCutError: It does not answer, or shows another key.
        """
        where = f"{address.host}:{address.port}"
        try:
            connection = socket.create_connection((address.host, address.port), HANDSHAKE_S)
        except OSError as error:
            raise ConnectionCutError(f"{where} does not answer: {error.strerror or error}") from error
        owner, wire = self._shake_hands(connection, self._client, server_side=False)
        if owner != self._owners[address.spki_hash]:
            wire.close()
            raise ConnectionCutError(f"{where} shows the key of {owner}")
        return wire

    def _shake_hands(
        self, connection: socket.socket, context: ssl.SSLContext, *, server_side: bool
    ) -> tuple[CreditCode, Wire]:
        try:
            connection.settimeout(HANDSHAKE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = context.wrap_socket(connection, server_side=server_side)
        except OSError as error:
            connection.close()
            raise ConnectionCutError(f"no handshake: {error.strerror or error}") from error
        try:
            owner = self._owners.get(peer_spki_hash(secured, PROTOCOL))
        except ssl.SSLError as error:
            secured.close()
            raise ConnectionCutError(f"no handshake: {error}") from error
        if owner is None:
            secured.close()
            raise ConnectionCutError("the key of the other end is not registered")
        secured.settimeout(SILENCE_S)
        return owner, Wire(secured)


class Wire:
    """Frames over a connection that both ends know each other on."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, message: bytes) -> None:
        """Send one message.

        Raises:
            ConnectionCutError: The other end is gone, or does not read.
        """
        try:
            self._connection.sendall(encode_frame(message))
        except OSError as error:
            raise ConnectionCutError(f"the other end does not take it: {error}") from error

    def receive(self) -> bytes:
        """Return the next message.

        Raises:
            ConnectionCutError: The other end is gone, silent for too long, or sends what is no frame.
        """
        size = int.from_bytes(self._exactly(PREFIX_BYTES), "big")
        if size > FRAME_BYTES_MAX:
            raise ConnectionCutError(f"a frame of {size} bytes is announced; at most {FRAME_BYTES_MAX} are taken")
        return bytes(self._exactly(size))

    def tell(self, message: Canonical) -> None:
        """Send one of the values of `nodes.exchange.messages`."""
        self.send(message.encode())

    def hear(self, decoder: Decoder) -> Any:
        """Return the next message as one of the values that may come now.

        Raises:
            ConnectionCutError: As `receive`; or it is none of them.
        """
        try:
            return decoder.decode(self.receive())
        except DecodeError as error:
            raise ConnectionCutError(f"the other end sends what does not belong here: {error}") from error

    def close(self) -> None:
        """Close at once; a thread that waits here is woken. Doing it twice does no harm."""
        with contextlib.suppress(OSError):
            # Without this, a thread in `recv` would go on waiting for a descriptor that is gone.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exactly(self, size: int) -> bytearray:
        buffer = bytearray(size)
        filled = 0
        with memoryview(buffer) as view:
            while filled < size:
                try:
                    count = self._connection.recv_into(view[filled:])
                except OSError as error:
                    raise ConnectionCutError(f"the connection broke: {error}") from error
                if not count:
                    raise ConnectionCutError("the other end closed the connection")
                filled += count
        return buffer
