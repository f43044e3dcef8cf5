"""Plots as SVG for a page that needs no network and no script. Colours come from the page, by class."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

WIDTH = 860
LEFT, RIGHT, TOP, BOTTOM = 78, 190, 16, 52


class Series(NamedTuple):
    """One line of a plot."""

    name: str
    points: Sequence[tuple[float, float]]


class Bar(NamedTuple):
    """One bar, made of parts."""

    label: str
    parts: Mapping[str, float]
    remark: str
    """Stands behind the bar."""


def line_chart(series: Sequence[Series], *, x_label: str, y_label: str, height: int = 360) -> str:
    """Return a plot of lines over logarithmic axes; every point shows its value on request."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points]
    low, high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys)))
    right, bottom = WIDTH - RIGHT, height - BOTTOM

    def x_of(x: float) -> float:
        return LEFT + (right - LEFT) * _part(x, min(xs), max(xs))

    def y_of(y: float) -> float:
        return bottom - (bottom - TOP) * _part(y, low, high)

    def body() -> Iterator[str]:
        for y in _decades(low, high):
            yield f'<path class="grid" d="M{LEFT} {y_of(y):.1f}H{right}"/>'
            yield _text(LEFT - 8, y_of(y) + 4, _number(y), "tick end")
        for x in sorted(set(xs)):
            yield f'<path class="grid" d="M{x_of(x):.1f} {TOP}V{bottom}"/>'
            yield _text(x_of(x), bottom + 18, _number(x), "tick middle")
        yield _text((LEFT + right) / 2, height - 10, x_label, "label middle")
        yield f'<g transform="translate(16 {(TOP + bottom) / 2:.0f}) rotate(-90)">'
        yield _text(0, 0, y_label, "label middle") + "</g>"
        ends = _spread([y_of(one.points[-1][1]) for one in series], 17)
        for number, (one, end) in enumerate(zip(series, ends, strict=True)):
            line = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in one.points)
            yield f'<polyline class="line c{number}" points="{line}"/>'
            for x, y in one.points:
                title = f"{one.name}, {_number(x)}: {y:,.0f}"
                yield f'<circle class="dot c{number}" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4">'
                yield f"<title>{escape(title)}</title></circle>"
            last_x, last_y = one.points[-1]
            yield _text(x_of(last_x) + 12, end + 4, f"{one.name}  {_number(last_y)}", f"name t{number}")

    return _svg(height, f"{y_label} by {x_label}", body())


def bar_chart(bars: Sequence[Bar], classes: Mapping[str, int], *, x_label: str) -> str:
    """Return horizontal bars, each of its parts one after the other; `classes` gives each part its colour."""
    row, gap = 26, 12
    left, right = 200, WIDTH - 210
    height = TOP + len(bars) * (row + gap) + BOTTOM - 8
    most = max(sum(bar.parts.values()) for bar in bars) or 1.0
    step = _step(most)

    def x_of(value: float) -> float:
        return left + (right - left) * value / most

    def body() -> Iterator[str]:
        bottom = TOP + len(bars) * (row + gap)
        for number in range(int(most / step) + 1):
            yield f'<path class="grid" d="M{x_of(number * step):.1f} {TOP}V{bottom}"/>'
            yield _text(x_of(number * step), bottom + 16, _number(number * step), "tick middle")
        yield _text((left + right) / 2, bottom + 38, x_label, "label middle")
        for number, bar in enumerate(bars):
            y = TOP + number * (row + gap) + gap / 2
            yield _text(left - 10, y + row / 2 + 4, bar.label, "end")
            start = 0.0
            for name, value in bar.parts.items():
                width = x_of(start + value) - x_of(start)
                yield f'<rect class="part c{classes[name]}" x="{x_of(start):.1f}" y="{y:.1f}" '
                yield f'width="{width:.1f}" height="{row}">'
                yield f"<title>{escape(f'{name}: {value:,.3g}')}</title></rect>"
                start += value
            yield _text(x_of(start) + 8, y + row / 2 + 4, bar.remark, "remark")

    return _svg(height, x_label, body())


def _part(value: float, low: float, high: float) -> float:
    """Return where a value stands between two others on a logarithmic axis, 0 to 1."""
    return (math.log(value) - math.log(low)) / ((math.log(high) - math.log(low)) or 1.0)


def _decades(low: float, high: float) -> Iterator[float]:
    while low <= high * 1.001:
        yield low
        low *= 10


def _step(most: float) -> float:
    """Return a round distance that gives four to eight marks."""
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next(power * factor for factor in (1, 2, 5, 10) if most / (power * factor) <= 8)


def _spread(places: Sequence[float], least: float) -> list[float]:
    """Return the places, moved so that no two are nearer than `least`."""
    moved = list(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + least)
    return moved


def _number(value: float) -> str:
    """Return a number in few characters: 950, 4 k, 1.3 M."""
    for limit, unit in ((1_000_000, " M"), (1_000, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(height: float, title: str, body: Iterator[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(body)}</svg>"
    )
