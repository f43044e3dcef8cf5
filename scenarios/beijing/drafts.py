"""Putting the records of a phase into envelopes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ledger.blocks.record import Record
from scenarios.beijing.city import City
from scenarios.beijing.timetable import Slot
from scenarios.simulator.streams import Stream
from scenarios.story import ACCEPTED, Fault, Phase, Submission

Entry = tuple[Record, str]
"""A record and how it must end."""


class Draft:
    """A phase while its records are being written.

    Args:
        envelope_size: Draws how many records the next envelope takes.
        absent: Short code of a department whose node is down, or empty.
    """

    def __init__(
        self,
        city: City,
        name: str,
        slot: Slot,
        draws: Stream,
        envelope_size: Callable[[Stream], int],
        absent: str = "",
    ) -> None:
        self.day = slot.day
        self._city = city
        self._name = name
        self._slot = slot
        self._draws = draws
        self._envelope_size = envelope_size
        self._entries: dict[str, list[Entry]] = {row.code: [] for row in city.departments}
        self._faulty: list[Submission] = []
        self._authority = city.with_role("directory_authority")[0].code
        self._absent = absent

    def add(self, department: str, record: Record, expected: str = ACCEPTED) -> None:
        """Let a department, named by its short code, state a record."""
        self._entries[department].append((record, expected))

    def add_faulty(self, department: str, record: Record, fault: Fault) -> None:
        """Let a department send a record in an envelope of its own that no gateway takes."""
        self._faulty.append(self._submission(department, [(record, fault.value)], fault))

    def finish(self) -> Phase:
        """Return the phase, its submissions in the order of their times."""
        submissions = [
            self._submission(department, entries, None)
            for department, all_entries in self._entries.items()
            for entries in self._envelopes(all_entries)
        ]
        return Phase(
            name=self._name,
            starts_ms=self._slot.starts_ms,
            submissions=tuple(sorted([*submissions, *self._faulty], key=lambda submission: submission.at_ms)),
        )

    def _envelopes(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        left = self._draws.shuffled(entries)
        while left:
            size = self._envelope_size(self._draws)
            yield left[:size]
            left = left[size:]

    def _submission(self, department: str, entries: list[Entry], fault: Fault | None) -> Submission:
        return Submission(
            department=department,
            through=self._gateway_of(department),
            records=tuple(record for record, _ in entries),
            expected=tuple(expected for _, expected in entries),
            fault=fault,
            at_ms=self._slot.draw_ms(self._draws),
        )

    def _gateway_of(self, department: str) -> str:
        """Return its own node, or that of the directory authority if it has none that is up."""
        has_node = self._city.department(department).kind == "validator" and department != self._absent
        return department if has_node else self._authority
