"""Lateness: a deadline that passes is a breach in the right block, without anyone sending anything."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.blocks.record import Record
from ledger.identifiers import CreditCode
from ledger.limits import DEADLINES_PER_BLOCK_MAX
from ledger.members.calendar import Calendar
from ledger.registers.sharing.duties import Breach
from ledger.registers.sharing.figures import THE_AUTHORITY, Score, score_key
from ledger.registers.sharing.queries import breaches
from ledger.registers.sharing.values import (
    Delivery,
    DeliveryStatus,
    Request,
    RequestStatus,
    delivery_key,
    grant_key,
    objection_key,
    request_key,
)
from tests.registers.governed import (
    CLOSED,
    CONDITIONAL,
    OPEN,
    acknowledge,
    correct,
    day_ms,
    deliver,
    dispute,
    grant,
    objection,
    refuse,
    reject,
    request,
    revoke,
    shared,
    terms,
    withdraw,
)
from tests.state.small_ledger import AUTHORITY, CREATED_MS, DAY_MS, HOUSING, MARKET, SmallLedger

VECTORS = Path(__file__).parents[1] / "vectors"
BEIJING = timezone(timedelta(hours=8))


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table by hand."""
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


EXCEPTIONS = {date.fromisoformat(row["date"]): row["kind"] == "working" for row in rows("calendar.csv")}


def last_day(received: date, working_days: int) -> date:
    """Walk from day to day and count: the definition of a deadline, beside the ledger's arithmetic."""
    day = received
    while working_days:
        day += timedelta(days=1)
        working_days -= EXCEPTIONS.get(day, day.weekday() < 5)
    return day


def due_ms(received_ms: int, working_days: int) -> int:
    """Return the last millisecond of the last day."""
    received = datetime.fromtimestamp(received_ms / 1_000, BEIJING).date()
    midnight = datetime.combine(last_day(received, working_days) + timedelta(days=1), datetime.min.time(), BEIJING)
    return round(midnight.astimezone(UTC).timestamp() * 1_000) - 1


def in_beijing() -> SmallLedger:
    """Return a ledger with three data items, under the real calendar of 2025."""
    ledger = shared()
    ledger.state.calendar = Calendar(
        {day.isoformat(): worked for day, worked in EXCEPTIONS.items()}, utc_offset_hours=8
    )
    return ledger


def told(ledger: SmallLedger) -> list[tuple[str, str, str, int, bool]]:
    """Return each breach as id, kind, holder, stage, and whether it is open."""
    return [(b.id, b.kind, b.holder, b.stage, not b.cured_height) for b in breaches(ledger.state)]


def pass_time(ledger: SmallLedger, days: int) -> Iterator[int]:
    """Execute an empty block on each of the next days; yield its time."""
    for _ in range(days):
        time_ms = ledger.state.time_ms + DAY_MS
        ledger.execute(time_ms=time_ms)
        yield time_ms


def score_of(ledger: SmallLedger, holder: str) -> Score:
    """Return the score, which must be there."""
    score = ledger.state.get(score_key(holder), Score)
    assert score is not None
    return score


@pytest.mark.parametrize("row", rows("deadlines.csv"), ids=lambda row: f"{row['received']}+{row['working_days']}")
def test_the_walk_reproduces_the_examples_worked_by_hand(row: dict[str, str]) -> None:
    """So that what it says of other days can be trusted."""
    assert last_day(date.fromisoformat(row["received"]), int(row["working_days"])).isoformat() == row["last_day"]


def test_an_answer_is_in_time_until_the_last_millisecond() -> None:
    """Of the tenth working day, which is a Sunday here: it is worked for the holidays of October."""
    ledger = in_beijing()
    assert ledger.put(MARKET, request()) == ["accepted"]
    due = due_ms(ledger.state.time_ms, 10)
    assert due == day_ms("2025-09-28") + 16 * 3_600_000 - 1
    assert ledger.put(HOUSING, grant(), time_ms=due) == ["accepted"]
    assert told(ledger) == []
    assert score_of(ledger, HOUSING).answered_in_time == 1


def test_the_first_block_after_the_deadline_records_the_breach() -> None:
    """Whatever is in it; an answer in the same block comes too late, and cures it."""
    ledger = in_beijing()
    ledger.put(MARKET, request())
    due = due_ms(ledger.state.time_ms, 10)
    assert ledger.put(HOUSING, grant(), time_ms=due + 1) == ["accepted"]
    (breach,) = breaches(ledger.state)
    assert breach == Breach(
        subject=request_key("AY-R1"),
        id="AY-R1",
        data_item=CONDITIONAL,
        kind="answer",
        holder=HOUSING,
        stage=1,
        due_ms=due,
        passed_ms=due + 1,
        passed_height=ledger.state.height,
        cured_ms=due + 1,
        cured_height=ledger.state.height,
    )
    score = score_of(ledger, HOUSING)
    assert (score.answered_late, score.answered_in_time, score.breaches, score.breaches_cured) == (1, 0, 1, 1)


def test_a_late_answer_escalates_to_the_authority_and_no_further_than_three_breaches() -> None:
    """The owner's deadline, then two of the authority's, each five working days after the block that saw the last."""
    ledger = in_beijing()
    ledger.put(MARKET, request())
    expected, since, working_days = [], ledger.state.time_ms, 10
    for _ in range(3):
        expected.append(due_ms(since, working_days))
        since = next(time_ms for time_ms in pass_time(ledger, 30) if time_ms > expected[-1])
        working_days = 5
    assert [breach.due_ms for breach in breaches(ledger.state)] == expected
    assert told(ledger) == [
        ("AY-R1", "answer", HOUSING, 1, True),
        ("AY-R1", "decide", THE_AUTHORITY, 2, True),
        ("AY-R1", "decide", THE_AUTHORITY, 3, True),
    ]
    assert len(ledger.state.pending_deadlines) == 0
    waiting = ledger.state.get(request_key("AY-R1"), Request)
    assert waiting is not None
    assert waiting.status is RequestStatus.ESCALATED
    # Both may answer now, however late, and all is cured.
    assert ledger.put(AUTHORITY, grant()) == ["accepted"]
    assert [open_ for *_, open_ in told(ledger)] == [False] * 3
    assert score_of(ledger, THE_AUTHORITY).answered_late == 1


def test_who_decides_in_the_owners_place_is_in_time_until_its_own_deadline() -> None:
    """The breach stays the owner's."""
    ledger = in_beijing()
    ledger.put(MARKET, request())
    ledger.execute(time_ms=due_ms(ledger.state.time_ms, 10) + 1)
    assert ledger.put(AUTHORITY, grant()) == ["accepted"]
    assert (score_of(ledger, THE_AUTHORITY).answered_in_time, score_of(ledger, HOUSING).answered_late) == (1, 0)
    assert told(ledger) == [("AY-R1", "answer", HOUSING, 1, False)]


DUTIES: Sequence[tuple[str, list[tuple[CreditCode, Record]], int, str, bytes]] = (
    ("answer", [(MARKET, request())], 10, HOUSING, request_key("AY-R1")),
    ("decide", [(MARKET, request(of=CLOSED))], 5, THE_AUTHORITY, request_key("AY-R1")),
    (
        "decide",
        [(MARKET, request()), (HOUSING, refuse()), (MARKET, dispute())],
        5,
        THE_AUTHORITY,
        request_key("AY-R1"),
    ),
    ("deliver", [(MARKET, request()), (HOUSING, grant())], 20, HOUSING, grant_key("AY-R1")),
    ("acknowledge", [(MARKET, request(of=OPEN)), (HOUSING, deliver(of=OPEN))], 5, MARKET, delivery_key("AY-R1", 1)),
    (
        "deliver",
        [(MARKET, request(of=OPEN)), (HOUSING, deliver(of=OPEN)), (MARKET, reject())],
        20,
        HOUSING,
        grant_key("AY-R1"),
    ),
    ("correct", [(MARKET, objection())], 10, HOUSING, objection_key("AY-O1")),
)


@pytest.mark.parametrize(("kind", "steps", "working_days", "holder", "subject"), DUTIES)
def test_each_duty_has_its_time(
    kind: str, steps: list[tuple[CreditCode, Record]], working_days: int, holder: str, subject: bytes
) -> None:
    """One millisecond beyond it, and not earlier, it is a breach of whoever has the duty."""
    ledger = in_beijing()
    for department, record in steps:
        assert ledger.put(department, record) == ["accepted"]
    due = due_ms(ledger.state.time_ms, working_days)
    assert ledger.execute(time_ms=due).record.deadlines == ()
    assert ledger.execute(time_ms=due + 1).record.deadlines == (subject,)
    (breach,) = breaches(ledger.state)
    assert (breach.kind, breach.holder, breach.due_ms, breach.subject) == (kind, holder, due, subject)


def test_an_overdue_delivery_can_still_be_acknowledged() -> None:
    """Until then its rows stay reserved, and the provider delivers nothing more."""
    ledger = in_beijing()
    ledger.put(MARKET, request(of=OPEN))
    ledger.put(HOUSING, deliver(of=OPEN))
    ledger.execute(time_ms=due_ms(ledger.state.time_ms, 5) + 1)
    delivery = ledger.state.get(delivery_key("AY-R1", 1), Delivery)
    assert delivery is not None
    assert delivery.status is DeliveryStatus.OVERDUE
    assert ledger.put(HOUSING, deliver(number=2, of=OPEN)) == ["delivery_open"]
    assert ledger.put(MARKET, acknowledge()) == ["accepted"]
    assert told(ledger) == [("AY-R1", "acknowledge", MARKET, 1, False)]


@pytest.mark.parametrize(
    ("steps", "ending"),
    [
        ([(MARKET, request())], (MARKET, withdraw())),
        ([(MARKET, request())], (HOUSING, refuse())),
        ([(MARKET, request(of=OPEN))], (HOUSING, revoke())),
        ([(MARKET, request(of=OPEN))], (HOUSING, deliver(of=OPEN))),
        ([(MARKET, objection())], (HOUSING, correct(outcome="rejected"))),
    ],
)
def test_whatever_ends_a_duty_cures_its_breaches(
    steps: list[tuple[CreditCode, Record]], ending: tuple[CreditCode, Record]
) -> None:
    """An answer of any kind, a delivery, or that it is not wanted any more."""
    ledger = in_beijing()
    for department, record in steps:
        assert ledger.put(department, record) == ["accepted"]
    for _ in pass_time(ledger, 60):
        pass
    assert [open_ for *_, open_ in told(ledger)] == [True] * 3
    assert ledger.put(*ending) == ["accepted"]
    assert [open_ for *_, open_ in told(ledger)] == [False] * 3
    holders = {holder for _, _, holder, _, _ in told(ledger)}
    assert all(score_of(ledger, h).breaches == score_of(ledger, h).breaches_cured for h in holders)


def test_nobody_owes_a_delivery_after_the_last_day() -> None:
    """A grant that ends before twenty working days is due on its last day, and passes once."""
    ledger = in_beijing()
    ledger.put(MARKET, request(of=OPEN, last_day="2025-09-17"))
    for _ in pass_time(ledger, 60):
        pass
    assert told(ledger) == [("AY-R1", "deliver", HOUSING, 1, True)]
    (breach,) = breaches(ledger.state)
    assert breach.due_ms == day_ms("2025-09-17") + 16 * 3_600_000 - 1


def test_new_terms_do_not_move_deadlines_that_run() -> None:
    """Who was promised ten days has them."""
    ledger = in_beijing()
    ledger.put(MARKET, request())
    began = ledger.state.time_ms
    ledger.put(AUTHORITY, terms(answer_working_days=2))
    ledger.put(MARKET, request("AY-R2"))
    for _ in pass_time(ledger, 20):
        pass
    first = [breach for breach in breaches(ledger.state) if breach.stage == 1]
    assert [(b.id, b.due_ms) for b in first] == [("AY-R2", due_ms(began, 2)), ("AY-R1", due_ms(began, 10))]


def test_a_block_acts_upon_a_thousand_deadlines_and_the_next_upon_the_rest() -> None:
    """In the order of their keys, for all were due at once."""
    ledger = in_beijing()
    names = [f"AY-R{number:04}" for number in range(DEADLINES_PER_BLOCK_MAX + 5)]
    for first in range(0, len(names), 200):
        ledger.put(MARKET, *map(request, names[first : first + 200]))
    due = due_ms(ledger.state.time_ms, 10)
    counts = [len(ledger.execute(time_ms=due + 1).record.deadlines) for _ in range(3)]
    assert counts == [DEADLINES_PER_BLOCK_MAX, 5, 0]
    assert [breach.id for breach in breaches(ledger.state)] == names
    assert score_of(ledger, HOUSING).breaches == len(names)


def test_an_answer_is_late_though_its_deadline_is_among_the_rest() -> None:
    """In time is a block's time, not how many deadlines the block has acted upon: the breach comes with its cure."""
    ledger = in_beijing()
    names = [f"AY-R{number:04}" for number in range(DEADLINES_PER_BLOCK_MAX + 2)]
    for first in range(0, len(names), 200):
        ledger.put(MARKET, *map(request, names[first : first + 200]))
    due, last = due_ms(ledger.state.time_ms, 10), names[-1]
    assert ledger.put(HOUSING, refuse(last), time_ms=due + 1) == ["accepted"]
    (breach,) = (breach for breach in breaches(ledger.state) if breach.id == last)
    assert (breach.holder, breach.due_ms, breach.cured_ms) == (HOUSING, due, due + 1)
    score = score_of(ledger, HOUSING)
    assert (score.answered_in_time, score.answered_late) == (0, 1)
    assert (score.breaches, score.breaches_cured) == (DEADLINES_PER_BLOCK_MAX + 1, 1)
    # The one before it has its turn in the next block, and nothing is recorded twice.
    ledger.execute(time_ms=due + 2)
    assert [breach.id for breach in breaches(ledger.state)] == names
    assert score_of(ledger, HOUSING).breaches == len(names)


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 72 * 3_600_000), min_size=1, max_size=6),
    st.lists(st.integers(1, 40 * 24), min_size=1, max_size=25),
)
def test_breaches_are_those_of_the_calendar(requested: list[int], blocks: list[int]) -> None:
    """Whenever requests are made and blocks come: each deadline that passed, in the first block after it."""
    ledger = in_beijing()
    start = CREATED_MS + DAY_MS
    expected: dict[tuple[str, int], tuple[int, int, int]] = {}
    running: dict[str, tuple[int, int]] = {}

    def advance(time_ms: int) -> None:
        for name, (stage, due) in list(running.items()):
            if due < time_ms:
                expected[name, stage] = (due, time_ms, ledger.state.height + 1)
                del running[name]
                if stage < 3:
                    running[name] = (stage + 1, due_ms(time_ms, 5))

    for number, offset in enumerate(sorted(requested)):
        time_ms = max(start + offset, ledger.state.time_ms + 1)
        advance(time_ms)
        assert ledger.put(MARKET, request(f"AY-R{number}"), time_ms=time_ms) == ["accepted"]
        running[f"AY-R{number}"] = (1, due_ms(time_ms, 10))
    for hours in blocks:
        time_ms = ledger.state.time_ms + hours * 3_600_000
        advance(time_ms)
        ledger.execute(time_ms=time_ms)
    found = {(b.id, b.stage): (b.due_ms, b.passed_ms, b.passed_height) for b in breaches(ledger.state)}
    assert found == expected
