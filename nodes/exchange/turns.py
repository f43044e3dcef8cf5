"""One at a time under each grant, and nobody waits: who comes second is told so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nodes.exchange.errors import DeliveryBusyError


class Turns:
    """Who is at which grant now. Used from any thread."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def at(self, grant: str) -> Iterator[None]:
        """Be the only one at a grant.

        Raises:
            DeliveryBusyError: Somebody is.
        """
        with self._lock:
            if grant in self._taken:
                raise DeliveryBusyError(f"a delivery under {grant} is under way already")
            self._taken.add(grant)
        try:
            yield
        finally:
            with self._lock:
                self._taken.remove(grant)
