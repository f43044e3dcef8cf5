"""What a register's queries see: a state that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

from ledger.encoding import Canonical

T = TypeVar("T", bound=Canonical)


class Reader(Protocol):
    """The read side of `ledger.state.store.State`."""

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """Return the value under `key`, or None."""

    def items(self, prefix: bytes = b"") -> Iterator[tuple[bytes, Canonical]]:
        """Yield keys that begin with `prefix` and their values, ascending."""
