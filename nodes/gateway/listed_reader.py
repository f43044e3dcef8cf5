"""The state as the registers' queries read it, with keys that the index has listed: no walk over all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import TypeVar

from ledger.encoding import Canonical
from ledger.state.store import State
from nodes.index import queries

T = TypeVar("T", bound=Canonical)

_ALL = 1 << 30


@dataclass(frozen=True, slots=True)
class ListedReader:
    """A `ledger.registers.reader.Reader` for queries that read values under some prefixes alone."""

    state: State
    keys: Mapping[bytes, list[bytes]]
    """Ascending, by prefix; `list_keys` has them."""

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """Return the value under `key`, or None."""
        return self.state.get(key, kind)

    def items(self, prefix: bytes = b"") -> Iterator[tuple[bytes, Canonical]]:
        """Yield the listed keys that begin with `prefix`, which was asked for, and their values."""
        for key in self.keys[prefix]:
            yield key, self.state.values[key]

    def values(self, prefix: bytes, kind: type[T]) -> list[T]:
        """Return the values of `items` that are of this kind."""
        return [value for _, value in self.items(prefix) if isinstance(value, kind)]


def list_keys(connection: Connection, prefixes: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Return all keys of the state that begin with each prefix, as of one block."""
    return {prefix: queries.keys(connection, prefix, b"", _ALL) for prefix in prefixes}
