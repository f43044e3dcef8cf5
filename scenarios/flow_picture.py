"""The flow of data between departments as a drawing: providers on the left, requesters on the right, bands between.

A band is as wide as its share of all rows. Departments beyond the largest on each side are drawn as one, so that the
picture stays readable at any number of departments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scenarios.report_sharing import ShownFlow

OTHERS = ""
"""Stands for all departments beyond the largest."""

SIDE_MAX = 12
_WIDTH = 1048
_BAR, _GAP = 12, 9
_LEFT, _RIGHT = 340, 708
"""Where the bars of providers and requesters stand."""
_HEIGHT = 430
"""Of all bands together on each side."""
_LINE = 17
"""At least so far apart, so that names do not stand upon each other."""
_END_MIN = 3.0
"""Height of the smallest end, so that it is seen."""


@dataclass(frozen=True, slots=True)
class End:
    """A department on one side."""

    code: str
    """Short code, or `OTHERS`."""
    y: float
    height: float
    rows: int

    @property
    def middle(self) -> float:
        """Where its name stands."""
        return round(self.y + self.height / 2, 2)


@dataclass(frozen=True, slots=True)
class Band:
    """What went from one end to another."""

    path: str
    provider: str
    requester: str
    rows: int
    shade: int
    """Of the provider, from 0; neighbours differ."""


@dataclass(frozen=True, slots=True)
class FlowPicture:
    """All of it, in the units of the drawing."""

    width: int
    height: int
    bar: int
    left: int
    right: int
    providers: Sequence[End]
    requesters: Sequence[End]
    bands: Sequence[Band]


SHADES = 6


def flow_picture(flows: Sequence[ShownFlow]) -> FlowPicture | None:
    """Return the drawing; None if no row went anywhere."""
    providers = _largest([(flow.provider, flow.rows) for flow in flows])
    requesters = _largest([(flow.requester, flow.rows) for flow in flows])
    rows: Counter[tuple[str, str]] = Counter()
    for flow in flows:
        source = flow.provider if flow.provider in providers else OTHERS
        target = flow.requester if flow.requester in requesters else OTHERS
        rows[source, target] += flow.rows
    rows = Counter({pair: count for pair, count in rows.items() if count})
    total = rows.total()
    if not total:
        return None
    left = _ends([(code, sum(n for (p, _), n in rows.items() if p == code)) for code in (*providers, OTHERS)], total)
    right = _ends([(code, sum(n for (_, r), n in rows.items() if r == code)) for code in (*requesters, OTHERS)], total)
    ends = [*left, *right]
    return FlowPicture(
        width=_WIDTH,
        height=round(max(end.y + end.height for end in ends)) + 8,
        bar=_BAR,
        left=_LEFT,
        right=_RIGHT,
        providers=left,
        requesters=right,
        bands=_bands(rows, left, right),
    )


def _largest(amounts: Sequence[tuple[str, int]]) -> list[str]:
    """Return the codes with the largest sums; if not all fit, one place is left for the others."""
    counts: Counter[str] = Counter()
    for code, amount in amounts:
        counts[code] += amount
    ordered = sorted(counts, key=lambda code: (-counts[code], code))
    return ordered if len(ordered) <= SIDE_MAX else ordered[: SIDE_MAX - 1]


def _ends(amounts: Sequence[tuple[str, int]], total: int) -> list[End]:
    ends, y = [], 6.0
    for code, rows in amounts:
        if not rows:
            continue
        height = max(_END_MIN, _HEIGHT * rows / total)
        ends.append(End(code, round(y, 2), round(height, 2), rows))
        y += max(height + _GAP, _LINE)
    return ends


def _bands(rows: Mapping[tuple[str, str], int], left: Sequence[End], right: Sequence[End]) -> list[Band]:
    """Return one band for each pair, in the order of the ends, so that bands of one end do not cross at it."""
    used_left = {end.code: end.y for end in left}
    used_right = {end.code: end.y for end in right}
    bands = []
    for shade, source in enumerate(left):
        for target in right:
            count = rows.get((source.code, target.code), 0)
            if not count:
                continue
            from_height, to_height = source.height * count / source.rows, target.height * count / target.rows
            path = _path(used_left[source.code], from_height, used_right[target.code], to_height)
            used_left[source.code] += from_height
            used_right[target.code] += to_height
            bands.append(Band(path, source.code, target.code, count, shade % SHADES))
    return bands


def _path(from_y: float, from_height: float, to_y: float, to_height: float) -> str:
    """Return the outline of a band: along the upper edge, down, and back along the lower one."""
    start, end = _LEFT + _BAR, _RIGHT
    middle = (start + end) / 2
    return (
        f"M{start} {from_y:.2f}C{middle:g} {from_y:.2f} {middle:g} {to_y:.2f} {end} {to_y:.2f}"
        f"V{to_y + to_height:.2f}"
        f"C{middle:g} {to_y + to_height:.2f} {middle:g} {from_y + from_height:.2f} {start} {from_y + from_height:.2f}Z"
    )
