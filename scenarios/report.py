"""The result of a run: one object for programs, one text for people.

A virtual run's result holds nothing that could differ between two runs of one seed: no wall time, path, host or commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from ledger.registers import RULEBOOK
from scenarios.beijing.city import City
from scenarios.evidence.checks import CheckResult, Evidence, longest, run_checks
from scenarios.evidence.forms import EvidenceError
from scenarios.evidence.summary import (
    BlockOnLedger,
    DepartmentFigures,
    accepted_by_kind,
    blocks_of,
    certificates_by_type,
    figures_by_department,
    refused_by_code,
)
from scenarios.report_sharing import SharingFigures, sharing_figures

SCHEMA: Literal["mulu.simulation/1"] = "mulu.simulation/1"

Mode = Literal["live", "virtual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a live run took."""

    set_up_s: float
    """Until all departments answered."""
    run_s: float
    """From then until the last receipt."""
    latency_p50_ms: float
    """From sending an envelope to holding its receipt."""
    latency_p99_ms: float
    receipts: int

    @classmethod
    def of(cls, latencies_ms: Sequence[float], *, set_up_s: float, run_s: float) -> Self:
        """Return the timing of a run with these latencies, at least one; percentiles by nearest rank."""
        ordered = sorted(latencies_ms)
        return cls(
            set_up_s=round(set_up_s, 3),
            run_s=round(run_s, 3),
            latency_p50_ms=round(_nearest_rank(ordered, 50), 1),
            latency_p99_ms=round(_nearest_rank(ordered, 99), 1),
            receipts=len(ordered),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFigures:
    """The certificates of one type."""

    code: str
    name_en: str
    name_zh: str
    department: str
    """Short code of who issues them; empty for a type that the city does not know."""
    by_status: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationResult:
    """What a run came to. Everything but `timing` and `unexpected` is read from what the nodes left behind."""

    scenario: str
    departments: int
    engine: str
    mode: Mode
    seed: int
    backend: str
    """What verified signatures: a name of `ledger.crypto.backend`, or `any` for virtual runs."""
    height: int
    envelopes: int
    accepted: Mapping[str, int]
    """Records by kind."""
    refused: Mapping[str, int]
    """Records and envelopes by code: on the ledger and at gateways."""
    certificates: tuple[CertificateFigures, ...]
    by_department: Mapping[str, DepartmentFigures]
    """By short code."""
    blocks: tuple[BlockOnLedger, ...]
    sharing: SharingFigures | None
    """None if nobody asked for data."""
    checks: tuple[CheckResult, ...]
    unexpected: tuple[str, ...]
    """Answers that the story did not foresee, one sentence each."""
    timing: Timing | None

    @property
    def ok(self) -> bool:
        """Whether every check holds and every answer was foreseen."""
        return all(check.ok for check in self.checks) and not self.unexpected

    def as_json(self) -> dict[str, Any]:
        """Return JSON values; `docs/mulu.simulation-1.schema.json` describes them."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "ok": self.ok,
            "scenario": self.scenario,
            "departments": self.departments,
            "engine": self.engine,
            "mode": self.mode,
            "seed": self.seed,
            "backend": self.backend,
            "height": self.height,
            "envelopes": self.envelopes,
            "records": {"accepted": dict(self.accepted), "refused": dict(self.refused)},
            "certificates": {figures.code: dict(figures.by_status) for figures in self.certificates},
            "by_department": {
                code: {"accepted": f.accepted, "refused": f.refused, "blocks": f.blocks}
                for code, f in self.by_department.items()
            },
            "sharing": None if self.sharing is None else self.sharing.as_json(),
            "checks": {check.name: check.ok for check in self.checks},
            "check_details": {check.name: check.detail for check in self.checks},
            "unexpected": list(self.unexpected),
        }
        if self.timing is not None:
            document["timing"] = {name: getattr(self.timing, name) for name in Timing.__dataclass_fields__}
        return document

    def as_bytes(self) -> bytes:
        """Return the JSON text that `report.json` and `--json` show, with a line end."""
        return (json.dumps(self.as_json(), ensure_ascii=False, indent=2) + "\n").encode()

    def as_text(self, files: Mapping[str, str] | None = None) -> str:
        """Return the verdict for people, with a line end.

        Args:
            files: What was kept, and where: `{"report": "out/report.html"}`.
        """
        return "\n".join((*self._lines(), *_section("Kept", (files or {}).items()))) + "\n"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        ran = (
            f"{self.departments} {_plural(self.departments, 'department')} put {sum(self.accepted.values()):,} records "
            f"on one ledger of {self.height:,} blocks"
        )
        failed = sum(not check.ok for check in self.checks)
        if failed:
            return f"{failed} of {len(self.checks)} checks {_plural(failed, 'does', 'do')} not hold: {ran}."
        if self.unexpected:
            many = len(self.unexpected)
            answers = f"{many:,} {_plural(many, 'answer was', 'answers were')}"
            return f"All checks hold, but {answers} not as foreseen: {ran}."
        return f"All {len(self.checks)} checks hold: {ran}."

    def _lines(self) -> Iterator[str]:
        yield self.sentence
        yield ""
        how = "real processes" if self.mode == "live" else "virtual clock, network and disk in one process"
        yield f"Ran          {self.scenario}, {self.departments} departments, {self.engine}, seed {self.seed}; {how}"
        if self.timing is not None:
            t = self.timing
            yield f"Took         {t.set_up_s:.1f} s to set up, {t.run_s:.1f} s to run"
            half, most = f"{t.latency_p50_ms:,.0f} ms", f"{t.latency_p99_ms:,.0f} ms"
            yield f"Receipts     {t.receipts:,}; half within {half}, 99 % within {most}"
        yield from _section(
            f"Accepted: {sum(self.accepted.values()):,} records in {self.envelopes:,} envelopes",
            ((kind, f"{count:,}") for kind, count in self.accepted.items()),
        )
        yield from _section(
            f"Refused: {sum(self.refused.values()):,}, each with its code",
            ((label, f"{count:,}  {cause_of(label)[0]}") for label, count in self.refused.items()),
        )
        statuses = _sum_by_status(self.certificates)
        yield from _section(
            f"Certificates: {sum(statuses.values()):,} of {len(self.certificates)} types",
            ((status, f"{count:,}") for status, count in statuses.items()),
        )
        if self.sharing is not None:
            asked = sum(sum(outcomes.values()) for outcomes in self.sharing.requests.values())
            yield from _section(f"Sharing: {asked:,} requests for data", self.sharing.lines())
        yield from _section(
            "Checks, computed from the nodes' files after they stopped",
            ((check.name, f"{'yes' if check.ok else 'NO '}  {check.detail}") for check in self.checks),
        )
        yield from _section("Not foreseen", ((f"{n}.", text) for n, text in enumerate(self.unexpected[:20], 1)))


def result_of(
    evidence: Evidence,
    city: City,
    *,
    scenario: str,
    engine: str,
    mode: Mode,
    seed: int,
    backend: str,
    unexpected: Sequence[str] = (),
    timing: Timing | None = None,
) -> SimulationResult:
    """Return the result of a run that left this evidence: all checks, and everything that can be counted.

    Evidence that cannot be read counts for nothing and is never a good result.

    Raises:
        ValueError: A virtual run with wall times.
    """
    if mode == "virtual" and timing is not None:
        raise ValueError("a virtual run's result holds no wall time: the same seed must give the same bytes")
    figures: dict[str, DepartmentFigures] = {}
    blocks: tuple[BlockOnLedger, ...] = ()
    accepted: dict[str, int] = {}
    refused: dict[str, int] = {}
    certificates: dict[str, dict[str, int]] = {}
    sharing: SharingFigures | None = None
    codes = {str(row.uscc): row.code for row in city.departments}
    checks = run_checks(evidence)
    try:
        blocks = tuple(blocks_of(longest(evidence)))
        figures = figures_by_department(evidence)
        accepted, refused = accepted_by_kind(evidence), refused_by_code(evidence)
        certificates = certificates_by_type(evidence)
        sharing = sharing_figures(evidence, codes)
    except EvidenceError as error:
        unexpected = (*unexpected, f"The ledger cannot be counted: {error}")
    types = {row.code: row for row in city.certificate_types}
    return SimulationResult(
        scenario=scenario,
        departments=len(evidence.signers.consensus),
        engine=engine,
        mode=mode,
        seed=seed,
        backend=backend,
        height=len(blocks),
        envelopes=sum(block.envelopes for block in blocks),
        accepted=accepted,
        refused=refused,
        certificates=tuple(
            CertificateFigures(
                code=code,
                name_en=types[code].name_en if code in types else code,
                name_zh=types[code].name_zh if code in types else "",
                department=types[code].department if code in types else "",
                by_status=by_status,
            )
            for code, by_status in certificates.items()
        ),
        by_department={codes.get(credit_code, credit_code): figure for credit_code, figure in figures.items()},
        blocks=blocks,
        sharing=sharing,
        checks=tuple(checks),
        unexpected=tuple(unexpected),
        timing=timing,
    )


def cause_of(label: str) -> tuple[str, str]:
    """Return cause and next step of a refusal code by its label; empty texts for a code of the gateway alone."""
    for code in RULEBOOK.codes.values():
        if code.label == label:
            return code.cause, code.next_step
    return "", ""


def _section(title: str, rows: Any) -> Iterator[str]:
    rows = list(rows)
    if not rows:
        return
    width = max(len(name) for name, _ in rows)
    yield ""
    yield title
    for name, value in rows:
        yield f"  {name:<{width}}  {value}".rstrip()


def _sum_by_status(certificates: Sequence[CertificateFigures]) -> dict[str, int]:
    total: dict[str, int] = {}
    for figures in certificates:
        for status, count in figures.by_status.items():
            total[status] = total.get(status, 0) + count
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _nearest_rank(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _plural(count: int, one: str, many: str | None = None) -> str:
    return one if count == 1 else many or one + "s"
