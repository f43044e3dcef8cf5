"""`report.html`: a run for a person to read, in one file that needs no network and no script.

Places and sizes are computed here, words and looks are in `templates/report.html.jinja`. The template engine escapes
every text; a virtual run gives the same bytes each time.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from textwrap import wrap
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scenarios.beijing.city import City, DepartmentRow
from scenarios.evidence.checks import Evidence, longest
from scenarios.evidence.forms import EvidenceError
from scenarios.evidence.records import ACCEPTED, records_of
from scenarios.evidence.summary import DepartmentFigures
from scenarios.flow_picture import flow_picture
from scenarios.report import SimulationResult, cause_of

CHECKS_IN_WORDS: Mapping[str, tuple[str, str]] = {
    "one_block_per_height": (
        "One history",
        "All departments hold the same block at every height, each block names the one before it, and a quorum signed.",
    ),
    "equal_roots": (
        "One state",
        "After every block all departments came to the same contents and the same log, down to the last byte.",
    ),
    "every_acknowledged_record_once": (
        "Nothing lost, nothing twice",
        "Whatever a department got a receipt for stands on the ledger exactly once, where the receipt says.",
    ),
    "every_planted_error_refused": (
        "Mistakes refused",
        "Every deliberate mistake was refused, with exactly the reason it should get, where it should be noticed.",
    ),
    "every_breach_recorded": (
        "Lateness on record",
        "Whatever was not done in time is on the ledger as such, by itself, in the first block after its last day.",
    ),
    "every_delivery_matches": (
        "Data as granted",
        "What nodes fetched from each other's databases is what was granted, row for row, and both sides signed.",
    ),
    "every_bundle_verifies": (
        "Certificates provable",
        "A certificate of every type, taken out of the network as a file, proves itself without the network.",
    ),
}

ROLES_IN_WORDS = {
    "directory_authority": "takes data into the catalogue",
    "registrar": "approves responsibilities",
    "auditor": "audits",
    "department": "department",
    "provider": "provides data",
}

SHARING_TYPES_IN_WORDS = {
    "unconditional": ("Unconditional", "granted at once, by the catalogue alone"),
    "conditional": ("Conditional", "the owner answers within ten working days"),
    "not_shared": ("Not shared", "the directory authority decides, upon a named law"),
}

DUTIES_IN_WORDS = {
    "answer": "answer a request",
    "decide": "decide upon a request or objection",
    "deliver": "deliver what was granted",
    "acknowledge": "say whether a delivery arrived",
    "correct": "answer an objection",
}

STATUSES = ("valid", "suspended", "replaced", "withdrawn", "cancelled", "revoked")

# Characters that HTML forbids, or that turn the direction of the text around them.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
    "|[\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0010fffe\U0010ffff]"
)


@dataclass(frozen=True, slots=True)
class Card:
    """A member on the map: a circle whose area is its records, and what to call it."""

    x: int
    y: int
    radius: float
    row: DepartmentRow
    role: str
    """The role that sets it apart: `directory_authority`, `registrar`, `auditor`, `provider` or `department`."""
    english: Sequence[str]
    """Its English name in at most two lines."""
    figures: DepartmentFigures


@dataclass(frozen=True, slots=True)
class Map:
    """All members, in the units of the drawing."""

    width: int
    height: int
    cards: Sequence[Card]
    headings: Sequence[tuple[int, str]]
    """Vertical position and text."""

    @property
    def legend(self) -> dict[str, str]:
        """The roles that are on the map, and what they mean."""
        shown = {card.role for card in self.cards}
        return {role: meaning for role, meaning in ROLES_IN_WORDS.items() if role in shown}


@dataclass(frozen=True, slots=True)
class Bar:
    """The records of some blocks that are next to each other in time."""

    x: float
    width: float
    accepted_y: float
    accepted_height: float
    refused_y: float
    refused_height: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Records over time, in the units of the drawing."""

    width: int
    height: int
    left: int
    right: int
    """Where the time axis begins and ends."""
    bottom: int
    """How far down it is."""
    bars: Sequence[Bar]
    across: Sequence[tuple[float, str]]
    """Ticks of the time axis: place and label."""
    upwards: Sequence[tuple[float, str]]
    """Ticks of the record axis: place and label."""
    bar_means: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A code that was given, why, and what to do about it."""

    label: str
    count: int
    cause: str
    next_step: str


@dataclass(frozen=True, slots=True)
class VerifyCommand:
    """How to check one bundle of this run."""

    path: str
    """Of the bundle beside the report, quoted for a shell."""
    now: str
    """The time at which it is fresh, for runs whose clock is not the reader's; else empty."""


def report_html(result: SimulationResult, evidence: Evidence, city: City) -> bytes:
    """Return the page.

    Args:
        evidence: What `result` was made from; its records over time are drawn.
        city: Names and roles of the members.
    """
    page = _environment().get_template("report.html.jinja")
    text = page.render(
        result=result,
        words=CHECKS_IN_WORDS,
        map=department_map(result, city),
        chart=records_over_time(result, evidence, city),
        refusals=[Refusal(label, count, *cause_of(label)) for label, count in result.refused.items()],
        statuses=_statuses(result),
        sharing=result.sharing,
        sharing_types=SHARING_TYPES_IN_WORDS,
        duties=DUTIES_IN_WORDS,
        flow=None if result.sharing is None else flow_picture(result.sharing.flows),
        names={row.code: row for row in city.departments},
        verify=_verify_command(result, evidence, city),
        assumed_types=sum(row.source == "assumption" for row in city.certificate_types),
        types=len(city.certificate_types),
        responsibilities=len(city.responsibilities),
        data_items=len(city.data_items),
    )
    return text.encode()


# --------------------------------------------------------------------------------------------------- the map

_COLUMNS = 4
_CARD_WIDTH, _CARD_HEIGHT = 262, 76
_HEADING_HEIGHT = 34
_RADIUS_MAX, _RADIUS_MIN = 25.0, 3.0
_ROLES = ("directory_authority", "registrar", "auditor", "provider")


def department_map(result: SimulationResult, city: City) -> Map:
    """Return the members with a vote, then those without, each group by role and then by accepted records."""
    idle = DepartmentFigures()
    most = max([1, *(figures.accepted for figures in result.by_department.values())])
    cards: list[Card] = []
    headings = []
    y = 0
    for heading, rows in (
        ("With a vote: each runs a node and decides with the others", city.validators),
        ("Without a vote: they speak through another member's gateway", city.members),
    ):
        if not rows:
            continue
        headings.append((y + 20, heading))
        y += _HEADING_HEIGHT
        figures = {row.code: result.by_department.get(row.code, idle) for row in rows}
        ordered = sorted(rows, key=lambda row: (_role_order(row), -figures[row.code].accepted, row.rank))
        for place, row in enumerate(ordered):
            cards.append(
                Card(
                    x=place % _COLUMNS * _CARD_WIDTH,
                    y=y + place // _COLUMNS * _CARD_HEIGHT,
                    radius=_radius(figures[row.code].accepted, most),
                    row=row,
                    role=_role(row),
                    english=_two_lines(row.name_en, 27),
                    figures=figures[row.code],
                )
            )
        y += -(-len(ordered) // _COLUMNS) * _CARD_HEIGHT + 10
    return Map(_COLUMNS * _CARD_WIDTH, y, cards, headings)


def _role(row: DepartmentRow) -> str:
    return next((role for role in _ROLES if role in row.roles), "department")


def _role_order(row: DepartmentRow) -> int:
    return (*_ROLES, "department").index(_role(row))


def _radius(records: int, most: int) -> float:
    """Return a radius whose area is the share of the records; nobody is too small to be seen."""
    return round(max(_RADIUS_MIN, _RADIUS_MAX * math.sqrt(records / most)), 2)


def _two_lines(text: str, width: int) -> Sequence[str]:
    lines = wrap(text, width) or [""]
    return lines if len(lines) <= 2 else [lines[0], lines[1][: width - 1] + "…"]


# ------------------------------------------------------------------------------------------------- the chart

_CHART_WIDTH, _CHART_HEIGHT = 1048, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 44, 14, 244
_BARS_MAX = 120
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_TIME_STEPS_MS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 28)),
)


def records_over_time(result: SimulationResult, evidence: Evidence, city: City) -> Chart | None:
    """Return the records accepted and refused in blocks, in about 100 equal stretches of time; None without blocks."""
    if not result.blocks:
        return None
    first, last = result.blocks[0].time_ms, result.blocks[-1].time_ms
    span = last - first + 1
    stretch = next((step for step in _TIME_STEPS_MS if span <= _BARS_MAX * step), -(-span // _BARS_MAX))
    count = (last - first) // stretch + 1
    accepted, refused, blocks = [0] * count, [0] * count, [0] * count
    for block in result.blocks:
        blocks[(block.time_ms - first) // stretch] += 1
    try:
        for record in records_of(longest(evidence)):
            (accepted if record.code == ACCEPTED else refused)[(record.time_ms - first) // stretch] += 1
    except EvidenceError:
        return None
    highest = max(1, *(a + r for a, r in zip(accepted, refused, strict=True)))
    step = _round_step(highest)
    top = -(-highest // step) * step
    across = (_CHART_WIDTH - _LEFT - _RIGHT) / count
    upwards = (_BOTTOM - _TOP) / top
    bars = []
    for place in range(count):
        if not blocks[place]:
            continue
        high, low = accepted[place] * upwards, refused[place] * upwards
        bars.append(
            Bar(
                x=round(_LEFT + place * across, 2),
                width=round(max(1.0, across - 1.2), 2),
                accepted_y=round(_BOTTOM - high, 2),
                accepted_height=round(high, 2),
                refused_y=round(_BOTTOM - high - low, 2),
                refused_height=round(low, 2),
                title=f"{accepted[place]:,} accepted, {refused[place]:,} refused, {_blocks(blocks[place])}",
            )
        )
    return Chart(
        width=_CHART_WIDTH,
        height=_CHART_HEIGHT,
        left=_LEFT,
        right=_CHART_WIDTH - _RIGHT,
        bottom=_BOTTOM,
        bars=bars,
        across=_time_ticks(first, stretch * count, across / stretch, result, city),
        upwards=[(round(_BOTTOM - n * upwards, 2), f"{n:,}") for n in range(0, top + 1, step)],
        bar_means=_duration(stretch),
    )


def _time_ticks(
    first: int, span: int, per_ms: float, result: SimulationResult, city: City
) -> Sequence[tuple[float, str]]:
    """Return ticks on round times: of the city's clock in a virtual run, since the first block in a live one."""
    step = next((step for step in _TIME_STEPS_MS if span <= 8 * step), -(-span // 8))
    offset = city.workload.utc_offset_hours * _HOUR if result.mode == "virtual" else -first
    begin = -(-(first + offset) // step) * step - offset
    ticks = []
    for time_ms in range(begin, first + span + 1, step):
        if result.mode == "virtual":
            label = _local(time_ms, city).strftime("%d %b" if step >= _DAY else "%d %b %H:%M")
        else:
            label = _duration(time_ms - first)
        ticks.append((round(_LEFT + (time_ms - first) * per_ms, 2), label))
    return ticks


def _round_step(highest: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, ... that divides `highest` into at most five."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if highest <= 5 * digit * power:
                return digit * power
        power *= 10


def _duration(time_ms: int) -> str:
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if time_ms >= 2 * length:
            return f"{time_ms / length:.3g} {unit}"
    return f"{time_ms / _SECOND:.3g} s"


def _blocks(count: int) -> str:
    return "1 block" if count == 1 else f"{count:,} blocks"


def _local(time_ms: int, city: City) -> datetime:
    zone = timezone(timedelta(hours=city.workload.utc_offset_hours))
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)


# ------------------------------------------------------------------------------------------------- the rest


def _statuses(result: SimulationResult) -> dict[str, int]:
    """Return the certificates of each status over all types, in the order of their lives; unused ones left out."""
    totals = {s: sum(figures.by_status.get(s, 0) for figures in result.certificates) for s in STATUSES}
    return {status: count for status, count in totals.items() if count}


def _verify_command(result: SimulationResult, evidence: Evidence, city: City) -> VerifyCommand | None:
    if not evidence.bundles:
        return None
    bundle = evidence.bundles[0]
    now = _local(bundle.now_ms, city).isoformat(timespec="seconds") if result.mode == "virtual" else ""
    return VerifyCommand(shlex.quote(f"bundles/{bundle.name}"), now)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("scenarios", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )


def _printable(value: Any) -> Any:
    """Replace, in every text that is put into the page, what no page may hold. Markup is the template's own."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNPRINTABLE.sub("\ufffd", value)
    return value
