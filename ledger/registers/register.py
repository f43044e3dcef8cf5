"""What a register is, and the rulebook that all registers make together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, cast

from ledger.blocks.genesis import Genesis
from ledger.blocks.record import Record
from ledger.blocks.refusals import EnvelopeRefusal, RecordRefusal, RefusalCode
from ledger.encoding import Canonical, Decoder
from ledger.errors import DecodeError, OversizeError
from ledger.limits import RECORD_BYTES_MAX
from ledger.registers.context import Context
from ledger.registers.deadlines import Deadline
from ledger.registers.shared import ReferenceRefusal

Rule = Callable[[Any, Context], None]
"""Executes one record: puts what it changes, or raises `Refused`."""

DeadlineRule = Callable[[bytes, Context], None]
"""Executes one deadline that passed: its argument is the subject, a state key of the register. It cannot refuse."""


def _found_nothing(genesis: Genesis) -> Iterable[tuple[bytes, Canonical]]:
    return ()


def _codes_of(enums: Iterable[type[RefusalCode]]) -> Iterable[RefusalCode]:
    for enum in enums:
        yield from enum


@dataclass(frozen=True, kw_only=True)
class Register:
    """One part of the state with its rules. All its state keys begin with its name and a slash."""

    name: str
    description: str
    """One sentence, for documents."""
    rules: Mapping[type[Record], Rule]
    values: tuple[type[Canonical], ...]
    """Every kind of value that belongs to it."""
    codes: type[RefusalCode]
    found: Callable[[Genesis], Iterable[tuple[bytes, Canonical]]] = _found_nothing
    """The register's state at genesis, as pairs of key and value."""
    deadline_rule: DeadlineRule | None = None


class Rulebook:
    """Some registers together: their records by tag, their rules by record, their codes by number.

    Args:
        registers: In the order of their documentation.

    Raises:
        ValueError: Two of them claim a name, a tag, a number or a label.
    """

    def __init__(self, registers: Sequence[Register]) -> None:
        self.registers = tuple(registers)
        _require_distinct("register", (r.name for r in registers))
        rules = [(kind, rule) for register in registers for kind, rule in register.rules.items()]
        _require_distinct("record", (_tag_of(kind) for kind, _ in rules))
        self.rules: Mapping[type[Record], Rule] = dict(rules)
        self.deadline_rules: Mapping[bytes, DeadlineRule] = {
            register.name.encode(): register.deadline_rule
            for register in registers
            if register.deadline_rule is not None
        }
        codes = list(_codes_of((EnvelopeRefusal, RecordRefusal, ReferenceRefusal, *(r.codes for r in registers))))
        _require_distinct("code number", (str(code.number) for code in codes))
        _require_distinct("code label", (code.label for code in codes))
        self.codes: Mapping[int, RefusalCode] = {code.number: code for code in codes}
        # msgspec tells the members of a union apart by their tags, in one look-up whatever their number.
        self._records = Decoder(reduce(or_, self.rules))
        values: Any = reduce(or_, (value for register in registers for value in register.values), Deadline)
        self._values = Decoder(values)

    def decode_record(self, raw: bytes) -> Record:
        """Return the record whose canonical bytes are `raw`.

        Raises:
            OversizeError: Longer than any record may be. Nothing was parsed.
            DecodeError: Not the canonical form of any kind of record in this rulebook.
        """
        if len(raw) > RECORD_BYTES_MAX:
            raise OversizeError("record", size=len(raw), size_max=RECORD_BYTES_MAX)
        return cast(Record, self._records.decode(raw))

    def decode_records(self, raws: Sequence[bytes], doubtful: Collection[int] | None = None) -> list[Record | None]:
        """Return for each what `decode_record` returns, or None where it raises.

        Args:
            doubtful: As for `ledger.encoding.Decoder.decode_all`.
        """
        if max(map(len, raws), default=0) <= RECORD_BYTES_MAX:
            records: list[Record | None] | None = self._records.decode_all(raws, doubtful)
            if records is not None:
                return records
        return [self._record_or_none(raw) for raw in raws]

    def parse_records(self, raws: Sequence[bytes], not_records: Collection[int]) -> list[Record | None]:
        """Return what `decode_records` has returned for these bytes, without looking for mistakes again.

        Args:
            not_records: Positions where it has returned None.
        """
        if not not_records:
            return self._records.parse_all(raws)
        parsed = iter(self._records.parse_all([raw for at, raw in enumerate(raws) if at not in not_records]))
        return [None if at in not_records else next(parsed) for at in range(len(raws))]

    def _record_or_none(self, raw: bytes) -> Record | None:
        try:
            return self.decode_record(raw)
        except DecodeError:
            return None

    def decode_value(self, raw: bytes) -> Canonical:
        """Return the state value of any register, or the deadline, whose canonical bytes are `raw`.

        Raises:
            DecodeError: Not the canonical form of any kind of value in this rulebook.
        """
        return cast(Canonical, self._values.decode(raw))

    def code_of(self, number: int) -> RefusalCode:
        """Return the code with this number.

        Raises:
            KeyError: No such refusal; 0 is none.
        """
        return self.codes[number]

    def found(self, genesis: Genesis) -> dict[bytes, Canonical]:
        """Return the state at genesis, by key."""
        return {key: value for register in self.registers for key, value in register.found(genesis)}


def _tag_of(kind: type[Canonical]) -> str:
    return str(kind.__struct_config__.tag)


def _require_distinct(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two registers claim the {what} {name}")
        seen.add(name)
