"""Which data items are in demand: those of the richest owners most, by Zipf's law."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scenarios.beijing.city import City, DataItemRow
from scenarios.simulator.streams import Stream

SCALE = 1_000_000
"""Weights are whole numbers, so that adding them up rounds nowhere."""


class Zipf:
    """Draws from some data items of a city, with the exponent of its workload."""

    def __init__(self, city: City, rows: Sequence[DataItemRow]) -> None:
        ranked = sorted(rows, key=lambda row: -city.owner_of(row.responsibility).data_sets)
        self._weights = {row: int(SCALE / rank**city.workload.zipf_exponent) + 1 for rank, row in enumerate(ranked, 1)}

    def draw(self, draws: Stream, besides: Collection[DataItemRow] = ()) -> DataItemRow | None:
        """Return a data item that is not among `besides`; None if all are. Draws nothing then."""
        left = [(row, weight) for row, weight in self._weights.items() if row not in besides]
        if not left:
            return None
        ticket = draws.below(sum(weight for _, weight in left))
        for row, weight in left:
            if (ticket := ticket - weight) < 0:
                return row
        raise AssertionError("the ticket is beyond the last weight")
