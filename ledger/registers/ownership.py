"""Who owns what, now.

Responsibilities have an owner; data items, tables and types of certificates follow theirs. They keep the name of who
published them and are asked through these functions who owns them, so that a reorganisation moves a responsibility and
everything that rests on it in one value, however much that is.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from ledger.encoding import Canonical
from ledger.errors import InvariantBrokenError
from ledger.members.departments import CreditCodeText, Department, department_key
from ledger.registers.catalogue import DataItem, Table, data_item_key
from ledger.registers.shared import Responsibility, ResponsibilityId, responsibility_key

T = TypeVar("T", bound=Canonical)


class Values(Protocol):
    """A state, as rules and queries have it."""

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """Return the value under `key`, or None."""


def owner_of(item: DataItem, values: Values) -> CreditCodeText:
    """Return the one department that owns a data item now: whoever has the first of its responsibilities."""
    return ground(item.responsibilities[0], values).department


def owner_of_table(table: Table, values: Values) -> CreditCodeText:
    """Return the one department that owns a table now: whoever owns its data item."""
    return owner_of(_existing(data_item_key(table.data_item), DataItem, values), values)


def ground(name: ResponsibilityId, values: Values) -> Responsibility:
    """Return the responsibility that something rests on; its department owns what does, whether it counts or not."""
    # Asked for nearly every record, and so without a call in between.
    if (responsibility := values.get(responsibility_key(name), Responsibility)) is None:
        raise _missing(responsibility_key(name))
    return responsibility


def has_ended(credit_code: CreditCodeText, values: Values) -> bool:
    """Return whether a reorganisation has ended this department, which can answer for nothing any more."""
    return _existing(department_key(credit_code), Department, values).valid_to is not None


def stands_in(department: CreditCodeText, owner: CreditCodeText, values: Values) -> bool:
    """Return whether `department` has something of `owner`, which has ended, and so may take what else it left."""
    return has_ended(owner, values) and owner in _existing(department_key(department), Department, values).predecessors


def _existing(key: bytes, kind: type[T], values: Values) -> T:
    value = values.get(key, kind)
    if value is None:
        raise _missing(key)
    return value


def _missing(key: bytes) -> InvariantBrokenError:
    return InvariantBrokenError(f"something rests on {key.decode()}, which is not there")
