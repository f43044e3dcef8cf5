"""When a node reminds its operators of the end of its transport certificate."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from nodes import certificate_expiry
from nodes.certificate_expiry import DAY_S, remind_of_expiry
from nodes.transport.tls import make_identity

MADE = datetime(2026, 1, 1, tzinfo=UTC)
VALID_DAYS = 40
PEM = make_identity("alice", now=MADE, validity=timedelta(days=VALID_DAYS)).certificate_pem


def days_warned_of(caplog: pytest.LogCaptureFixture, *, start_day: int, days: int, leap: int = 1) -> list[int]:
    """Let a node run for `days` from a day of the certificate's life on; return the days left in its warnings."""
    now, end = MADE + timedelta(days=start_day), MADE + timedelta(days=start_day + days)

    async def sleep(seconds: float) -> None:
        nonlocal now
        assert seconds == DAY_S
        now += leap * timedelta(seconds=seconds)
        if now > end:
            raise asyncio.CancelledError

    async def run() -> None:
        await remind_of_expiry(PEM, now=lambda: now, sleep=sleep)

    with caplog.at_level(logging.WARNING, certificate_expiry.__name__), pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    return [record.args[0] for record in caplog.records]  # type: ignore[index,misc]


def test_a_running_node_warns_at_each_of_the_days(caplog: pytest.LogCaptureFixture) -> None:
    """30, 7 and 1 days before, and when it has ended; every other day is quiet."""
    assert days_warned_of(caplog, start_day=0, days=60) == [30, 7, 1, -1]


@pytest.mark.parametrize(("start_day", "left"), [(9, []), (10, [30]), (20, [20]), (40, [0]), (50, [-10])])
def test_a_start_warns_if_the_end_is_near(start_day: int, left: list[int], caplog: pytest.LogCaptureFixture) -> None:
    """Whoever starts the node then learns it at once."""
    assert days_warned_of(caplog, start_day=start_day, days=0) == left


def test_a_clock_that_leaps_over_a_day_loses_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The day itself may pass unseen, as when a machine sleeps."""
    assert days_warned_of(caplog, start_day=0, days=60, leap=12) == [28, 4, -8]
