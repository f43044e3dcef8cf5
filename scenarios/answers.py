"""What gateways answered to a story's envelopes, in the form that the checks over a run need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.registers import RULEBOOK
from scenarios.evidence.checks import Acknowledged, Planted
from scenarios.story import ACCEPTED, Submission

_NUMBERS = {code.label: code.number for code in RULEBOOK.codes.values()}


@dataclass(slots=True)
class Answers:
    """Receipts and refusals, beside what the story expects of each submission."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    """What the story did not foresee, one sentence each."""

    def refused(self, submission: Submission, envelope: bytes, code: str) -> None:
        """Note that a gateway did not take an envelope, and with which code."""
        if submission.fault is None:
            self.unexpected.append(
                f"{submission.through} refused envelope {envelope.hex()[:16]} of {submission.department}: {code}"
            )
            return
        self.planted.append(
            Planted(code=submission.fault.value, number=0, place="gateway", envelope=envelope, record=0, answer=code)
        )

    def taken(self, submission: Submission, envelope: bytes) -> None:
        """Note that a gateway took an envelope that it had to refuse."""
        self.refused(submission, envelope, "")

    def receipt(
        self, submission: Submission, envelope: bytes, *, height: int, log_index: int, results: Sequence[int]
    ) -> None:
        """Note a receipt.

        Args:
            log_index: Of the envelope's entry.
            results: The number of each record's code, 0 for accepted.
        """
        self.acknowledged.append(Acknowledged(envelope, height, log_index, bytes(results)))
        for position, (expected, number) in enumerate(zip(submission.expected, results, strict=True)):
            if expected != ACCEPTED:
                self.planted.append(Planted(expected, _NUMBERS[expected], "execution", envelope, position, ""))
            got = RULEBOOK.code_of(number).label if number else ACCEPTED
            if got != expected:
                kind = type(submission.records[position]).__name__
                self.unexpected.append(
                    f"{kind} of {submission.department} in envelope {envelope.hex()[:16]}: "
                    f"{got}, where the story has {expected}"
                )
