"""Deadlines in working days against worked examples and a walk from day to day; terms against the civil code's rule."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.members.calendar import Calendar, CalendarError, Day, add_term, check_term, format_day, parse_day

VECTORS = Path(__file__).parents[1] / "vectors"


def rows(name: str) -> list[dict[str, str]]:
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


BEIJING = timezone(timedelta(hours=8))
EXCEPTIONS = {row["date"]: row["kind"] == "working" for row in rows("calendar.csv")}
CALENDAR = Calendar(EXCEPTIONS, utc_offset_hours=8)

days = st.dates(date(1970, 1, 1), date(2100, 12, 31)).map(lambda value: parse_day(value.isoformat()))
near_days = st.dates(date(2024, 11, 1), date(2026, 12, 31)).map(lambda value: parse_day(value.isoformat()))
calendars = st.dictionaries(
    st.dates(date(2025, 1, 1), date(2025, 3, 31)).map(date.isoformat), st.booleans(), max_size=60
)


def at(text: str) -> int:
    """Milliseconds of a moment written in ISO 8601 with its offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def walk(calendar: Calendar, day: Day, working_days: int) -> Day:
    """The definition: go forward a day at a time and count the working ones."""
    while working_days:
        day = Day(day + 1)
        working_days -= calendar.is_working_day(day)
    return day


@pytest.mark.parametrize("row", rows("deadlines.csv"), ids=lambda row: f"{row['received']}+{row['working_days']}")
@pytest.mark.parametrize("time", ["00:00:00.000", "12:34:56.789", "23:59:59.999"])
def test_the_worked_examples_end_on_their_last_day(row: dict[str, str], time: str) -> None:
    """Whatever the hour of the request, the deadline is the last millisecond of the day worked out by hand."""
    due = CALENDAR.due_ms(at(f"{row['received']}T{time}+08:00"), int(row["working_days"]))
    assert due == at(f"{row['last_day']}T23:59:59.999+08:00")
    assert due + 1 == at(f"{row['last_day']}T00:00:00+08:00") + 86_400_000


@pytest.mark.parametrize("text", EXCEPTIONS)
def test_every_listed_day_is_what_the_list_says(text: str) -> None:
    """An exception wins over the weekday, and each listed day is one."""
    assert CALENDAR.is_working_day(parse_day(text)) is EXCEPTIONS[text]
    assert EXCEPTIONS[text] is (date.fromisoformat(text).weekday() >= 5)


@given(days)
def test_days_not_listed_are_worked_from_monday_to_friday(day: Day) -> None:
    """Without a list, the calendar is the working week, also far from any list."""
    plain = Calendar({}, utc_offset_hours=8)
    assert plain.is_working_day(day) is (date.fromisoformat(format_day(day)).weekday() < 5)


@given(near_days, st.integers(0, 120))
def test_a_deadline_is_where_a_day_by_day_walk_ends(day: Day, working_days: int) -> None:
    """Counting with sums and bisection gives what counting on the fingers gives, on the published calendar."""
    assert CALENDAR.due_day(day, working_days) == walk(CALENDAR, day, working_days)


@given(calendars, near_days, st.integers(0, 90), st.integers(-12, 14))
def test_the_walk_agrees_on_any_calendar_and_offset(
    exceptions: dict[str, bool], day: Day, working_days: int, offset: int
) -> None:
    """Months of holidays, worked Sundays and lists that repeat the working week change nothing in that."""
    calendar = Calendar(exceptions, utc_offset_hours=offset)
    assert calendar.due_day(day, working_days) == walk(calendar, day, working_days)


@given(st.integers(0, 2**42), st.integers(-12, 14))
def test_a_moment_falls_on_the_date_of_its_offset(time_ms: int, offset: int) -> None:
    """`day_at` is the date that a clock at the offset shows, and the day's end is its last moment."""
    calendar = Calendar({}, utc_offset_hours=offset)
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(timezone(timedelta(hours=offset)))
    day = calendar.day_at(time_ms)
    assert format_day(day) == moment.date().isoformat()
    assert time_ms <= calendar.end_of_day_ms(day) < time_ms + 86_400_000
    assert calendar.day_at(calendar.end_of_day_ms(day) + 1) == day + 1


def test_a_request_after_midnight_counts_from_the_new_day() -> None:
    """One millisecond decides between two days, at the offset's midnight and not at UTC's."""
    before, after = at("2025-09-15T23:59:59.999+08:00"), at("2025-09-16T00:00:00+08:00")
    assert CALENDAR.due_ms(before, 1) == at("2025-09-16T23:59:59.999+08:00")
    assert CALENDAR.due_ms(after, 1) == at("2025-09-17T23:59:59.999+08:00")


def test_zero_working_days_end_with_the_same_day_even_on_a_holiday() -> None:
    """What is done on the spot is due on the day it was asked for."""
    assert CALENDAR.due_ms(at("2025-10-03T09:00:00+08:00"), 0) == at("2025-10-03T23:59:59.999+08:00")


def test_misuse_is_a_value_error() -> None:
    """Deadlines in the past and offsets of no place are mistakes of the program, not of a sender."""
    with pytest.raises(ValueError):
        CALENDAR.due_ms(0, -1)
    with pytest.raises(ValueError):
        Calendar({}, utc_offset_hours=15)


@pytest.mark.parametrize(
    ("day", "term", "last"),
    [
        ("2025-09-15", "P5Y", "2030-09-15"),
        ("2025-09-15", "P6M", "2026-03-15"),
        ("2025-08-31", "P6M", "2026-02-28"),
        ("2027-08-31", "P6M", "2028-02-29"),
        ("2025-01-31", "P1M", "2025-02-28"),
        ("2025-02-28", "P1M", "2025-03-28"),
        ("2025-12-31", "P1M", "2026-01-31"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-02-29", "P4Y", "2028-02-29"),
        ("2025-12-15", "P12M", "2026-12-15"),
        ("2025-12-31", "P1D", "2026-01-01"),
        ("2025-09-15", "P30D", "2025-10-15"),
        ("9998-12-31", "P1Y", "9999-12-31"),
    ],
)
def test_a_term_ends_on_the_corresponding_day_or_the_end_of_its_month(day: str, term: str, last: str) -> None:
    """The first day is not counted; a month too short for the day lends its last one."""
    end = add_term(parse_day(day), term)
    assert end is not None
    assert format_day(end) == last


def test_an_open_term_has_no_last_day() -> None:
    """What has no end is None, not a far day."""
    check_term("open")
    assert add_term(parse_day("2025-09-15"), "open") is None


@given(days, st.integers(1, 600))
def test_a_term_of_months_stays_in_its_month_and_never_passes_the_day(day: Day, months: int) -> None:
    """Years are twelve months, and the month reached is the one counted to."""
    end = add_term(day, f"P{months}M")
    assert end is not None
    start, last = (date.fromisoformat(format_day(value)) for value in (day, end))
    assert (last.year * 12 + last.month) - (start.year * 12 + start.month) == months
    assert last.day == start.day or (last.day < start.day and (last + timedelta(days=1)).day == 1)
    if months % 12 == 0:
        assert end == add_term(day, f"P{months // 12}Y")


@given(days, st.integers(1, 9999))
def test_a_term_of_days_is_that_many_days(day: Day, count: int) -> None:
    """Days are plain addition."""
    assert add_term(day, f"P{count}D") == day + count


@pytest.mark.parametrize(
    "term",
    ["", "P", "5Y", "P0Y", "P05Y", "P5W", "P1Y6M", "PT1H", "p5y", "P5Y ", "P5Y\n", "P10000D", "P-1Y", "P1.5Y", "P５Y"],
)
def test_other_durations_are_no_terms(term: str) -> None:
    """One number and one unit, in one spelling."""
    with pytest.raises(CalendarError):
        check_term(term)


@pytest.mark.parametrize("term", ["P1Y", "P1M", "P1D", "P9999Y", "P9999M", "P9999D"])
def test_a_term_beyond_the_last_year_is_refused(term: str) -> None:
    """The end of the year 9999 is the end of what can be written."""
    with pytest.raises(CalendarError):
        add_term(parse_day("9999-12-31"), term)


@pytest.mark.parametrize(
    "text", ["20251001", "2025-W40-3", "2025-10-1", "2025-02-29", "0000-01-01", "", "2025-10-01\n"]
)
def test_a_day_has_one_spelling(text: str) -> None:
    """Other spellings that ISO 8601 allows would make two texts for one day."""
    with pytest.raises(CalendarError):
        parse_day(text)
    with pytest.raises(CalendarError):
        Calendar({text: True}, utc_offset_hours=8)


@given(days)
def test_days_are_written_as_they_are_read(day: Day) -> None:
    """Reading and writing are inverse."""
    assert parse_day(format_day(day)) == day
