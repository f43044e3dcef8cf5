"""`report.html`: what this machine reaches, for a person to read, in one file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nodes.measurements.charts import Bar, Series, bar_chart, line_chart
from nodes.measurements.stages import STAGES

COLOURS = {**{stage: number for number, stage in enumerate(STAGES)}, "rate": 0}

STYLE = Path(__file__).with_name("report.css")

PEERS = (
    ("Hyperledger Fabric 2.5", "2,947", "three machines with 40 threads each"),
    ("Fabric-X", "15,000", "one machine with 12 virtual processors"),
    ("BigchainDB", "298 to 636", "four nodes with 32 virtual processors each"),
    ("CometBFT", "about 400", "175 validators"),
    ("Besu, QBFT", "750 to 1,200", "hardware not stated"),
)
"""Transactions a second from submission to commit, as published with the hardware that was stated."""


def page(targets: Mapping[str, Any], plots: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        targets: A document `mulu.targets/1`.
        plots: What `sweep` returns.
    """
    return "".join(_page(targets, plots))


def _page(targets: Mapping[str, Any], plots: Mapping[str, Any]) -> Iterator[str]:
    rows = targets["rows"]
    met, missed = sum(row["met"] is True for row in rows), sum(row["met"] is False for row in rows)
    yield '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    yield f"<title>Mulu: {met} of {len(rows)} targets met</title>"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<style>{STYLE.read_text(encoding='utf-8')}</style></head><body><main>"
    yield f"<h1>Block validation: {met} of {len(rows)} targets met, {missed} missed</h1>"
    yield f'<p class="lead">{escape(_machine(targets))}</p>'
    yield from _disturbed(targets)
    yield from _section("Targets", _TARGETS_LEAD, _targets_table(rows))
    batches = plots["batches"]
    backends = list(dict.fromkeys(point["backend"] for point in batches))
    yield from _section(
        "Signatures alone: throughput by batch size",
        "A block's signatures are verified in one batch. The native core checks one equation over all of them, so that "
        "each costs less the more there are; Python verifies one by one.",
        [
            line_chart(
                [
                    Series(name, [(p["batch"], p["per_second"]) for p in batches if p["backend"] == name])
                    for name in backends
                ],
                x_label="signatures in a batch",
                y_label="signatures a second",
            )
        ],
    )
    whole = sorted(plots["whole"], key=lambda point: (point["backend"] != "python", point["cores"], point["k"]))
    yield from _section(
        "Whole validation: from bytes to a durable journal",
        "k is how many records share an envelope and its signature. In brackets: times the loop that verifies one "
        "signature a record with OpenSSL, in the same rounds.",
        [
            bar_chart(
                [
                    Bar(
                        f"{_short(p['backend'])}, k = {p['k']}, {p['cores']} core{'s' if p['cores'] > 1 else ''}",
                        {"rate": p["per_second"]},
                        f"{p['per_second']:,} /s  ({p['ratio_to_loop']:g} x)",
                    )
                    for p in whole
                ],
                COLOURS,
                x_label="records a second",
            )
        ],
    )
    yield from _section(
        "Where the time goes",
        "What each stage takes for one record, on one core. The stage that takes longest binds the rate. Each backend "
        "has a scale of its own.",
        [_legend(), *_stage_charts(whole)],
    )
    yield from _section(
        "Cost by the size of the state",
        "One block of 10,000 records, one signature each, on states of different size. "
        + ("The tree of hashes is kept by the native core." if targets["backend"] != "python" else ""),
        [
            _legend(),
            bar_chart(
                [Bar(f"{p['keys']:,} keys", p["stages_us"], _costs(p)) for p in plots["keys"]],
                COLOURS,
                x_label="microseconds a record",
            ),
        ],
    )
    yield from _section("Live networks", _LIVE_LEAD, _live_tables(rows))
    yield from _section("Others, as published", _PEERS_LEAD, _peers_table())
    yield "</main></body></html>\n"


_TARGETS_LEAD = (
    "Ratios are taken within a round and are medians of all rounds; the loop verifies the same signatures one by one "
    "with OpenSSL. A row that this machine cannot run is neither met nor missed."
)
_LIVE_LEAD = (
    "Real node processes on this machine, every one of them validating everything, with the load made on the same "
    "cores. A record counts when its sender holds a receipt that a quorum has attested; its latency is from sending to "
    "receipt."
)
_PEERS_LEAD = (
    "End to end, from submission to commit, as their makers or studies published them. Other hardware, other records: "
    "to be read beside the live networks above, and not beside validation alone."
)


def _machine(targets: Mapping[str, Any]) -> str:
    machine = targets["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items() if number)
    return (
        f"{targets['cpu']}, {machine['cores']} cores ({', '.join(machine['cpu_features'])}), "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, journal on {machine['file_system']}. "
        f"{machine['python']}, {machine['openssl']}, {packages}. Backend {targets['backend']}: "
        f"{targets['backend_reason']}. Commit {targets['commit'] or 'unknown'}, {targets['date']}, "
        f"seed {targets['seed']}."
    )


def _disturbed(targets: Mapping[str, Any]) -> Iterator[str]:
    if (share := targets["cpu_share"]) is not None and share < 0.9:
        yield f'<p class="warning">Disturbed: while the targets were measured, this process got {share:.0%} of a core, '
        yield "because others were at work. Ratios survive that, rates do not.</p>"
    if targets["slow"]:
        slowed = ", ".join(f"{stage} by {factor:g}" for stage, factor in targets["slow"].items())
        yield f'<p class="warning">Slowed on purpose: {escape(slowed)}. No figure here is to be quoted.</p>'


def _section(title: str, lead: str, body: Sequence[str] | Iterator[str]) -> Iterator[str]:
    yield f'<section><h2>{escape(title)}</h2><p class="lead">{escape(lead)}</p>'
    yield from body
    yield "</section>"


def _targets_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield '<div class="scroll"><table><thead><tr><th>row</th><th>what</th><th class="number">measured</th>'
    yield '<th class="number">target</th><th class="number">moonshot</th>'
    yield "<th>met</th><th>binding stage</th></tr></thead><tbody>"
    for row in rows:
        sign = "≤" if row["at_most"] else "≥"
        kind, word = {True: ("yes", "met"), False: ("no", "missed"), None: ("open", "open")}[row["met"]]
        note = row.get("why") or row.get("missed") or _note(row)
        yield f"<tr><th>{row['row']}</th><td>{escape(row['what'])}"
        yield f'<div class="detail">{escape(note)}</div></td>' if note else "</td>"
        yield f'<td class="number strong">{_figure(row["measured"])}</td>'
        for bound in (row["target"], row["moonshot"]):
            yield f'<td class="number">{sign} {_bound(bound)}</td>'
        yield f'<td><span class="mark {kind}">{word}</span></td><td>{escape(row["binding"] or "")}</td></tr>'
    yield "</tbody></table></div>"


def _note(row: Mapping[str, Any]) -> str:
    notes = []
    if row["rounds"] > 1 and row["spread"]:
        notes.append(f"{row['rounds']} rounds, spread {row['spread']:.0%}")
    if "per_second" in row:
        notes.append(", ".join(f"{task}: {rate:,} /s" for task, rate in row["per_second"].items()))
    if "ceiling" in row:
        notes.append(f"at most {row['ceiling']:g} with free signatures")
    if "named" in row:
        notes.append(f"named: index {row['named']['index']}, proposer {row['named']['proposer']}")
    if "crafted" in row:
        notes.append(f"{row['vectors']} vectors and {row['crafted']:,} crafted, on {', '.join(row['backends'])}")
    if "p99_ms" in row:
        notes.append(f"p99 {row['p99_ms']:,} ms; {row['node_us']:g} us of each node for a record")
    return "; ".join(notes)


def _stage_charts(whole: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one chart for each backend, the native one first."""
    staged = [point for point in whole if "stages_us" in point]
    for backend in sorted({point["backend"] for point in staged}):
        bars = [
            Bar(f"{_short(backend)}, k = {p['k']}", p["stages_us"], _costs(p))
            for p in staged
            if p["backend"] == backend
        ]
        yield bar_chart(bars, COLOURS, x_label="microseconds a record")


def _costs(point: Mapping[str, Any]) -> str:
    return f"{sum(point['stages_us'].values()):.1f} us; binds: {point['binding']}"


def _live_tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    live = [row for row in rows if "steps" in row]
    if not live:
        yield "<p>Not measured in this run.</p>"
    for row in live:
        yield f"<h3>{escape(row['what'])}</h3><table><thead><tr><th>load</th>"
        yield '<th class="number">records/s</th><th class="number">p50</th><th class="number">p99</th></tr></thead>'
        yield "<tbody>"
        steps = [(f"k = {s['k']}, {s['in_flight']} envelopes on their way a gateway", s) for s in row["steps"]]
        steps += [(f"k = 1, {row['k=1']['in_flight']} a gateway", row["k=1"])] if row["k=1"] else []
        if (down := row["one_down"]) is not None:
            steps.append((f"k = {down['k']}, {down['in_flight']} a gateway, one node killed", down))
        for name, step in steps:
            yield f'<tr><td>{escape(name)}</td><td class="number strong">{step["records_per_second"]:,.0f}</td>'
            yield f'<td class="number">{step["p50_ms"]:,.0f} ms</td>'
            yield f'<td class="number">{step["p99_ms"]:,.0f} ms</td></tr>'
        yield "</tbody></table>"


def _peers_table() -> Iterator[str]:
    yield '<table><thead><tr><th>system</th><th class="number">tx/s</th><th>hardware</th></tr></thead><tbody>'
    for name, rate, hardware in PEERS:
        yield f'<tr><td>{escape(name)}</td><td class="number">{escape(rate)}</td><td>{escape(hardware)}</td></tr>'
    yield "</tbody></table>"


def _legend() -> str:
    entries = "".join(f'<li><span class="key k{COLOURS[stage]}"></span>{escape(stage)}</li>' for stage in STAGES)
    return f'<ul class="legend">{entries}</ul>'


def _short(backend: str) -> str:
    return "native" if backend.startswith("native") else "Python"


def _bound(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:g}"


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"
