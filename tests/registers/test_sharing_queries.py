"""What can be asked of sharing: receipts, lateness, idle data items, broken links, and how departments compare."""

from __future__ import annotations

from ledger.encoding import decode
from ledger.identifiers import Height
from ledger.registers.directories.records import ApproveDataItem
from ledger.registers.sharing.figures import (
    THE_AUTHORITY,
    UINT63_MAX,
    ItemUse,
    Score,
    count_score,
    count_use,
    score_key,
    use_key,
)
from ledger.registers.sharing.queries import (
    broken_links,
    idle_items,
    league_table,
    receipts_of,
    score_card,
)
from ledger.registers.sharing.values import Request, request_key
from ledger.state.overlay import Overlay
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


def test_receipts_of_a_request_follow_each_other() -> None:
    """Its deliveries in their order, from any of them on, or its refusal; what is not answered has none."""
    state = busy().state

    def told(name: str, after: int = -1) -> list[int]:
        asked = state.get(request_key(name), Request)
        assert asked is not None
        return [r.delivery.number if r.delivery else 0 for r in receipts_of(asked, state, after=after)]

    assert told("AY-R1") == told("X2-R1") == told("X2-R1", 0) == [1, 2]
    assert (told("X2-R1", 1), told("X2-R1", 2), told("X2-R1", (1 << 31) - 1)) == ([2], [], [])
    assert (told("AY-R2"), told("AY-R2", 0), told("AY-R3")) == ([0], [], [])


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


def test_what_is_counted_stays_at_the_largest_number_that_has_a_form() -> None:
    """Two departments could state deliveries of 10^12 rows until no value could hold their sum, on no member."""
    state = busy().state
    context = Overlay(state, height=Height(state.height + 1), time_ms=state.time_ms)
    for _ in range(2):
        count_score(HOUSING, context, rows_served=UINT63_MAX - 1)
        count_use(OPEN, context, rows=UINT63_MAX - 1)
    score, use = context.get(score_key(HOUSING), Score), context.get(use_key(OPEN), ItemUse)
    assert score is not None
    assert use is not None
    assert score.rows_served == use.rows == UINT63_MAX
    assert (decode(Score, score.encode()), decode(ItemUse, use.encode())) == (score, use)
