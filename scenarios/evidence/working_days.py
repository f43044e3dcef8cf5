"""Working days, walked one by one: the definition of a deadline, beside the ledger's arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """Monday to Friday, but for the days of a list."""

    exceptions: Mapping[date, bool]
    """True if the day is worked, False if it is a holiday."""
    utc_offset_hours: int
    """Where a day begins."""

    def is_worked(self, day: date) -> bool:
        """Return whether this is a working day."""
        return self.exceptions.get(day, day.weekday() < 5)

    def last_day(self, received: date, working_days: int) -> date:
        """Return the k-th working day after the day of receipt, which does not count."""
        day = received
        while working_days:
            day += timedelta(days=1)
            working_days -= self.is_worked(day)
        return day

    def day_of(self, time_ms: int) -> date:
        """Return the day on which a moment falls, from Unix time in milliseconds."""
        return datetime.fromtimestamp(time_ms / 1_000, self._zone).date()

    def due_ms(self, received_ms: int, working_days: int) -> int:
        """Return the last millisecond of the k-th working day after the day of receipt, in Unix time."""
        return self.end_ms(self.last_day(self.day_of(received_ms), working_days))

    def end_ms(self, day: date) -> int:
        """Return the last millisecond of a day, in Unix time."""
        after = day + timedelta(days=1)
        midnight = datetime(after.year, after.month, after.day, tzinfo=self._zone)
        return round(midnight.astimezone(UTC).timestamp() * 1_000) - 1

    def between(self, from_ms: int, until_ms: int) -> int:
        """Return how many working days after the day of `from_ms` a moment falls; 0 on the same day."""
        day, last, count = self.day_of(from_ms), self.day_of(until_ms), 0
        while day < last:
            day += timedelta(days=1)
            count += self.is_worked(day)
        return count

    @property
    def _zone(self) -> timezone:
        return timezone(timedelta(hours=self.utc_offset_hours))
