"""The days of a grant: until when it may last, and whether it is over. Written days sort as they follow each other."""

from __future__ import annotations

from functools import lru_cache

from ledger.blocks.refusals import Refused
from ledger.members.calendar import CalendarError, Day, add_term, format_day, parse_day
from ledger.registers.context import Context
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.terms import terms_of


def require_last_day(last_day: str, context: Context) -> None:
    """Check that a grant may last until `last_day`, if it is given now.

    Raises:
        Refused: BAD_LAST_DAY, TERM_TOO_LONG.
    """
    today, latest = _term(context.calendar.day_at(context.time_ms), terms_of(context).grant_months_max)
    if not _is_day(last_day) or last_day < today:
        raise Refused(SharingRefusal.BAD_LAST_DAY)
    if latest < last_day:
        raise Refused(SharingRefusal.TERM_TOO_LONG)


def is_over(last_day: str, context: Context) -> bool:
    """Return whether the block's day is later than `last_day`."""
    return last_day < _written(context.calendar.day_at(context.time_ms))


def end_ms(last_day: str, context: Context) -> int:
    """Return the last millisecond of a day that `require_last_day` has let pass."""
    return context.calendar.end_of_day_ms(parse_day(last_day))


# A block asks for the same few days over and over.


@lru_cache(maxsize=64)
def _written(day: Day) -> str:
    return format_day(day)


@lru_cache(maxsize=64)
def _term(today: Day, months: int) -> tuple[str, str]:
    """Return a day and the one that many months later, written out."""
    latest = add_term(today, f"P{months}M")
    assert latest is not None
    return format_day(today), format_day(latest)


@lru_cache(maxsize=1_024)
def _is_day(text: str) -> bool:
    try:
        parse_day(text)
    except CalendarError:
        return False
    return True
