"""A hook to slow single stages on purpose: so it can be seen that a report names the stage that is slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Slowing:
    """By how much which stages are slowed; by default none is."""

    factors: Mapping[str, float] = field(default_factory=dict)
    """1 or more, by stage."""
    wait: Callable[[float], None] = time.sleep

    def extend(self, stage: str, took_s: float) -> float:
        """Wait until a stage that took `took_s` has taken its factor of that; return the seconds that passed in all."""
        extra_s = (self.factors.get(stage, 1.0) - 1.0) * max(0.0, took_s)
        if extra_s > 0:
            self.wait(extra_s)
        return took_s + max(0.0, extra_s)


NOT_SLOWED = Slowing()
