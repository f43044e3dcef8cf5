"""What can be asked of sharing: receipts, lateness, idle data items, broken links, and how departments compare."""

from __future__ import annotations

from ledger.registers.directories.records import ApproveDataItem
from ledger.registers.sharing.figures import THE_AUTHORITY
from ledger.registers.sharing.queries import (
    broken_links,
    idle_items,
    league_table,
    receipts,
    requests,
    score_card,
)
from ledger.registers.sharing.values import RequestStatus
from tests.registers.governed import (
    CLOSED,
    CONDITIONAL,
    OPEN,
    acknowledge,
    correct,
    deliver,
    grant,
    item,
    objection,
    refuse,
    reject,
    request,
    shared,
    terms,
)
from tests.state.small_ledger import AUTHORITY, DAY_MS, HOUSING, MARKET, TAX, SmallLedger


def busy() -> SmallLedger:
    """Return a ledger with three requests of market regulation, one refused, and one of the tax office."""
    ledger = shared()
    ledger.put(MARKET, request("AY-R1", OPEN), request("AY-R2"), request("AY-R3", CLOSED))
    ledger.put(TAX, request("X2-R1"))
    ledger.put(HOUSING, deliver("AY-R1", of=OPEN), refuse("AY-R2"), grant("X2-R1"), deliver("X2-R1"))
    ledger.put(MARKET, acknowledge("AY-R1"))
    ledger.put(TAX, reject("X2-R1"))
    ledger.put(HOUSING, deliver("AY-R1", 2, of=OPEN), deliver("X2-R1", 2))
    return ledger


def test_requests_are_found_by_status() -> None:
    """All of them without one, ascending by id."""
    state = busy().state
    assert [found.id for found in requests(state)] == ["AY-R1", "AY-R2", "AY-R3", "X2-R1"]
    assert [found.id for found in requests(state, RequestStatus.GRANTED)] == ["AY-R1", "X2-R1"]
    assert [found.id for found in requests(state, RequestStatus.AWAITING_AUTHORITY)] == ["AY-R3"]


def test_receipts_are_found_by_item_grant_and_department() -> None:
    """A refusal is one too; who neither asked nor provided has none."""
    state = busy().state

    def told(**of: str) -> list[tuple[str, int]]:
        return [(r.request.id, r.delivery.number if r.delivery else 0) for r in receipts(state, **of)]

    everything = [("AY-R1", 1), ("AY-R1", 2), ("AY-R2", 0), ("X2-R1", 1), ("X2-R1", 2)]
    assert told() == told(department=HOUSING) == everything
    assert told(department=TAX) == told(grant="X2-R1") == [("X2-R1", 1), ("X2-R1", 2)]
    assert told(data_item=CONDITIONAL) == [("AY-R2", 0), ("X2-R1", 1), ("X2-R1", 2)]
    assert told(data_item=CONDITIONAL, department=MARKET) == [("AY-R2", 0)]
    assert told(department=AUTHORITY) == told(grant="AY-R3") == told(grant="AY-R9") == []


def test_a_link_is_broken_while_its_owner_is_late() -> None:
    """A requester that does not acknowledge, or an authority that does not decide, breaks none."""
    ledger = busy()
    ledger.put(MARKET, objection(of=CLOSED))
    ledger.put(MARKET, request("AY-R4"))
    ledger.execute(time_ms=ledger.state.time_ms + 16 * DAY_MS)
    assert list(broken_links(ledger.state)) == [CONDITIONAL, CLOSED]
    ledger.put(HOUSING, grant("AY-R4"), correct())
    assert list(broken_links(ledger.state)) == []


def test_an_item_is_idle_once_nobody_has_used_it_for_long() -> None:
    """Counted from its last use or publication; one that does not count is never idle."""
    ledger = busy()
    used_ms = ledger.state.time_ms
    assert list(idle_items(ledger.state, used_ms + 180 * DAY_MS)) == [CLOSED]
    assert list(idle_items(ledger.state, used_ms + 180 * DAY_MS + 1)) == [OPEN, CONDITIONAL, CLOSED]
    ledger.put(AUTHORITY, terms(idle_days=200))
    assert list(idle_items(ledger.state, used_ms + 180 * DAY_MS + 1)) == []
    ledger.put(HOUSING, item("AN-01-D4"), item(CLOSED, 2), time_ms=used_ms + 100 * DAY_MS)
    assert list(idle_items(ledger.state, used_ms + 201 * DAY_MS)) == [OPEN, CONDITIONAL]
    ledger.put(AUTHORITY, ApproveDataItem(id="AN-01-D4", revision=1))
    assert list(idle_items(ledger.state, used_ms + 400 * DAY_MS)) == [OPEN, CONDITIONAL, CLOSED, "AN-01-D4"]


def test_departments_are_compared_by_how_they_answer() -> None:
    """In time before late; who was asked nothing comes last; the authority's own duties are no department's."""
    ledger = busy()
    now = ledger.state.time_ms
    first, *others = league_table(ledger.state, now)
    assert (first.holder, first.answered_in_time_permille, first.breaches_open) == (HOUSING, 1_000, 0)
    assert (first.data_items, first.score.deliveries_rejected, first.score.refused) == (3, 1, 1)
    assert {card.holder for card in others} == {MARKET, TAX}
    assert [card.answered_in_time_permille for card in others] == [None, None]
    later = now + 16 * DAY_MS
    ledger.put(TAX, request("X2-R2"))
    ledger.execute(time_ms=later)
    cards = {card.holder: card for card in league_table(ledger.state, later)}
    # Three in time, one request not answered; neither requester has acknowledged.
    assert cards[HOUSING].answered_in_time_permille == 750
    assert cards[HOUSING].broken_links == (CONDITIONAL,)
    assert (cards[TAX].breaches_open, cards[TAX].answered_in_time_permille) == (1, 0)
    assert score_card(ledger.state, THE_AUTHORITY, later).breaches_open == 1
    assert all(score_card(ledger.state, holder, later) == card for holder, card in cards.items())
    assert league_table(ledger.state, later)[0].holder == HOUSING
