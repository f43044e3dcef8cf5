"""Holders of certificates, made up and clearly fictional.

A holder is a number and words that say it is fictional: 虚构市民第004711号, "Fictional Resident 004711". No names, and
nothing in the form of a citizen number or a credit code: such numbers, made up by the right rule, belong to somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scenarios.beijing.city import DistrictRow
from scenarios.simulator.streams import Stream

_WORDS = {
    "person": ("P", "虚构市民", "Fictional Resident"),
    "organ": ("O", "虚构单位", "Fictional Organisation"),
    "thing": ("T", "虚构标的", "Fictional Object"),
}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who or what a certificate is about."""

    kind: Literal["person", "organ", "thing"]
    number: int
    """0 to 999,999. Two certificates may well be about one holder."""
    district: DistrictRow

    @property
    def reference(self) -> str:
        """By which the holder is told apart, for example `FICTION-P-004711`."""
        return f"FICTION-{_WORDS[self.kind][0]}-{self.number:06}"

    @property
    def name(self) -> str:
        """In both languages."""
        _, chinese, english = _WORDS[self.kind]
        return f"{chinese}第{self.number:06}号 {english} {self.number:06}"

    @property
    def text(self) -> str:
        """What the issuer commits to, NFC."""
        return f"{self.name} ({self.reference})"


def draw_holder(kind: Literal["person", "organ", "thing"], districts: Sequence[DistrictRow], draws: Stream) -> Holder:
    """Return a holder of this kind."""
    return Holder(kind, draws.below(1_000_000), draws.choice(districts))
