"""What goes wrong in one run, drawn from its seed before it begins.

Each class of faults is off in about half of the runs, so that the others get room to meet; within a run the strengths
are drawn too ("swarm testing"). Everything stops at one moment; from then on the network must make progress.

Source: Groce and others, "Swarm Testing", ISSTA 2012; the two phases as in TigerBeetle's simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.members.validators import faults
from scenarios.simulator.cluster import Cluster
from scenarios.simulator.network import Conditions, Groups
from scenarios.simulator.node import DiskSpeed
from scenarios.simulator.streams import Stream, Streams
from scenarios.simulator.twins import draw_groups, draw_rounds

ROUNDS_CUT = 40
"""Protocol rounds that a partition by round covers."""


@dataclass(frozen=True, slots=True)
class PowerLoss:
    """A node is without power for a while."""

    instance: int
    at_ms: int
    """After the start of the run."""
    back_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A node stands still for a while and does not know it."""

    instance: int
    at_ms: int
    back_ms: int


@dataclass(frozen=True, slots=True)
class Partition:
    """The network is cut for a while: into groups, or in one direction only."""

    groups: Groups
    one_way: bool
    """Whether only the first group's way to all others is cut."""
    at_ms: int
    back_ms: int


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """Everything that goes wrong in one run."""

    until_ms: int
    """After the start; from then on nothing goes wrong."""
    conditions: Conditions
    disk_speed: DiskSpeed
    clock_skew_ms: Mapping[int, int]
    twins: tuple[int, ...]
    """Indices of validators that run twice; at most as many as may be faulty."""
    rounds: Mapping[int, Groups]
    events: tuple[PowerLoss | Pause | Partition, ...]
    stay_down: frozenset[int]
    """Instances that lose power at the end and do not come back: with the twins at most as many as may be faulty."""

    def schedule(self, cluster: Cluster) -> None:
        """Enter the plan into a cluster that was built with its options and has not run yet."""
        start = cluster.now_ms
        cluster.network.cut_rounds(self.rounds)
        for event in self.events:
            match event:
                case PowerLoss(instance, at_ms, back_ms):
                    cluster.at(start + at_ms, cluster.crash, instance)
                    cluster.at(start + back_ms, cluster.restart, instance)
                case Pause(instance, at_ms, back_ms):
                    cluster.at(start + at_ms, cluster.nodes[instance].pause)
                    cluster.at(start + back_ms, cluster.nodes[instance].resume)
                case Partition():
                    cluster.at(start + event.at_ms, self._cut, cluster, event, start + event.back_ms)

    def end(self, cluster: Cluster) -> None:
        """Take every fault away, but for those nodes that stay down."""
        cluster.heal()
        for instance in sorted(self.stay_down):
            cluster.crash(instance)

    @staticmethod
    def _cut(cluster: Cluster, event: Partition, back_ms: int) -> None:
        if event.one_way:
            others = frozenset(range(len(cluster.nodes))) - event.groups[0]
            cuts = cluster.cut(event.groups[0], others)
        else:
            cuts = cluster.partition(event.groups)
        cluster.at(back_ms, cluster.mend, cuts)


def draw_plan(streams: Streams, n: int, *, until_ms: int, base_timeout_ms: int) -> FaultPlan:
    """Return what goes wrong in a run of `n` validators."""
    draws = streams.named("faults")
    tolerated = faults(n)
    twins = tuple(sorted(draws.shuffled(range(n))[: draws.between(1, tolerated)])) if draws.chance(500) else ()
    instances = n + len(twins)
    events: list[PowerLoss | Pause | Partition] = []
    if draws.chance(500):
        events += _draw_power_losses(draws, instances, until_ms)
    if draws.chance(300):
        events += _draw_pauses(draws, instances, until_ms)
    if draws.chance(500):
        events += _draw_partitions(draws, instances, until_ms)
    spare = tolerated - len(twins)
    dead = draws.shuffled([index for index in range(n) if index not in twins])[: draws.between(0, spare)]
    return FaultPlan(
        until_ms=until_ms,
        conditions=_draw_conditions(draws, base_timeout_ms),
        disk_speed=DiskSpeed(sync_us=draws.between(100, 20_000) if draws.chance(500) else 0),
        clock_skew_ms={i: draws.between(-900, 900) for i in range(instances)} if draws.chance(300) else {},
        twins=twins,
        rounds=draw_rounds(instances, ROUNDS_CUT, draws) if draws.chance(500) else {},
        events=tuple(events),
        stay_down=frozenset(dead) if draws.chance(300) else frozenset(),
    )


def _draw_conditions(draws: Stream, base_timeout_ms: int) -> Conditions:
    longest = draws.choice((1_000, 5_000, 50_000, 200_000))
    return Conditions(
        delay_min_us=draws.between(100, longest),
        delay_max_us=longest,
        in_order=draws.chance(500),
        loss=draws.between(1, 300) if draws.chance(500) else 0,
        duplicates=draws.between(1, 500) if draws.chance(500) else 0,
        late=draws.between(1, 200) if draws.chance(500) else 0,
        late_max_us=draws.between(1, 10) * base_timeout_ms * 1_000,
    )


def _draw_power_losses(draws: Stream, instances: int, until_ms: int) -> list[PowerLoss]:
    if draws.chance(200):
        at_ms = draws.between(0, until_ms)
        return [PowerLoss(i, at_ms, at_ms + draws.between(1, 3_000)) for i in range(instances)]
    return [
        PowerLoss(draws.below(instances), at_ms, at_ms + draws.between(1, 5_000))
        for at_ms in sorted(draws.between(0, until_ms) for _ in range(draws.between(1, 8)))
    ]


def _draw_pauses(draws: Stream, instances: int, until_ms: int) -> list[Pause]:
    return [
        Pause(draws.below(instances), at_ms, at_ms + draws.between(1, 5_000))
        for at_ms in sorted(draws.between(0, until_ms) for _ in range(draws.between(1, 4)))
    ]


def _draw_partitions(draws: Stream, instances: int, until_ms: int) -> list[Partition]:
    drawn = []
    for _ in range(draws.between(1, 4)):
        at_ms = draws.between(0, until_ms)
        groups = draw_groups(instances, draws)
        drawn.append(Partition(groups, draws.chance(300), at_ms, at_ms + draws.between(100, 6_000)))
    return drawn
