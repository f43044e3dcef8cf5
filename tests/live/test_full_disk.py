"""A node whose disk fills up while departments work: it stops and says why, and catches up once there is room."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodes.launcher import Launcher
from scenarios.evidence.checks import run_checks
from tests.live.network import (
    READY_S,
    WAIT_S,
    checkpoint_of,
    driver_of,
    first_departments,
    height_of,
    playing,
    prepare,
    wait_for,
    wait_for_height,
)
from tests.live.small_disk import BALLAST_BYTES, SEGMENT_BYTES

pytestmark = [pytest.mark.live, pytest.mark.slow]

PROJECT = Path(__file__).parents[2]
CODE = "AY"

ROOM = SEGMENT_BYTES + BALLAST_BYTES + (64 << 10)
"""For one segment and the ballast, not for a second segment."""

PRIVATELY = ("unshare", "--user", "--map-root-user", "--mount")
"""What is mounted by the command behind it is seen by its processes alone, and goes with them."""

RUN = """node() {
    "$PYTHON" -m tests.live.small_disk "$DIRECTORY" "$PEERS" "$GATEWAY" "$EXCHANGE" "$@"; echo "ended $?"
}"""

STORIES = {
    "a small file system": (
        *PRIVATELY,
        "sh",
        "-c",
        f"""{RUN}
        mount -t tmpfs -o size="$ROOM" tmpfs "$DIRECTORY/journal" || exit 9
        node
        read -r _
        mount -o remount,size=64m "$DIRECTORY/journal"
        trap : TERM
        node
        cp -a "$DIRECTORY/journal" "$DIRECTORY/kept"
        """,
    ),
    "a file system that says it is full": (
        "sh",
        "-c",
        f"""{RUN}
        node "$ROOM"
        read -r _
        trap : TERM
        node
        cp -a "$DIRECTORY/journal" "$DIRECTORY/kept"
        """,
    ),
}
"""A node that ends, and runs again with room after a line on standard input; its end is told on standard output."""


def needs_private_mounts(way: str) -> None:
    """Skip where this user may not mount anything, not even for itself."""
    if STORIES[way][: len(PRIVATELY)] != PRIVATELY:
        return
    probe = [*PRIVATELY, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a file system of its own, and no private mount is possible here (unshare)")


@contextmanager
def on_a_small_disk(launcher: Launcher, code: str, way: str, errors: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a node with little room for its journal, in a session of its own."""
    listeners = [listener.fileno() for listener in launcher.listeners(code)]
    given = {"PYTHON": sys.executable, "DIRECTORY": launcher.directory(code), "ROOM": ROOM}
    given |= zip(("PEERS", "GATEWAY", "EXCHANGE"), listeners, strict=True)
    environment = {name: str(value) for name, value in given.items()}
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(
            STORIES[way],
            cwd=PROJECT,
            env={**os.environ, **environment},
            pass_fds=listeners,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("way", STORIES)
def test_a_node_with_a_full_disk_stops_and_catches_up_when_there_is_room(tmp_path: Path, way: str) -> None:
    """Exit code 1 and one line with the next step; the others go on; with room it is back, and nothing is lost."""
    needs_private_mounts(way)
    city, root, errors = first_departments(4), tmp_path / "network", tmp_path / "errors"
    with prepare(root, city) as launcher, on_a_small_disk(launcher, CODE, way, errors) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        others = [code for code in launcher.codes if code != CODE]
        for code in others:
            launcher.start(code)
        launcher.wait_ready(READY_S)
        driver = driver_of(launcher, city, seed=8, duration_s=4, records=200)
        with playing(driver) as played:
            assert process.stdout.readline() == "ended 1\n", errors.read_text()
            reason = errors.read_text().splitlines()[-1]
            pattern = rf"mulu: node {CODE}: no space left for .*free space .*start the node again \[disk_full\]"
            assert re.fullmatch(pattern, reason)
            height, size = height_of(launcher, others[0]), checkpoint_of(launcher, others[0])[0]
            wait_for_height(launcher, others[0], height + 2)
            process.stdin.write("room\n")
            process.stdin.flush()
            wait_for_height(launcher, CODE, height + 2)
            wait_for("a new cosignature", lambda: signs_above(launcher, CODE, size))
            played.result()
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == "ended 0\n", errors.read_text()
        assert process.wait(WAIT_S) == 0
    shutil.rmtree(root / CODE / "journal")
    (root / CODE / "kept").rename(root / CODE / "journal")
    outcome = driver.collect(root)
    assert [result for result in run_checks(outcome.evidence) if not result.ok] == []
    assert outcome.unexpected == ()


def signs_above(launcher: Launcher, code: str, size: int) -> bool:
    """Whether some node gives out a checkpoint of more than `size` entries that this one has cosigned."""
    checkpoints = [checkpoint_of(launcher, other) for other in launcher.codes]
    return any(newer > size and code in cosigners for newer, cosigners in checkpoints)
