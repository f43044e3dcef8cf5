"""How data were shared in a run: what was asked, how it was answered, what was late, and what went where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenarios.evidence.checks import Evidence, longest
from scenarios.evidence.sharing import OUTCOMES, SHARING_TYPES, THE_AUTHORITY, Breach, Flow, Sharing, sharing_of
from scenarios.evidence.working_days import WorkingDays


@dataclass(frozen=True, slots=True)
class ShownBreach:
    """Something that was not done in time."""

    request: str
    """Id of the request or objection."""
    kind: str
    department: str
    """Short code of who was late, or `directory_authority`."""
    due: str
    """Last day on which it would have been in time."""
    height: int
    """Of the block that recorded it."""


@dataclass(frozen=True, slots=True)
class ShownFlow:
    """What went from one department to another, by short code."""

    provider: str
    requester: str
    deliveries: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingFigures:
    """All figures of a run's sharing."""

    requests: Mapping[str, Mapping[str, int]]
    """By sharing type and outcome."""
    answer_median: int | None
    answer_p95: int | None
    """Working days until the first answer, where one had to be given; None if none was."""
    breaches: Sequence[ShownBreach]
    flows: Sequence[ShownFlow]
    """The largest first."""
    size_bytes: int
    rejected: int
    objections: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Acknowledged."""
        return sum(flow.rows for flow in self.flows)

    @property
    def deliveries(self) -> int:
        """Acknowledged."""
        return sum(flow.deliveries for flow in self.flows)

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "requests": {kind: dict(outcomes) for kind, outcomes in self.requests.items()},
            "answer_working_days": {"median": self.answer_median, "p95": self.answer_p95},
            "breaches": [
                {"request": b.request, "kind": b.kind, "department": b.department, "due": b.due, "height": b.height}
                for b in self.breaches
            ],
            "volume": {
                "deliveries": self.deliveries,
                "rows": self.rows,
                "bytes": self.size_bytes,
                "rejected": self.rejected,
            },
            "objections": dict(self.objections),
            "flows": [
                {"from": f.provider, "to": f.requester, "deliveries": f.deliveries, "rows": f.rows} for f in self.flows
            ],
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what a person wants to read first, as name and text."""
        for kind, outcomes in self.requests.items():
            told = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)
            yield kind.replace("_", " "), told or "none"
        if self.answer_median is not None:
            days = f"half within {self.answer_median} working days, 95 % within {self.answer_p95}"
            yield "answered", days if self.answer_p95 else "all on the same day"
        yield "delivered", f"{self.rows:,} rows in {self.deliveries:,} deliveries; {self.rejected:,} not taken"
        late = Counter(breach.kind for breach in self.breaches)
        told = ", ".join(f"{count:,} to {kind}" for kind, count in sorted(late.items()))
        yield "late", f"{len(self.breaches):,}: {told}" if told else "nothing"


def sharing_figures(evidence: Evidence, codes: Mapping[str, str]) -> SharingFigures | None:
    """Return the figures of a run, or None if nobody asked for anything.

    Args:
        codes: Short codes of the departments by credit code.

    Raises:
        EvidenceError: The ledger cannot be read.
    """
    if evidence.calendar is None:
        return None
    sharing = sharing_of(longest(evidence), evidence.calendar)
    if not sharing.requests:
        return None
    days = _answer_days(sharing, evidence.calendar)
    return SharingFigures(
        requests=_by_outcome(sharing),
        answer_median=_nearest_rank(days, 50),
        answer_p95=_nearest_rank(days, 95),
        breaches=[_shown_breach(breach, codes, evidence.calendar) for breach in sharing.breaches],
        flows=_shown_flows(sharing.flows.values(), codes),
        size_bytes=sharing.size_bytes,
        rejected=sharing.rejected,
        objections={outcome: count for outcome, count in sorted(sharing.objections.items()) if count},
    )


def _by_outcome(sharing: Sharing) -> dict[str, dict[str, int]]:
    counts = Counter((request.sharing_type, request.outcome) for request in sharing.requests.values())
    return {
        name: {outcome: counts[kind, outcome] for outcome in OUTCOMES if counts[kind, outcome]}
        for kind, name in SHARING_TYPES.items()
    }


def _answer_days(sharing: Sharing, calendar: WorkingDays) -> list[int]:
    return sorted(
        calendar.between(request.requested_ms, request.answered_ms)
        for request in sharing.requests.values()
        if request.answered_ms is not None
    )


def _shown_breach(breach: Breach, codes: Mapping[str, str], calendar: WorkingDays) -> ShownBreach:
    holder = THE_AUTHORITY if breach.holder == THE_AUTHORITY else codes.get(breach.holder, breach.holder)
    return ShownBreach(breach.request, breach.kind, holder, calendar.day_of(breach.due_ms).isoformat(), breach.height)


def _shown_flows(flows: Iterable[Flow], codes: Mapping[str, str]) -> list[ShownFlow]:
    shown = [
        ShownFlow(codes.get(f.provider, f.provider), codes.get(f.requester, f.requester), f.deliveries, f.rows)
        for f in flows
    ]
    return sorted(shown, key=lambda flow: (-flow.rows, flow.provider, flow.requester))


def _nearest_rank(ordered: Sequence[int], percent: int) -> int | None:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None
