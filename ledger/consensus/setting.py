"""What all parts of one member's engine work with."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.consensus.certificates import Verifier
from ledger.consensus.engine import Application, Timing
from ledger.consensus.leader import LeaderChoice
from ledger.consensus.outbox import Outbox
from ledger.consensus.safety import Safety
from ledger.identifiers import ValidatorIndex
from ledger.members.validators import ValidatorSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Given once for an epoch, and shared: each part takes from it what it needs, so that its needs can be read."""

    verifier: Verifier
    safety: Safety | None
    """None for an observer, which follows and signs nothing."""
    leaders: LeaderChoice
    timing: Timing
    application: Application
    outbox: Outbox = field(default_factory=Outbox)

    @property
    def validators(self) -> ValidatorSet:
        """Those of the epoch."""
        return self.verifier.validators

    @property
    def me(self) -> ValidatorIndex | None:
        """This member's place among them; None for an observer."""
        return self.safety.me if self.safety is not None else None
