"""Fault plans: drawn from the seed alone, within what the protocol withstands, and with room for each class."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ledger.members.validators import faults
from scenarios.simulator.faults import FaultPlan, Partition, Pause, PowerLoss, draw_plan
from scenarios.simulator.streams import Streams
from scenarios.simulator.twins import draw_groups, draw_rounds

UNTIL_MS = 10_000


def plan_of(seed: int, n: int = 4) -> FaultPlan:
    return draw_plan(Streams(seed), n, until_ms=UNTIL_MS, base_timeout_ms=1_000)


def classes_of(plan: FaultPlan) -> set[str]:
    """Return what goes wrong in this plan."""
    conditions = plan.conditions
    present = {
        "loss": conditions.loss > 0,
        "duplicates": conditions.duplicates > 0,
        "late": conditions.late > 0,
        "reorder": not conditions.in_order,
        "partition by round": bool(plan.rounds),
        "twins": bool(plan.twins),
        "slow disk": plan.disk_speed.sync_us > 0,
        "clock skew": bool(plan.clock_skew_ms),
        "power loss": any(isinstance(event, PowerLoss) for event in plan.events),
        "pause": any(isinstance(event, Pause) for event in plan.events),
        "partition": any(isinstance(event, Partition) for event in plan.events),
    }
    return {name for name, there in present.items() if there}


def test_each_class_is_on_in_some_runs_and_off_in_others() -> None:
    """So that every class meets every other one, and sometimes has the run for itself."""
    counts = Counter(name for seed in range(400) for name in classes_of(plan_of(seed)))
    assert set(counts) == {
        *("loss", "duplicates", "late", "reorder", "partition by round", "twins"),
        *("slow disk", "clock skew", "power loss", "pause", "partition"),
    }
    assert all(90 < count < 250 for count in counts.values()), counts


@given(seed=st.integers(0, 1 << 40), n=st.sampled_from([4, 7, 10, 13]))
def test_never_more_validators_are_faulty_than_may_be(seed: int, n: int) -> None:
    """Twins and those that stay down together; beyond that bound nothing is promised."""
    plan = plan_of(seed, n)
    assert len(set(plan.twins) | plan.stay_down) == len(plan.twins) + len(plan.stay_down) <= faults(n)
    assert set(plan.twins) <= set(range(n))
    assert plan.stay_down <= set(range(n))


@given(seed=st.integers(0, 1 << 40))
def test_faults_begin_before_the_end_and_name_instances_that_exist(seed: int) -> None:
    """Each event has its end, after its beginning."""
    plan = plan_of(seed)
    instances = range(4 + len(plan.twins))
    for event in plan.events:
        assert 0 <= event.at_ms <= UNTIL_MS
        assert event.at_ms < event.back_ms
        if isinstance(event, Partition):
            assert set().union(*event.groups) == set(instances)
        else:
            assert event.instance in instances


@given(seed=st.integers(0, 1 << 40))
def test_one_seed_gives_one_plan(seed: int) -> None:
    """Everything that a run replays from."""
    assert plan_of(seed) == plan_of(seed)


@given(seed=st.integers(0, 1 << 40), instances=st.integers(1, 12))
def test_groups_hold_everybody_once(seed: int, instances: int) -> None:
    """No instance is in two groups of a partition, none is left out, no group is empty."""
    groups = draw_groups(instances, Streams(seed).named("groups"))
    assert sorted(instance for group in groups for instance in group) == list(range(instances))
    assert all(groups)


def test_some_rounds_keep_the_partition_of_the_round_before() -> None:
    """A commit needs two rounds in one group."""
    rounds = draw_rounds(5, 40, Streams(1).named("rounds"))
    assert sorted(rounds) == list(range(1, 41))
    kept = sum(1 for round_ in range(2, 41) if rounds[round_] == rounds[round_ - 1])
    assert 8 < kept < 32
