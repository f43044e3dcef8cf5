"""What a verifier reports of a log entry that came with a tlog-proof, in fixed parts, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from ledger.proofs.statement import Moment, Verdict, printable

FORMAT = "mulu.entry-statement/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRecord:
    """The record that the proof is about."""

    kind: str
    """Its tag, for example `certificates.issue`; `unknown` for bytes that no register knows."""
    position: int
    """Zero-based, among the records of its envelope."""
    result: str
    """`accepted`, or the code of its refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """What was shown to stand in the log."""

    index: int
    size: int
    """Entries of the log at the checkpoint."""
    block: Moment | None
    """Of a block record; an envelope's entry does not say when."""
    department: str | None
    """Who sealed the envelope, by the policy's names; None for a block record."""
    results: tuple[str, ...]
    """Of each record of the envelope."""
    record: ShownRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryStatement:
    """Whether the entry, and the record in it, are on the ledger, and what that rests on."""

    established: bool | None
    """None if that cannot be said."""
    entry: ShownEntry | None
    signers: tuple[str, ...]
    """Names of the departments that cosigned, as the policy has them."""
    rule: str
    """What the policy asks for, in words."""
    reason: str
    """Why the answer is not yes, one sentence; empty if it is."""
    not_checked: tuple[str, ...]

    @classmethod
    def without_evidence(cls, established: bool | None, reason: str) -> Self:
        """Return the statement that nothing was shown, for one reason."""
        return cls(established=established, entry=None, signers=(), rule="", reason=reason, not_checked=())

    @property
    def verdict(self) -> Verdict:
        """What the answer comes to."""
        if self.established is None:
            return Verdict.NOT_ESTABLISHED
        return Verdict.ESTABLISHED if self.established else Verdict.REFUTED

    @property
    def exit_code(self) -> int:
        """0 established, 3 refuted, 4 not established."""
        return {Verdict.ESTABLISHED: 0, Verdict.REFUTED: 3, Verdict.NOT_ESTABLISHED: 4}[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """Return the statement as JSON values; every key is always there, null where nothing was shown."""
        entry = self.entry
        record = entry.record if entry else None
        return {
            "format": FORMAT,
            "verdict": self.verdict.value,
            "log_index": entry.index if entry else None,
            "log_size": entry.size if entry else None,
            "block": entry.block.as_json() if entry and entry.block else None,
            "department": entry.department if entry else None,
            "results": list(entry.results) if entry else [],
            "record": {"kind": record.kind, "position": record.position, "result": record.result} if record else None,
            "signers": list(self.signers),
            "rule": self.rule or None,
            "reason": self.reason or None,
            "not_checked": list(self.not_checked),
        }

    def as_text(self) -> str:
        """Return the statement for people."""
        return "\n".join(map(printable, self._lines()))

    def _lines(self) -> Iterator[str]:
        yield f"Verdict      {self.verdict.value}"
        if (entry := self.entry) is not None:
            yield f"Log entry    {entry.index} of {entry.size}"
            if entry.block is not None:
                yield f"Block        {entry.block.text()}"
            if entry.department is not None:
                yield f"Envelope of  {entry.department}"
                yield f"Results      {', '.join(entry.results)}"
            if entry.record is not None:
                yield f"Record       {entry.record.kind}, number {entry.record.position}: {entry.record.result}"
            yield f"Cosigned by {len(self.signers)}, {self.rule}:"
            yield from (f"  - {signer}" for signer in self.signers)
        if self.reason:
            yield f"Because      {self.reason}"
        if self.not_checked:
            yield "Not checked:"
            yield from (f"  - {sentence}" for sentence in self.not_checked)
