"""One network of four departments that have worked, for all tests that ask it something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from nodes.launcher import Launcher
from scenarios.live import LiveDriver
from tests.live.network import driver_of, first_departments, launched, playing


class CityAtWork(NamedTuple):
    """A running network and the driver that has played a story on it."""

    launcher: Launcher
    driver: LiveDriver


@pytest.fixture(scope="session")
def city_at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CityAtWork]:
    """Four nodes; their directories are set up, and certificates issued and changed."""
    city = first_departments(4)
    with launched(tmp_path_factory.mktemp("live") / "network", city) as launcher:
        driver = driver_of(launcher, city, seed=4, duration_s=2, records=200)
        with playing(driver) as played:
            played.result()
        yield CityAtWork(launcher, driver)
