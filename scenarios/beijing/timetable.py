"""When things happen: set-up on one working day, then half-days at the city's pace; or all of it in a hurry."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.members.calendar import Calendar, Day, format_day
from scenarios.beijing.city import City, Workload
from scenarios.simulator.streams import Stream

HOUR_MS = 3_600_000

NOON_HOUR = 13
"""The hour with which the second half of a working day begins."""
SHIFT_HOURS = 5
"""Longest half of a working day."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The time that one phase has."""

    day: str
    """`2025-09-15`: what is issued in it is valid from this day on."""
    starts_ms: int
    """Unix time before which it does not begin; 0 for as soon as what came before is done."""
    hours: tuple[tuple[int, int], ...]
    """Hours from its start, with their share in percent of a day; empty if all happens at its start."""
    length_ms: int | None
    """Into which the hours are compressed; None for their true length."""

    def draw_ms(self, draws: Stream) -> int:
        """Return a time from the start of the slot, at the city's pace."""
        if not self.hours:
            return 0
        hour = self._hour(draws.below(sum(share for _, share in self.hours)))
        if self.length_ms is None:
            # On the hour gateways send what their offices have put together.
            return hour * HOUR_MS
        return (hour * HOUR_MS + draws.below(HOUR_MS)) * self.length_ms // (SHIFT_HOURS * HOUR_MS)

    def _hour(self, ticket: int) -> int:
        for hour, share in self.hours:
            if (ticket := ticket - share) < 0:
                return hour
        raise ValueError("the ticket is beyond the last share")


def office_hours(city: City, start_ms: int, set_up: int, shifts: int) -> list[Slot]:
    """Return the slots of a run on the virtual clock: `set_up` hours of the first working day, then half-days.

    Args:
        start_ms: Unix time; if its day is not worked, the run begins with the next one that is.
    """
    calendar = city.calendar
    first = _first_day(calendar, start_ms)
    # The first hour is left to the nodes to find each other.
    first_hour = min(city.workload.hours) + 1
    slots = [Slot(format_day(first), _at(calendar, first, first_hour + step), (), None) for step in range(set_up)]
    halves = _halves(city.workload)
    for shift in range(shifts):
        day = calendar.due_day(first, 1 + shift // 2)
        begin, hours = halves[shift % 2]
        slots.append(Slot(format_day(day), _at(calendar, day, begin), hours, None))
    return slots


def half_days_within(city: City, start_ms: int, days: int) -> int:
    """Return how many working half-days follow the day of set-up within `days` calendar days from the start."""
    calendar = city.calendar
    first, last = _first_day(calendar, start_ms), calendar.day_at(start_ms) + days - 1
    return 2 * sum(calendar.is_working_day(Day(day)) for day in range(first + 1, last + 1))


def end_of_days_ms(city: City, start_ms: int, days: int) -> int:
    """Return the last millisecond of the last of `days` calendar days from the start."""
    calendar = city.calendar
    return calendar.end_of_day_ms(Day(calendar.day_at(start_ms) + days - 1))


def _first_day(calendar: Calendar, start_ms: int) -> Day:
    today = calendar.day_at(start_ms)
    return today if calendar.is_working_day(today) else calendar.due_day(today, 1)


def compressed(city: City, start_ms: int, set_up: int, shifts: int, duration_ms: int) -> list[Slot]:
    """Return the slots of a run on the wall clock: set-up at once, then the half-days within `duration_ms`."""
    today = format_day(city.calendar.day_at(start_ms))
    halves = _halves(city.workload)
    slots = [Slot(today, 0, (), None) for _ in range(set_up)]
    return slots + [Slot(today, 0, halves[shift % 2][1], duration_ms // shifts) for shift in range(shifts)]


def _halves(workload: Workload) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """Return for morning and afternoon the hour of the day it begins with, and its hours from there with shares."""
    morning = [hour for hour in sorted(workload.hours) if hour < NOON_HOUR]
    afternoon = [hour for hour in sorted(workload.hours) if hour >= NOON_HOUR]
    return [(half[0], tuple((hour - half[0], workload.hours[hour]) for hour in half)) for half in (morning, afternoon)]


def _at(calendar: Calendar, day: Day, hour: int) -> int:
    midnight_ms = calendar.end_of_day_ms(Day(day - 1)) + 1
    return midnight_ms + hour * HOUR_MS
