"""Taking connections from a listener, as many at once as there is room for. Who comes later waits in the kernel."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator

logger = logging.getLogger(__name__)

ACCEPT_AGAIN_S = 0.5
"""After a failure to accept, of which the usual one is that the process has too many open files just now."""


class Acceptor:
    """Gives one thread the connections of a listener, one after the other, until another thread closes it."""

    def __init__(self, listener: socket.socket, *, at_once: int, of: str) -> None:
        """Args: `listener` is bound and listening, and owned from here on; `of` says in the log who connects."""
        self._listener = listener
        self._room = threading.Semaphore(at_once)
        self._of = of
        self._closing = False

    def __iter__(self) -> Iterator[socket.socket]:
        """Yield each connection once there is room for it. It takes that room until `served`."""
        while True:
            self._room.acquire()
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                self._room.release()
                if self._closing:
                    return
                logger.warning("cannot accept %s: %s", self._of, error)
                time.sleep(ACCEPT_AGAIN_S)
                continue
            yield connection

    def served(self) -> None:
        """Make room for another connection: one has ended."""
        self._room.release()

    def close(self) -> None:
        """Accept nothing more. The connections that are open stay so."""
        self._closing = True
        with contextlib.suppress(OSError):
            # Wakes the thread that accepts; closing alone does not.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
