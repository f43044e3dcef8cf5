"""Nodes that lose their power while departments work: the others go on, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

import pytest

from nodes.launcher import Launcher
from scenarios.evidence.checks import run_checks
from scenarios.live import LiveOutcome
from tests.live.network import (
    READY_S,
    checkpoint_of,
    driver_of,
    first_departments,
    height_of,
    launched,
    metrics_of,
    playing,
    wait_for,
    wait_for_height,
)

pytestmark = [pytest.mark.live, pytest.mark.slow]

STORY_S = 20
"""Departments work for so long: about as long as the kills take; on a busy machine longer than the first of them."""

BLOCKS_BETWEEN_MAX = 6
"""A kill comes 1 to so many blocks after the one before, or after what it broke has healed."""


def test_five_killed_nodes_come_back_and_nothing_is_lost(tmp_path: Path) -> None:
    """SIGKILL at seeded moments, for the leader, then for two and two: the others go on, and each cosigns again."""
    city, rng = first_departments(7), Random(5)
    with launched(tmp_path / "network", city) as launcher:
        driver = driver_of(launcher, city, seed=5, duration_s=STORY_S, records=400)
        with playing(driver) as played:
            for kills in (1, launcher.network.validators.faults, launcher.network.validators.faults):
                down: list[str] = []
                for _ in range(kills):
                    witness = running(launcher, down)[0]
                    blocks = rng.randint(1, BLOCKS_BETWEEN_MAX)
                    wait_for_height(launcher, witness, height_of(launcher, witness) + blocks)
                    down.append(stopped_leader(launcher) if kills == 1 else rng.choice(running(launcher, down)))
                    launcher.kill(down[-1])
                bring_back(launcher, down)
                # What the leader's end broke was healed while the departments still worked.
                assert kills > 1 or not played.done()
            played.result()
    assert_all_holds(driver.collect(tmp_path / "network"))


def test_all_nodes_killed_at_once_go_on(tmp_path: Path) -> None:
    """Power for nobody, then for everybody: the network continues, and what was acknowledged before still stands."""
    city = first_departments(4)
    with launched(tmp_path / "network", city) as launcher:
        driver = driver_of(launcher, city, seed=6, duration_s=4, records=150)
        with playing(driver) as played:
            wait_for_height(launcher, "BM", 20)
            before = height_of(launcher, "BM")
            assert not played.done()
            for code in launcher.codes:
                launcher.kill(code)
            launcher.start_all()
            launcher.wait_ready(READY_S)
            for code in launcher.codes:
                wait_for_height(launcher, code, before + 1)
            played.result()
    assert_all_holds(driver.collect(tmp_path / "network"))


def stopped_leader(launcher: Launcher) -> str:
    """Freeze the node that leads, and return its code: nothing that it may have begun to send makes another leader."""

    def freeze_leader() -> str | None:
        code = next((code for code in launcher.codes if leads(launcher, code)), None)
        if code is None:
            return None
        os.kill(launcher.pid(code), signal.SIGSTOP)
        if not any(leads(launcher, other) for other in launcher.codes if other != code):
            return code
        os.kill(launcher.pid(code), signal.SIGCONT)
        return None

    return wait_for("a node that leads", freeze_leader)


def leads(launcher: Launcher, code: str) -> bool:
    """Whether a node says that the current round is its own."""
    return metrics_of(launcher, code)["mulu_leads"] == 1


def running(launcher: Launcher, down: Sequence[str]) -> list[str]:
    """The nodes that are not down."""
    return [code for code in launcher.codes if code not in down]


def bring_back(launcher: Launcher, down: Sequence[str]) -> None:
    """See two more blocks without the nodes that are down, start them again, and see each cosign a later checkpoint."""
    witness = running(launcher, down)[0]
    height, size = height_of(launcher, witness), checkpoint_of(launcher, witness)[0]
    wait_for_height(launcher, witness, height + 2)
    for code in down:
        launcher.start(code)

    def back(code: str) -> bool:
        checkpoints = [checkpoint_of(launcher, other) for other in launcher.codes]
        return any(newer > size and code in cosigners for newer, cosigners in checkpoints)

    for code in down:
        wait_for(f"a cosignature of {code} above size {size}", partial(back, code))


def assert_all_holds(outcome: LiveOutcome) -> None:
    """Every check over what is left on disk, every receipt among them; and nothing that the story did not foresee."""
    assert [result for result in run_checks(outcome.evidence) if not result.ok] == []
    assert outcome.unexpected == ()
