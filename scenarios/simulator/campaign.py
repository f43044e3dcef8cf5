"""Many seeds, each a run of its own: what goes wrong is drawn, what must hold is checked.

python -m scenarios.simulator.campaign --seeds 1000 --n 4
python -m scenarios.simulator.campaign --first 17 --seeds 1 --n 4        one seed again, with its trace
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ledger.errors import InvariantBrokenError, LedgerError, StorageFailedError
from scenarios.simulator.checkers import Agreement
from scenarios.simulator.cluster import Cluster, ClusterOptions
from scenarios.simulator.faults import FaultPlan, draw_plan
from scenarios.simulator.members import Seat, replica_at
from scenarios.simulator.node import Member
from scenarios.simulator.streams import Streams
from scenarios.simulator.workload import BASE_TIMEOUT_MS, Clerks, SmallNetwork, small_network, with_stand_ins

FAULTS_MS = 12_000
"""How long things go wrong in a run."""

PROGRESS_BASE_TIMEOUTS = 40
"""Within so many base timeouts after the faults every correct member has committed something new (I12)."""

ENVELOPES = 12
"""Handed in at random moments while things go wrong."""

REAL_SIGNATURES = 50
"""In so many of 1,000 runs everything is signed with Ed25519; in the others a keyed hash stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one seed."""

    seed: int
    n: int
    violations: tuple[str, ...]
    """Everything that must never happen and did; empty if all is well."""
    trace: str
    """SHA-256 over all events, 64 hexadecimal characters; equal whenever the seed is run again."""
    events: int
    height: int
    """Of the newest block that a correct member has executed."""
    recovery_ms: int
    """From the end of the faults until every correct member had committed something new."""

    @property
    def good(self) -> bool:
        """Whether everything that must hold did."""
        return not self.violations


def run_seed(
    seed: int,
    n: int,
    *,
    make_member: Callable[[Seat], Member] = replica_at,
    change_plan: Callable[[FaultPlan], FaultPlan] = lambda plan: plan,
    shared_cache: bool = True,
) -> Outcome:
    """Run one seed: faults for a while, then none, and the network must go on.

    Args:
        n: Validators, at least 4.
        make_member: Another member than the `Replica`, for example one with a mistake in it.
        change_plan: Applied to what was drawn, for example to leave faults out while looking for the one that matters.
        shared_cache: As in `ClusterOptions`; the outcome is the same.
    """
    streams = Streams(seed)
    plan = change_plan(draw_plan(streams, n, until_ms=FAULTS_MS, base_timeout_ms=BASE_TIMEOUT_MS))
    network = small_network(n)
    if not streams.named("signatures").chance(REAL_SIGNATURES):
        network = with_stand_ins(network)
    cluster = Cluster(
        network.genesis,
        network.nodes,
        seed,
        ClusterOptions(
            conditions=plan.conditions,
            disk_speed=plan.disk_speed,
            clock_skew_ms=plan.clock_skew_ms,
            twins=plan.twins,
            verification=network.verification,
            shared_cache=shared_cache,
        ),
        make_member=make_member,
    )
    run = _Run(cluster, network, plan)
    try:
        recovery_ms = run.to_the_end()
    except (InvariantBrokenError, StorageFailedError) as error:
        recovery_ms = 0
        run.failures.append(f"{type(error).__name__}: {error}")
    return Outcome(
        seed=seed,
        n=n,
        violations=(*run.failures, *cluster.finish()),
        trace=cluster.trace.hexdigest(),
        events=cluster.trace.events,
        height=max(run.heights.values(), default=0),
        recovery_ms=recovery_ms,
    )


class _Run:
    """One run of a campaign."""

    def __init__(self, cluster: Cluster, network: SmallNetwork, plan: FaultPlan) -> None:
        self.failures: list[str] = []
        self._cluster = cluster
        self._plan = plan
        self._clerks = Clerks(network, cluster.streams.named("workload"))
        self._moments = cluster.streams.named("moments")
        agreement = next(checker for checker in cluster.checkers if isinstance(checker, Agreement))
        self.heights = agreement.heights

    def to_the_end(self) -> int:
        """Play both phases; return how long the network took to go on, in milliseconds."""
        cluster, plan = self._cluster, self._plan
        start_ms = cluster.now_ms
        plan.schedule(cluster)
        for _ in range(ENVELOPES):
            cluster.at(start_ms + self._moments.between(0, plan.until_ms), self._hand_in)
        cluster.run_until(start_ms + plan.until_ms)
        plan.end(cluster)
        healed_ms = cluster.now_ms
        correct = [
            node.instance
            for node in cluster.nodes
            if node.index not in plan.twins and node.instance not in plan.stay_down
        ]
        newest = max((self.heights.get(instance, 0) for instance in correct), default=0)
        self._hand_in_to(correct)
        limit_ms = healed_ms + PROGRESS_BASE_TIMEOUTS * BASE_TIMEOUT_MS
        if not cluster.run_until(lambda: self._all_above(newest, correct), at_most_ms=limit_ms):
            stuck = {instance: self.heights.get(instance, 0) for instance in correct}
            self.failures.append(
                f"I12: {PROGRESS_BASE_TIMEOUTS} base timeouts after the faults not all are above {newest}: {stuck}"
            )
        return cluster.now_ms - healed_ms

    def _all_above(self, height: int, instances: list[int]) -> bool:
        return all(self.heights.get(instance, 0) > height for instance in instances)

    def _hand_in(self) -> None:
        self._hand_in_to([self._moments.below(len(self._cluster.nodes))])

    def _hand_in_to(self, instances: list[int]) -> None:
        raw = self._clerks.write()
        for instance in instances:
            node = self._cluster.nodes[instance]
            try:
                node.submit(raw)
            except (LedgerError, ValueError):
                # A gateway that is down or has seen it already: its client would go to another one.
                continue


def main(arguments: list[str] | None = None) -> int:
    """Run seeds and print what came of them; return 0 if all were good."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--n", type=int, default=4, help="validators (default: 4)")
    parser.add_argument("--verbose", action="store_true", help="one line for each seed")
    options = parser.parse_args(arguments)
    outcomes = []
    for seed in range(options.first, options.first + options.seeds):
        outcome = run_seed(seed, options.n)
        outcomes.append(outcome)
        if options.verbose or not outcome.good:
            print(_line(outcome), flush=True)
    bad = [outcome.seed for outcome in outcomes if not outcome.good]
    recoveries = sorted(outcome.recovery_ms for outcome in outcomes)
    print(
        f"n={options.n} seeds={options.first}..{options.first + options.seeds - 1} python={sys.version.split()[0]} "
        f"events={sum(o.events for o in outcomes)} blocks={sum(o.height for o in outcomes)} "
        f"recovery p50={recoveries[len(recoveries) // 2]} ms max={recoveries[-1]} ms failed={len(bad)}"
    )
    if bad:
        kinds = Counter(v.partition(" ")[0].rstrip(":") for o in outcomes for v in o.violations)
        print("failing seeds:", *bad)
        print("by invariant:", *(f"{kind}={count}" for kind, count in sorted(kinds.items())))
    return 1 if bad else 0


def _line(outcome: Outcome) -> str:
    verdict = "good" if outcome.good else "BAD"
    first = [f"{len(outcome.violations)} violations, the first: {outcome.violations[0]}"] if outcome.violations else []
    return " ".join(
        [
            f"seed={outcome.seed} n={outcome.n} {verdict} trace={outcome.trace[:16]} events={outcome.events}",
            f"height={outcome.height} recovery={outcome.recovery_ms} ms",
            *first,
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
