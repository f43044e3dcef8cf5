"""TLS without I/O: ciphertext in, plaintext out, and the other way round.

`asyncio` has TLS of its own, but it hides what a network among equals needs to see and to bound: connections that are
still shaking hands, the moment the other end is known, the bytes that wait. It also keeps a buffer of 256 KiB for each
connection, which is 700 MiB for 53 nodes on one machine. Here one scratch buffer serves all connections of a process.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

RECORD_BYTES_MAX = 16_384
"""Plaintext in one TLS record (RFC 8446, 5.1): more is never read or written at once."""

_scratch = memoryview(bytearray(RECORD_BYTES_MAX))
"""Holds one record between decryption and its reader. Shared: each record is used up before the next is decrypted."""


class TlsChannel:
    """One end of a TLS connection over bytes. After every call, send what `take_outgoing` returns."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)

    def receive(self, ciphertext: bytes | memoryview) -> None:
        """Add what came from the network."""
        self._incoming.write(ciphertext)

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as what was received allows; return whether it is finished.

        Raises:
            ssl.SSLError: The other end broke the protocol or is not trusted. An alert for it waits in `take_outgoing`.
        """
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> Iterator[memoryview]:
        """Yield the plaintext of whole records received; each view is valid until the next is asked for.

        Raises:
            EOFError: The other end said that it has finished.
            ssl.SSLError: The ciphertext was tampered with, or an alert came.
        """
        while True:
            try:
                # With a buffer the call returns a count; the type stubs know only the form without one.
                size = cast(int, self.tls.read(RECORD_BYTES_MAX, _scratch))
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                raise EOFError("the peer closed the connection") from None
            if not size:
                raise EOFError("the peer closed the connection")
            yield _scratch[:size]

    def write(self, plaintext: bytes | memoryview) -> None:
        """Encrypt `plaintext`, all of it. The handshake is finished."""
        with memoryview(plaintext) as view:
            start = 0
            while start < len(view):
                start += self.tls.write(view[start:])

    def finish(self) -> None:
        """Say goodbye to the other end, without waiting for its answer: frames show by themselves where they end."""
        # Waiting for the answer is reported as an error, and so is a handshake that never came to an end.
        with suppress(ssl.SSLError):
            self.tls.unwrap()

    def take_outgoing(self) -> bytes:
        """Return the ciphertext that waits to be sent, and forget it."""
        return self._outgoing.read()
