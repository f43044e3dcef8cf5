"""What can be asked of sharing. Queries walk over a register; they are not for rules.

The state has every request, grant, delivery and breach there ever was, so that what is asked is always the whole; who
wants a part of it by time or by name asks the index of a node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from ledger.encoding import Canonical
from ledger.registers.catalogue import DATA_ITEMS, DataItem
from ledger.registers.ownership import owner_of
from ledger.registers.reader import Reader
from ledger.registers.sharing.duties import BREACHES, Breach
from ledger.registers.sharing.figures import SCORES, THE_AUTHORITY, ItemUse, Score, no_score, score_key, use_key
from ledger.registers.sharing.terms import DEFAULT_TERMS, TERMS_KEY, Terms
from ledger.registers.sharing.values import (
    Delivery,
    Grant,
    Request,
    RequestStatus,
    delivery_key,
    grant_key,
)

T = TypeVar("T", bound=Canonical)

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What shows that data were shared, or not: a delivery under the request that led to it, or a refusal."""

    request: Request
    delivery: Delivery | None
    """None for a refusal."""


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """What a department did and failed to do, and how that compares."""

    holder: str
    """Credit code, or `figures.THE_AUTHORITY`."""
    score: Score
    data_items: int
    """Those it owns that count."""
    idle_items: tuple[str, ...]
    """Among those, ids ascending."""
    broken_links: tuple[str, ...]
    """Among those, ids ascending."""

    @property
    def breaches_open(self) -> int:
        """Breaches that are not cured."""
        return self.score.breaches - self.score.breaches_cured

    @property
    def answered_in_time_permille(self) -> int | None:
        """Of a thousand answers to requests and objections, how many came in time; None if there was none to give.

        An open breach counts as an answer that is late.
        """
        score = self.score
        good = score.answered_at_once + score.answered_in_time + score.corrections_in_time
        asked = good + score.answered_late + score.corrections_late + self.breaches_open
        return 1_000 * good // asked if asked else None


def breaches(reader: Reader) -> Iterator[Breach]:
    """Yield all breaches, in the order of their deadlines."""
    return _all(reader, BREACHES, Breach)


def receipts_of(request: Request, reader: Reader, *, after: int = -1) -> Iterator[Receipt]:
    """Yield the receipts of a request: its refusal, or its deliveries in their order.

    Args:
        after: Number of the delivery after which to begin; a refusal counts as 0.
    """
    if after < 0 and request.status in (RequestStatus.REFUSED, RequestStatus.DENIED):
        yield Receipt(request, None)
    given = reader.get(grant_key(request.id), Grant)
    for number in range(max(after, 0) + 1, given.deliveries + 1 if given else 0):
        if (delivery := reader.get(delivery_key(request.id, number), Delivery)) is not None:
            yield Receipt(request, delivery)


def broken_links(reader: Reader) -> Iterator[str]:
    """Yield the ids of data items whose owner is late and was not yet cured of it, ascending.

    That is: it did not answer a request or an objection, or did not deliver. A requester that does not acknowledge, or
    an authority that does not decide, breaks no link.
    """
    late = {b.data_item for b in breaches(reader) if not b.cured_height and b.kind in ("answer", "correct", "deliver")}
    yield from sorted(late)


def idle_items(reader: Reader, time_ms: int) -> Iterator[str]:
    """Yield the ids of data items that count and were not used or published anew for longer than the terms say."""
    latest_ms = time_ms - terms(reader).idle_days * _DAY_MS
    for item in _counting_items(reader):
        use = reader.get(use_key(item.id), ItemUse)
        if max(item.published_ms, use.last_used_ms if use else 0) < latest_ms:
            yield item.id


def terms(reader: Reader) -> Terms:
    """Return the terms that hold now."""
    return reader.get(TERMS_KEY, Terms) or DEFAULT_TERMS


def league_table(reader: Reader, time_ms: int) -> tuple[ScoreCard, ...]:
    """Return the score-cards of all departments with data items or a score, the best first.

    By the share of answers in time, then by open breaches, breaches, rejected deliveries, rows served, credit code.
    Who was asked nothing comes after those who were. The directory authority as such is not among them.
    """
    owners = {item.id: owner_of(item, reader) for item in _counting_items(reader)}
    owned = Counter(owners.values())
    idle, broken = list(idle_items(reader, time_ms)), list(broken_links(reader))
    scores = {score.holder: score for score in _all(reader, SCORES, Score) if score.holder != THE_AUTHORITY}
    cards = [
        ScoreCard(
            holder=holder,
            score=scores.get(holder) or no_score(holder),
            data_items=owned[holder],
            idle_items=tuple(name for name in idle if owners[name] == holder),
            broken_links=tuple(name for name in broken if owners.get(name) == holder),
        )
        for holder in sorted({*owned, *scores})
    ]
    return tuple(sorted(cards, key=_rank))


def score_card(reader: Reader, holder: str, time_ms: int) -> ScoreCard:
    """Return the score-card of one department, or of the directory authority as such."""
    owned = {item.id for item in _counting_items(reader) if owner_of(item, reader) == holder}
    return ScoreCard(
        holder=holder,
        score=reader.get(score_key(holder), Score) or no_score(holder),
        data_items=len(owned),
        idle_items=tuple(name for name in idle_items(reader, time_ms) if name in owned),
        broken_links=tuple(name for name in broken_links(reader) if name in owned),
    )


def _rank(card: ScoreCard) -> tuple[bool, int, int, int, int, int, str]:
    in_time = card.answered_in_time_permille
    return (
        in_time is None,
        -(in_time or 0),
        card.breaches_open,
        card.score.breaches,
        card.score.deliveries_rejected,
        -card.score.rows_served,
        card.holder,
    )


def _counting_items(reader: Reader) -> Iterator[DataItem]:
    return (item for item in _all(reader, DATA_ITEMS, DataItem) if item.counts)


def _all(reader: Reader, prefix: bytes, kind: type[T]) -> Iterator[T]:
    for _, value in reader.items(prefix):
        assert isinstance(value, kind)
        yield value
