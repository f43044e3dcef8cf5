"""Days, working days and terms: how the ledger turns "ten working days" and "five years" into a last day.

A day is a calendar date at the network's fixed offset from UTC, held as the number of days since 1970-01-01. Days run
from midnight to midnight there; there is no daylight saving. Which days are worked is ledger data from genesis, so that
every member finds the same deadline.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Mapping
from datetime import MAXYEAR, date
from functools import lru_cache
from itertools import accumulate
from typing import NewType

from ledger.errors import InvalidInputError

Day = NewType("Day", int)
"""Days since 1970-01-01, which is 0."""

OPEN = "open"
"""The term of what is valid until somebody ends it."""

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MONDAY_OFFSET = 3  # 1970-01-01 was a Thursday: day + 3 is a multiple of 7 on Mondays.
_TERM = re.compile(r"P([1-9][0-9]{0,3})([YMD])")


class CalendarError(InvalidInputError):
    """A day or a term is not written as this ledger writes it, or reaches beyond the year 9999."""

    code = "bad_date"


def parse_day(text: str) -> Day:
    """Read a day in its one spelling, `2025-10-01`.

    Raises:
        CalendarError: Another spelling (ISO 8601 has several), or no such day.
    """
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        raise CalendarError(f"expected a day as YYYY-MM-DD, got {text!r}") from None
    if parsed.isoformat() != text:
        raise CalendarError(f"expected a day as {parsed.isoformat()}, got {text!r}")
    return _day_of(parsed)


@lru_cache(maxsize=256)
def format_day(day: Day) -> str:
    """Return the day as `2025-10-01`; a block asks for today again and again."""
    return _date_of(day).isoformat()


def check_term(term: str) -> None:
    """Check that a term is one that `add_term` knows.

    Raises:
        CalendarError: It is not.
    """
    _parse_term(term)


def add_term(day: Day, term: str) -> Day | None:
    """Return the last day on which something is valid that begins on `day`, or None if its end is open.

    A term of years or months ends on the corresponding day of the month it leads to; a month without that day gives its
    own last day. So P1Y from 2025-09-15 ends with 2026-09-15, P1M from 31 January with 28 or 29 February, P1Y from
    29 February with 28 February. A term of days does not count the day it begins on. Ends are not moved to a working
    day.

    Args:
        day: The first day of validity.
        term: `open`, or an ISO 8601 duration of one unit, years, months or days: `P5Y`, `P6M`, `P30D`; 1 to 9999.

    Raises:
        CalendarError: Another term, or an end beyond the year 9999.

    Source: Civil Code of the People's Republic of China, articles 201 and 202.
    """
    if (parsed := _parse_term(term)) is None:
        return None
    months, days = parsed
    start = _date_of(day)
    year, month_from_0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    if year > MAXYEAR or day + days > _LAST_DAY:
        raise CalendarError(f"{term} from {start.isoformat()} ends beyond the year {MAXYEAR}")
    month = month_from_0 + 1
    corresponding = date(year, month, min(start.day, monthrange(year, month)[1]))
    return Day(_day_of(corresponding) + days)


@lru_cache(maxsize=256)
def _parse_term(term: str) -> tuple[int, int] | None:
    """Return months and days, one of which is 0; None for an open term."""
    if term == OPEN:
        return None
    if not (match := _TERM.fullmatch(term)):
        raise CalendarError(f"expected a term as PnY, PnM, PnD or {OPEN!r} with n from 1 to 9999, got {term!r}")
    count, unit = int(match[1]), match[2]
    return {"Y": (12 * count, 0), "M": (count, 0), "D": (0, count)}[unit]


class Calendar:
    """Monday to Friday, except on the days that are listed.

    Working days are counted, never walked: the count up to a day is arithmetic over whole weeks plus a running sum over
    the exceptions, and a deadline is found in it by bisection. O(log exceptions) for each question; values never change
    after construction.
    """

    __slots__ = ("_changed_days", "_changed_sums", "_exceptions", "_offset_ms")

    def __init__(self, exceptions: Mapping[str, bool], *, utc_offset_hours: int) -> None:
        """Take the days that may differ from Monday to Friday.

        Args:
            exceptions: By day (`2025-10-01`): True if it is worked, False if it is a holiday. A listed day that agrees
                with its weekday changes nothing.
            utc_offset_hours: Where a day begins; 8 for Beijing. -12 to 14.

        Raises:
            CalendarError: A day has another spelling.
        """
        if not -12 <= utc_offset_hours <= 14:
            raise ValueError(f"no place on earth is {utc_offset_hours} hours from UTC")
        self._offset_ms = utc_offset_hours * _HOUR_MS
        self._exceptions = {parse_day(text): working for text, working in exceptions.items()}
        changes = sorted(
            (day, 1 if working else -1) for day, working in self._exceptions.items() if working != _is_weekday(day)
        )
        self._changed_days = [day for day, _ in changes]
        self._changed_sums = list(accumulate((change for _, change in changes), initial=0))

    def is_working_day(self, day: Day) -> bool:
        """Return whether this is a working day: what the calendar says, or else Monday to Friday."""
        return self._exceptions.get(day, _is_weekday(day))

    def day_at(self, time_ms: int) -> Day:
        """Return the day on which this moment falls, from milliseconds since 1970-01-01T00:00Z."""
        return Day((time_ms + self._offset_ms) // _DAY_MS)

    def end_of_day_ms(self, day: Day) -> int:
        """Return the last millisecond that belongs to the day; the next one is midnight and belongs to the next."""
        return (day + 1) * _DAY_MS - self._offset_ms - 1

    def due_day(self, received: Day, working_days: int) -> Day:
        """Return the k-th working day after the day of receipt, which is not counted; the same day for k = 0."""
        if working_days < 0:
            raise ValueError(f"a deadline lies {working_days} working days ahead")
        if working_days == 0:
            return received
        target = self._count_until(received) + working_days
        # Each seven days have five weekdays, and all holidays of the calendar together take at most their number.
        weeks_max = -(-(working_days + len(self._changed_days)) // 5)
        candidates = range(received + 1, received + 7 * weeks_max + 1)
        return Day(candidates[bisect_left(candidates, target, key=self._count_until)])

    def due_ms(self, received_ms: int, working_days: int) -> int:
        """Return the deadline of a request, in milliseconds since 1970-01-01T00:00Z.

        An answer is in time if its block's time is `<=` the deadline: the deadline is the last millisecond of the k-th
        working day after the day of the request.

        Args:
            received_ms: Time of the block in which the request executed.
            working_days: k, 0 or more. 0 means by the end of the same day, worked or not.
        """
        return self.end_of_day_ms(self.due_day(self.day_at(received_ms), working_days))

    def _count_until(self, day: int) -> int:
        """Return the number of working days up to and including `day`, from a fixed Monday on (before it, negative)."""
        weeks, weekday = divmod(day + _MONDAY_OFFSET, 7)
        return 5 * weeks + min(weekday + 1, 5) + self._changed_sums[bisect_right(self._changed_days, day)]


def _is_weekday(day: int) -> bool:
    return (day + _MONDAY_OFFSET) % 7 < 5


def _date_of(day: Day) -> date:
    return date.fromordinal(day + _EPOCH_ORDINAL)


def _day_of(value: date) -> Day:
    return Day(value.toordinal() - _EPOCH_ORDINAL)


_LAST_DAY = _day_of(date.max)
