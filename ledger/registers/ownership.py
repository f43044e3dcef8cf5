"""Who owns what, now.

Responsibilities have an owner; data items, tables and types of certificates follow theirs. They keep the name of who
published them and are asked through these functions who owns them, so that a reorganisation moves a responsibility and
everything that rests on it in one value, however much that is.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from ledger.encoding import Canonical
from ledger.errors import InvariantBrokenError
from ledger.members.departments import CreditCodeText
from ledger.registers.shared import Responsibility, ResponsibilityId, responsibility_key

T = TypeVar("T", bound=Canonical)


class Values(Protocol):
    """A state, as rules and queries have it."""

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """Return the value under `key`, or None."""


class Grounded(Protocol):
    """A data item, or whatever else rests on responsibilities, the leading one first."""

    @property
    def responsibilities(self) -> tuple[ResponsibilityId, ...]:
        """At least one, each of which was approved once."""


def owner_of(item: Grounded, values: Values) -> CreditCodeText:
    """Return the one department that owns a data item now: whoever has the first of its responsibilities."""
    return ground(item.responsibilities[0], values).department


def ground(name: ResponsibilityId, values: Values) -> Responsibility:
    """Return the responsibility that something rests on; its department owns what does, whether it counts or not."""
    responsibility = values.get(responsibility_key(name), Responsibility)
    if responsibility is None:
        raise InvariantBrokenError(f"something rests on the responsibility {name}, which was never published")
    return responsibility
