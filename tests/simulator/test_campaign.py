"""Seeded runs of the real member: no fork, everything persisted before it is sent, and progress after the faults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.simulator.campaign import run_seed
from scenarios.simulator.faults import FaultPlan
from scenarios.simulator.network import Conditions
from scenarios.simulator.streams import Streams
from scenarios.simulator.twins import draw_rounds
from tests.hash_seeds import printed_under_hash_seeds
from tests.mutants.consensus_rules import MUTANTS

REGRESSION_SEEDS: list[dict[str, int]] = json.loads(
    (Path(__file__).parent / "regression_seeds.json").read_text(encoding="utf-8")
)
"""Every seed that ever failed, with its number of validators. None is ever taken out."""

SEEDS_EACH = 100
CHUNK = 5
"""Seeds a test: small enough to spread over processes."""


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("first", range(0, SEEDS_EACH, CHUNK))
def test_seeds(first: int, n: int) -> None:
    """Loss, delay, reordering, partitions in time and by round, power losses with torn writes, twins: nothing forks,
    and every correct member goes on when they stop.
    """
    outcomes = [run_seed(seed, n) for seed in range(first, first + CHUNK)]
    assert {outcome.seed: outcome.violations for outcome in outcomes if not outcome.good} == {}


@pytest.mark.parametrize("case", REGRESSION_SEEDS, ids=lambda case: f"{case['seed']}-{case['n']}")
def test_seeds_that_once_failed(case: dict[str, int]) -> None:
    """A mistake that was mended stays mended."""
    assert run_seed(case["seed"], case["n"]).violations == ()


@pytest.mark.parametrize("seed", [3, 11])
def test_a_seed_is_replayed_to_the_byte(seed: int) -> None:
    """Twice in one process, and with every member verifying and decoding for itself."""
    outcome = run_seed(seed, 4)
    assert run_seed(seed, 4) == outcome
    assert run_seed(seed, 4, shared_cache=False) == outcome


def test_the_hash_seed_changes_nothing() -> None:
    """Another order of sets and of hashes of strings gives the same trace."""
    command = ("-m", "scenarios.simulator.campaign", "--first", "7", "--seeds", "2", "--verbose")
    assert len(printed_under_hash_seeds(*command)) == 1


def test_over_the_bound_a_fork_is_found() -> None:
    """Two dishonest validators of four can break agreement, and the checkers see it: they are not blind."""

    def over_the_bound(plan: FaultPlan) -> FaultPlan:
        return replace(
            plan,
            conditions=Conditions(),
            twins=(0, 1),
            rounds=draw_rounds(6, 60, Streams(plan.conditions.delay_min_us).named("canary")),
            events=(),
            stay_down=frozenset(),
        )

    outcomes = (run_seed(seed, 4, change_plan=over_the_bound) for seed in range(40))
    assert any(violation.startswith("I1 ") for outcome in outcomes for violation in outcome.violations)


@pytest.mark.parametrize("name", ["vote after timeout", "voted round not saved"])
def test_seeds_find_a_broken_rule(name: str) -> None:
    """A member with a mistake in it is found by random runs too, beside the attacks that are directed at each rule."""
    with MUTANTS[name].apply():
        assert any(not run_seed(seed, 4).good for seed in range(20))
