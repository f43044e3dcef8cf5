"""The second reading of the rules of sharing: it agrees with the register, and notices what it should."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import pytest

from scenarios.beijing.city_files import load_city
from scenarios.beijing.story import BeijingStory
from scenarios.evidence.checks import Evidence, longest
from scenarios.evidence.forms import EvidenceError
from scenarios.evidence.sharing import check_deadlines, sharing_of
from scenarios.evidence.working_days import WorkingDays
from scenarios.report_sharing import sharing_figures
from scenarios.virtual import found, play

VECTORS = Path(__file__).parents[1] / "vectors"
CITY = load_city().first(1)
START_MS = CITY.workload.start_ms
DAYS = 30
SEED = 2
BEIJING = timezone(timedelta(hours=8))


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table worked out by hand."""
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


CALENDAR = WorkingDays(
    {date.fromisoformat(row["date"]): row["kind"] == "working" for row in rows("calendar.csv")}, utc_offset_hours=8
)


@cache
def played() -> Evidence:
    """Thirty days of one department with a vote and four members without."""
    network = found(CITY, seed=SEED, start_ms=START_MS)
    story = BeijingStory(
        CITY, seed=SEED, start_ms=START_MS, span="virtual", chain=network.genesis.chain, records=1_000, days=DAYS
    )
    return play(network, story, seed=SEED).evidence


@pytest.mark.parametrize("row", rows("deadlines.csv"), ids=lambda row: f"{row['received']}+{row['working_days']}")
def test_the_walk_reproduces_the_examples_worked_by_hand(row: dict[str, str]) -> None:
    """So that what it says of other days can be trusted."""
    last = CALENDAR.last_day(date.fromisoformat(row["received"]), int(row["working_days"]))
    assert last.isoformat() == row["last_day"]


def test_working_days_between_two_moments_are_those_after_the_first() -> None:
    """From the Friday before the worked Sunday to the Monday after it are two."""
    friday, monday = (round(datetime(2025, 9, day, 9, tzinfo=BEIJING).timestamp() * 1_000) for day in (26, 29))
    assert CALENDAR.between(friday, friday) == 0
    assert CALENDAR.between(friday, monday) == 2


def test_the_genesis_sets_the_calendar() -> None:
    """Read again from its bytes."""
    assert played().calendar == CALENDAR


def test_both_readings_of_the_rules_agree() -> None:
    """Every breach is where a block record says that a deadline was acted upon; there are some of several kinds."""
    sharing = sharing_of(longest(played()), CALENDAR)
    check_deadlines(longest(played()), sharing)
    assert {breach.kind for breach in sharing.breaches} >= {"answer", "acknowledge"}
    assert {request.outcome for request in sharing.requests.values()} >= {"granted", "refused", "open"}
    assert sharing.flows
    assert sharing.size_bytes > 0


def without_a_day_off() -> WorkingDays:
    """The calendar of somebody who works on the first of October."""
    return replace(CALENDAR, exceptions={**CALENDAR.exceptions, date(2025, 10, 1): True})


def test_another_calendar_gives_other_breaches() -> None:
    """One holiday less, and what was due after it is found in the wrong block."""
    with pytest.raises(EvidenceError, match="acted upon"):
        check_deadlines(longest(played()), sharing_of(longest(played()), without_a_day_off()))


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda subjects: subjects[1:], id="a breach is missing"),
        pytest.param(lambda subjects: (*subjects, b"sharing/request/BM-R99999"), id="a breach too many"),
        pytest.param(lambda subjects: subjects[::-1], id="breaches in another order"),
    ],
)
def test_a_forged_block_record_is_noticed(forge: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> None:
    """What a block says it acted upon is held against the calendar."""
    journal = longest(played())
    height = max(journal.executed, key=lambda height: len(journal.executed[height].deadlines))
    assert len(journal.executed[height].deadlines) > 1
    executed = journal.executed[height]
    forged = replace(executed, deadlines=forge(executed.deadlines))
    journal = replace(journal, executed={**journal.executed, height: forged})
    with pytest.raises(EvidenceError, match=f"height {height} acted upon"):
        check_deadlines(journal, sharing_of(journal, CALENDAR))


def test_figures_say_what_happened() -> None:
    """Counts by type and outcome add up to the requests; flows to what was acknowledged."""
    figures = sharing_figures(played(), {})
    assert figures is not None
    sharing = sharing_of(longest(played()), CALENDAR)
    assert sum(sum(outcomes.values()) for outcomes in figures.requests.values()) == len(sharing.requests)
    assert figures.rows == sum(flow.rows for flow in sharing.flows.values())
    assert figures.answer_median is not None
    assert figures.answer_p95 is not None
    assert 0 <= figures.answer_median <= figures.answer_p95
    assert [breach.request for breach in figures.breaches] == [breach.request for breach in sharing.breaches]
