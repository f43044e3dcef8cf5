"""Twins: a validator that runs twice under one set of keys, each instance correct in itself and unaware of the other.

Together they do what a dishonest validator would do: propose two blocks in a round, vote for both sides of a partition,
name certificates that they should have left behind. So an unchanged implementation is its own adversary.

Source: Bano and others, "Twins: BFT Systems Made Robust", OPODIS 2021.
"""

from __future__ import annotations

from scenarios.simulator.network import Groups
from scenarios.simulator.streams import Stream


def draw_groups(instances: int, draws: Stream) -> Groups:
    """Return all instances in one to three groups."""
    groups: list[set[int]] = [set() for _ in range(draws.between(1, 3))]
    for instance in range(instances):
        draws.choice(groups).add(instance)
    return tuple(frozenset(group) for group in groups if group)


def draw_rounds(instances: int, rounds: int, draws: Stream) -> dict[int, Groups]:
    """Return a partition for each protocol round from 1 to `rounds`; some rounds keep that of the round before.

    A commit needs two rounds in a row in one group, so that partitions that change every round would show little.
    """
    drawn: dict[int, Groups] = {}
    groups = draw_groups(instances, draws)
    for round_ in range(1, rounds + 1):
        if draws.chance(500):
            groups = draw_groups(instances, draws)
        drawn[round_] = groups
    return drawn
