"""Real nodes on loopback: a city's first departments, launched, asked over HTTP, and waited for.

Nothing here sleeps for a fixed time: whoever waits says for what, and for how long at the most.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from nodes.launcher import Launcher
from scenarios.beijing.city import City
from scenarios.beijing.city_files import load_city
from scenarios.beijing.network import NETWORK, calendar_of, profiles_of, validators_of
from scenarios.beijing.story import BeijingStory
from scenarios.live import LiveDriver
from scenarios.progress import Silence

MULU = str(Path(sys.executable).with_name("mulu"))
"""The command as it is installed beside this interpreter."""

READY_S = 60.0
"""Longest wait for all nodes to start on a busy machine."""

WAIT_S = 30.0
"""Longest wait for anything that a running network does."""

POLL_S = 0.05

IDLE_MS = 1_000
"""Empty blocks come this often, so that heights grow also while nobody states anything."""

T = TypeVar("T")


def first_departments(count: int) -> City:
    """The city's first departments by rank."""
    return load_city().first(count)


def prepare(root: Path, city: City, *, log_level: str = "WARNING") -> Launcher:
    """A network of the city's departments under `root`, not started yet."""
    return Launcher.prepare(
        root,
        name=NETWORK,
        members=profiles_of(city),
        validators=validators_of(city),
        calendar=calendar_of(city),
        idle_ms=IDLE_MS,
        log_level=log_level,
    )


@contextmanager
def launched(root: Path, city: City) -> Iterator[Launcher]:
    """A network that runs for the length of a block."""
    with prepare(root, city) as launcher:
        launcher.start_all()
        launcher.wait_ready(READY_S)
        yield launcher


def driver_of(launcher: Launcher, city: City, *, seed: int, duration_s: int, records: int) -> LiveDriver:
    """A driver that plays the city's story on a launched network."""
    story = BeijingStory(
        city,
        seed=seed,
        start_ms=launcher.network.genesis.created_ms,
        span="live",
        chain=launcher.network.genesis.chain,
        duration_ms=1_000 * duration_s,
        records=records,
    )
    return LiveDriver(launcher, story, Silence())


@contextmanager
def playing(driver: LiveDriver) -> Iterator[Future[None]]:
    """Play a driver's story beside the block, to its end."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(lambda: asyncio.run(driver.play()))


def wait_for(what: str, ask: Callable[[], T | None], *, timeout_s: float = WAIT_S) -> T:
    """The first answer that is neither None nor False; a failed test, naming `what`, if none comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(POLL_S)


def metrics_of(launcher: Launcher, code: str) -> dict[str, float]:
    """A node's metrics without labels, by name."""
    answer = httpx.get(f"{launcher.gateway_url(code)}/metrics", timeout=WAIT_S, trust_env=False)
    families = text_string_to_metric_families(answer.raise_for_status().text)
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def height_of(launcher: Launcher, code: str) -> int:
    """Height of the last block that a node has executed."""
    return int(metrics_of(launcher, code)["mulu_height"])


def wait_for_height(launcher: Launcher, code: str, height: int) -> None:
    """Wait until a node has executed the block at `height`."""
    wait_for(f"{code} at height {height}", lambda: height_of(launcher, code) >= height)


def checkpoint_of(launcher: Launcher, code: str) -> tuple[int, set[str]]:
    """Size of the newest checkpoint that a node gives out, and the short codes of those who cosigned it."""
    note = httpx.get(f"{launcher.gateway_url(code)}/checkpoint", timeout=WAIT_S, trust_env=False).text
    body, _, lines = note.partition("\n\n")
    names = {line.split()[1] for line in lines.splitlines()}
    entries = launcher.network.nodes.values()
    return int(body.splitlines()[1]), {
        entry.code for entry in entries if f"{launcher.network.genesis.origin}/{entry.credit_code}" in names
    }
