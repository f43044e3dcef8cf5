"""The city as typed values: its departments, what they answer for, and how much they do in a day.

They are read and checked by `scenarios.beijing.city_files`: whoever holds a `City` holds one that fits together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Literal

from ledger.identifiers import CreditCode
from ledger.members.calendar import Calendar
from ledger.members.founding import MemberProfile

ROLES = frozenset({"department", "registrar", "directory_authority", "auditor", "provider"})


@dataclass(frozen=True, slots=True)
class DepartmentRow:
    """A member of the network: a department with a vote, or an organisation that only takes part."""

    rank: int
    """1 to 57, without gaps; small networks take the first ranks."""
    code: str
    """Short code, for example `AY`."""
    kind: Literal["validator", "member"]
    name_zh: str
    name_en: str
    name_2020_zh: str
    """Name before the reorganisations since 2020, empty if it is unchanged."""
    uscc: CreditCode
    roles: frozenset[str]
    data_sets: int
    """Open data sets; 0 for members without a vote. Their share is the department's share of the work on data."""

    @property
    def profile(self) -> MemberProfile:
        """The member as a network is founded by it."""
        return MemberProfile(
            credit_code=self.uscc,
            code=self.code,
            name_zh=self.name_zh,
            name_en=self.name_en,
            name_before=self.name_2020_zh,
            roles=self.roles,
        )


@dataclass(frozen=True, slots=True)
class ResponsibilityRow:
    """One statutory function of a department."""

    id: str
    department: str
    """Code of the department."""
    name_zh: str
    name_en: str
    source: Literal["law", "assumption"]


@dataclass(frozen=True, slots=True)
class DataItemRow:
    """A data item that a department produces by exercising a responsibility."""

    id: str
    responsibility: str
    name_zh: str
    name_en: str
    sharing_type: Literal[1, 2, 3]
    """1 unconditional, 2 conditional, 3 not shared."""
    condition: str
    """What a request must show; empty exactly for unconditional items."""
    mode: Literal["database", "file", "service"]
    update_cycle: Literal["real-time", "daily", "weekly", "monthly", "quarterly", "yearly", "irregular"]


@dataclass(frozen=True, slots=True)
class CertificateTypeRow:
    """A type of e-certificate, and the department that issues it."""

    code: str
    """21 characters: credit code of the defining body and 3 digits."""
    department: str
    responsibility: str
    """One of the department's own."""
    name_zh: str
    name_en: str
    holder: Literal["organ", "person", "thing"]
    term: str
    """`open` or an ISO 8601 duration, as in `ledger.members.calendar.add_term`."""
    handling_working_days: int
    """0 means on the spot."""
    weight: int
    """Share in the certificates of a day, relative to the other types."""
    source: Literal["law", "assumption"]


@dataclass(frozen=True, slots=True)
class DistrictRow:
    """A district by its GB/T 2260 code."""

    code: str
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class CalendarRow:
    """A day that differs from Monday to Friday."""

    date: str
    """`2025-10-01`."""
    kind: Literal["holiday", "working"]

    @property
    def working(self) -> bool:
        """Whether the day is worked."""
        return self.kind == "working"


@dataclass(frozen=True, slots=True)
class DailyCounts:
    """Events of the whole city on one working day."""

    certificate_issues: int
    certificate_changes: int
    certificate_suspensions: int
    certificate_revocations: int
    data_item_versions: int
    share_requests: int
    verifications: int


@dataclass(frozen=True, slots=True)
class PlantedError:
    """Records or envelopes that are wrong on purpose."""

    code: str
    """The refusal code each of them must get, for example `replayed_envelope`."""
    count: int
    place: Literal["execution", "gateway"]
    """Who refuses it: execution, with a result on the ledger, or the gateway before anything is pooled."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How much the city does, and when."""

    start: datetime
    """Where virtual runs begin, with its offset from UTC."""
    utc_offset_hours: int
    per_working_day: DailyCounts
    hours: Mapping[int, int]
    """Percent of a day's events by hour at the offset; they sum to 100."""
    zipf_exponent: float
    """Skew of the requests over data items, in order of their owners' `data_sets`."""
    planted: tuple[PlantedError, ...]

    @property
    def start_ms(self) -> int:
        """`start` in milliseconds since 1970-01-01T00:00Z."""
        return int(self.start.timestamp()) * 1000


@dataclass(frozen=True)
class City:
    """A network's worth of the city: members by rank, and only what those members answer for."""

    departments: tuple[DepartmentRow, ...]
    """Validators first, then the members without a vote."""
    responsibilities: tuple[ResponsibilityRow, ...]
    data_items: tuple[DataItemRow, ...]
    certificate_types: tuple[CertificateTypeRow, ...]
    districts: tuple[DistrictRow, ...]
    calendar_days: tuple[CalendarRow, ...]
    workload: Workload

    @cached_property
    def validators(self) -> tuple[DepartmentRow, ...]:
        """The departments with a vote, by rank."""
        return tuple(row for row in self.departments if row.kind == "validator")

    @cached_property
    def members(self) -> tuple[DepartmentRow, ...]:
        """The members without a vote, by rank."""
        return tuple(row for row in self.departments if row.kind == "member")

    @cached_property
    def calendar(self) -> Calendar:
        """The working days of the city."""
        exceptions = {row.date: row.working for row in self.calendar_days}
        return Calendar(exceptions, utc_offset_hours=self.workload.utc_offset_hours)

    @cached_property
    def _departments_by_code(self) -> Mapping[str, DepartmentRow]:
        return {row.code: row for row in self.departments}

    @cached_property
    def _owners(self) -> Mapping[str, DepartmentRow]:
        return {row.id: self._departments_by_code[row.department] for row in self.responsibilities}

    def department(self, code: str) -> DepartmentRow:
        """Return the member with this short code; `KeyError` if it is not part of this city."""
        return self._departments_by_code[code]

    def owner_of(self, responsibility: str) -> DepartmentRow:
        """Return the member that has this responsibility; `KeyError` if nobody here has it."""
        return self._owners[responsibility]

    def with_role(self, role: str) -> tuple[DepartmentRow, ...]:
        """Return the members with a role, by rank. A small network may have no auditor."""
        return tuple(row for row in self.departments if role in row.roles)

    def first(self, n: int) -> City:
        """Return the city of the first `n` validators by rank and all members without a vote.

        Responsibilities, data items and certificate types of everybody else are left out. The workload stays that of
        the whole city: what share of it a part takes is for the scenario to say.

        Raises:
            ValueError: There are fewer validators, or `n` is not positive.
        """
        if not 1 <= n <= len(self.validators):
            raise ValueError(f"a network takes 1 to {len(self.validators)} departments, not {n}")
        departments = self.validators[:n] + self.members
        kept = {row.code for row in departments}
        responsibilities = tuple(row for row in self.responsibilities if row.department in kept)
        exercised = {row.id for row in responsibilities}
        return replace(
            self,
            departments=departments,
            responsibilities=responsibilities,
            data_items=tuple(row for row in self.data_items if row.responsibility in exercised),
            certificate_types=tuple(row for row in self.certificate_types if row.department in kept),
        )
