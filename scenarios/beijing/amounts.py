"""How much a run does: the city's working day scaled to the departments that take part and to the length of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scenarios.beijing.city import City

ISSUES_OF_CITY = 560
"""Certificates that the whole city issues in a run of unstated length: some for every type, and soon done."""

ISSUES_MIN = 80
"""Below this there would not be enough certificates to show every kind of change on."""

KIND_MIN = 5
"""Each kind of record is seen at least this often."""

SHARE_REQUESTS_MIN = 24
"""Below this some answers would not be seen: refusals, disputes."""

SHIFTS_MIN = 4
"""Half-days that the shortest run has: what is issued in the first is suspended in the next and lifted in the third."""

RECORDS_PER_SHIFT = 400
"""A longer run does not do more in half a day, it takes more of them."""

REPLACEMENTS_PER_1000_ISSUES = 20
COPIES_PER_1000_ISSUES = 20
"""Assumptions; the workload does not say."""

RECORDS_PER_REQUEST = 3
"""A request for data, sometimes an answer, and for each delivery two, if the run lasts: about three."""

RECORDED_VERIFICATIONS = 40
"""One verification in so many is recorded (assumption): most are made offline and nobody hears of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Accepted records of each kind over all shifts of a run."""

    issues: int
    changes: int
    suspensions: int
    lifts: int
    endings: int
    """Of each of the three kinds."""
    replacements: int
    copies: int
    verifications: int
    data_item_versions: int
    share_requests: int
    """Each is followed by an answer, deliveries and more."""
    shifts: int
    """Working half-days."""

    @classmethod
    def of(cls, city: City, whole: City, records: int | None, set_up: int, shifts: int | None = None) -> Amounts:
        """Return the amounts for the departments of `city`.

        Args:
            whole: The city with all its departments: the share of `city` in its work decides.
            records: How many records to submit in all, about; None for the usual number.
            set_up: How many of them precede the first shift.
            shifts: Working half-days, if they are given: data are then shared at the city's full pace, and all else is
                spread over them.
        """
        amounts = cls._of(city, whole, records, set_up)
        if shifts is None:
            return amounts
        per_day = city.workload.per_working_day.share_requests * _data_sets(city) / _data_sets(whole)
        return replace(amounts, shifts=shifts, share_requests=max(KIND_MIN, round(per_day * shifts / 2)))

    @classmethod
    def _of(cls, city: City, whole: City, records: int | None, set_up: int) -> Amounts:
        share = _weight(city) / _weight(whole)
        if records is None:
            return cls._for_issues(city, whole, round(ISSUES_OF_CITY * share))
        planted = sum(error.count for error in city.workload.planted)
        # The mix is nearly proportional to the issues: one step from a sample of it leads to the right number.
        sample = cls._for_issues(city, whole, 10_000)
        return cls._for_issues(city, whole, (records - set_up - planted) * 10_000 // sample.records)

    @classmethod
    def _for_issues(cls, city: City, whole: City, issues: int) -> Amounts:
        issues = max(issues, ISSUES_MIN, 2 * len(city.certificate_types))
        day = city.workload.per_working_day
        data_share = _data_sets(city) * _weight(whole) / (_data_sets(whole) * _weight(city))

        def scaled(per_day: float) -> int:
            return max(KIND_MIN, round(per_day * issues / day.certificate_issues))

        suspensions = scaled(day.certificate_suspensions) + 2
        amounts = cls(
            issues=issues,
            changes=scaled(day.certificate_changes),
            suspensions=suspensions,
            # Some stay suspended.
            lifts=suspensions - 2,
            endings=scaled(day.certificate_revocations / 3),
            replacements=scaled(day.certificate_issues * REPLACEMENTS_PER_1000_ISSUES / 1_000),
            copies=scaled(day.certificate_issues * COPIES_PER_1000_ISSUES / 1_000),
            verifications=scaled(day.verifications / RECORDED_VERIFICATIONS),
            data_item_versions=scaled(day.data_item_versions * data_share),
            share_requests=max(SHARE_REQUESTS_MIN, scaled(day.share_requests * data_share)),
            shifts=SHIFTS_MIN,
        )
        return replace(amounts, shifts=max(SHIFTS_MIN, -(-amounts.records // RECORDS_PER_SHIFT)))

    @property
    def records(self) -> int:
        """All of them, about; a data item's version is published and approved."""
        return (
            self.issues
            + self.changes
            + self.suspensions
            + self.lifts
            + 3 * self.endings
            + self.replacements
            + self.copies
            + self.verifications
            + 2 * self.data_item_versions
            + RECORDS_PER_REQUEST * self.share_requests
        )


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` by weight, at least one for each, by largest remainders; ties go to the first.

    The sum is `total` unless the ones that are due to everybody exceed it.
    """
    whole = sum(weights)
    parts = [max(1, total * weight // whole) for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: max(0, total - sum(parts))]:
        parts[i] += 1
    return parts


def spread(total: int, parts: int) -> list[int]:
    """Split `total` evenly."""
    return [total * (i + 1) // parts - total * i // parts for i in range(parts)]


def _weight(city: City) -> int:
    return sum(row.weight for row in city.certificate_types)


def _data_sets(city: City) -> int:
    return sum(row.data_sets for row in city.departments)
