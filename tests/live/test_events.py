"""The stream of events of real nodes, through the end of one of them: nothing is missed, nothing comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import httpx
import pytest

from tests.live.network import (
    READY_S,
    WAIT_S,
    driver_of,
    first_departments,
    height_of,
    launched,
    playing,
    wait_for_height,
)

pytestmark = [pytest.mark.live, pytest.mark.slow]

KILL_HEIGHT = 20
"""Of the block whose event is the last that is surely read before the node is killed."""


def ids_after(node: str, last_id: str) -> Iterator[str]:
    """Yield the ids of events after `last_id`, to where the connection breaks."""
    headers = {"Last-Event-ID": last_id}
    with (
        suppress(httpx.TransportError),
        httpx.stream("GET", f"{node}/api/v1/events", headers=headers, timeout=WAIT_S, trust_env=False) as answer,
    ):
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if fields.keys() >= {"id", "data"}:
                yield fields["id"]
            fields = {}


def height_in(event_id: str) -> int:
    """Return the height of the block that an event is about."""
    return int(event_id.partition("-")[0])


def test_a_killed_node_goes_on_where_its_readers_are(tmp_path: Path) -> None:
    """SIGKILL while somebody reads; after its start the same reader gets what follows, as at a node that lived on."""
    city = first_departments(4)
    seen: list[str] = []
    with launched(tmp_path / "network", city) as launcher:
        node, witness = launcher.gateway_url("AY"), launcher.gateway_url("BM")
        driver = driver_of(launcher, city, seed=9, duration_s=3, records=120)
        with playing(driver) as played:
            # A story begins with what takes longer than these blocks, so that the kill comes in its midst.
            for event_id in ids_after(node, "0"):
                seen.append(event_id)
                if height_in(event_id) == KILL_HEIGHT and event_id.endswith("-0"):
                    launcher.kill("AY")
            assert height_in(seen[-1]) >= KILL_HEIGHT
            wait_for_height(launcher, "BM", height_of(launcher, "BM") + 5)
            launcher.start("AY")
            launcher.wait_ready(READY_S)
            played.result()
        end = height_of(launcher, "BM")
        seen += takewhile(lambda event_id: height_in(event_id) <= end, ids_after(node, seen[-1]))
        assert seen == list(takewhile(lambda event_id: height_in(event_id) <= end, ids_after(witness, "0")))
        assert any(not event_id.endswith("-0") for event_id in seen)
