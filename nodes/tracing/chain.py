"""A chain of steps, from a responsibility to a certificate's status, and what leads to what in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from nodes.words import record_words

Subject = Literal["responsibility", "type", "delivery", "certificate", "use"]


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether something was shown to be on the ledger under a policy."""

    proven: bool | None
    """False if the proof contradicts it; None if nobody can say yet."""
    reason: str = ""
    """Why it is not proven, one sentence; empty if it is."""

    def text(self) -> str:
        """Return it for people."""
        if self.proven:
            return "proven"
        return f"{'CONTRADICTED' if self.proven is False else 'not proven'}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"proven": self.proven, "reason": self.reason or None}


PROVEN = Proof(True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One record on the way, or a deadline that passed."""

    subject: Subject
    id: str
    """Of what it is about: a responsibility, a type, a delivery, a certificate."""
    kind: str | None
    """Tag of the record; None for a deadline."""
    department: Mapping[str, str] | None
    """`credit_code`, `code`, `name_en` and `name_zh` of who signed it."""
    height: int | None
    time: str | None
    """Of its block; None where only the place in the log is known."""
    log_index: int | None
    position: int | None
    proof: Proof

    @property
    def title(self) -> str:
        """What happened, for people."""
        return record_words(self.kind).en

    @property
    def by(self) -> str:
        """Who signed it, for people."""
        return "nobody" if self.department is None else name_of(self.department)

    @property
    def when(self) -> str:
        """Block and time, or the place in the log, for people."""
        return f"log entry {self.log_index}" if self.height is None else f"block {self.height}, {self.time}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The whole way."""

    trace: Mapping[str, Any]
    """What the node answers (`mulu.trace/1`)."""
    steps: Sequence[Step]
    """Of the responsibility, the type, deliveries, the certificate, and its use; each part in its order."""
    status: Proof
    """Whether the status, and that no step of the certificate is left out, was proven."""

    def of(self, subject: Subject) -> list[Step]:
        """Return the steps of one part, in their order."""
        return [step for step in self.steps if step.subject == subject]

    @property
    def proofs(self) -> list[Proof]:
        """Of all steps and of the status."""
        return [*(step.proof for step in self.steps), self.status]

    def links(self) -> Iterator[tuple[Step, Step]]:
        """Yield what leads to what: part by part, and from each part into the next one's beginning."""
        parts = [self.of("responsibility"), self.of("type"), self.of("certificate")]
        deliveries = dict.fromkeys(step.id for step in self.of("delivery"))
        for part in (*parts, *([step for step in self.of("delivery") if step.id == each] for each in deliveries)):
            yield from pairwise(part)
        for before, after in pairwise(parts):
            yield from _into(before, after)
        if issue := parts[-1][:1]:
            yield from ((issue[0], step) for step in self.of("use"))

    def delivered(self) -> Iterator[Step]:
        """Yield the last step of each delivery: what the issuer had when it issued, on its own word because of that."""
        yield from {step.id: step for step in self.of("delivery")}.values()


def name_of(department: Mapping[str, str]) -> str:
    """Return what people call a department: code, English and Chinese name, credit code."""
    names = " ".join(name for name in (department["name_en"], department["name_zh"]) if name)
    return f"{department['code']} {names} [{department['credit_code']}]"


def _into(before: Sequence[Step], after: Sequence[Step]) -> Iterator[tuple[Step, Step]]:
    """Yield the link from where one part stood at the time to the first step of the next."""
    if after:
        earlier = [step for step in before if (step.height or 0) <= (after[0].height or 0)]
        yield from ((step, after[0]) for step in earlier[-1:])
