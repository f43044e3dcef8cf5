"""One at a time under each grant, or at each place, and nobody waits: who comes second is told so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nodes.exchange.errors import DeliveryBusyError


class Turns:
    """Which grants, or places, somebody is at now. Used from any thread."""

    def __init__(self, relation: str = "under") -> None:
        """Args: `relation` of a delivery to a name: "under" a grant, "to" a place."""
        self._relation = relation
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Be the only one there.

        Raises:
            DeliveryBusyError: Somebody is.
        """
        with self._lock:
            if name in self._taken:
                raise DeliveryBusyError(f"a delivery {self._relation} {name} is under way already")
            self._taken.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._taken.remove(name)
