"""A real process is killed in the middle of its writes."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from nodes.data_directory import DataDirectory
from tests.storage.writer import CHAIN, opened, payload_of

KILLS = 10
PROJECT = Path(__file__).parents[2]


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """kill -9, again and again: every vote and frame acknowledged before is there, and the lock is free."""
    path = tmp_path / "BM"
    DataDirectory.create(path, CHAIN)
    rng = random.Random(9)
    vote = height = 0
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.storage.writer", str(path)]
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rng.randint(1, 60)):
                vote, height = map(int, process.stdout.readline().split())
            process.kill()
            # Acknowledged in the pipe before the kill took hold.
            for line in process.stdout:
                if line.endswith("\n"):
                    vote, height = map(int, line.split())
        with DataDirectory.open(path, CHAIN) as data:
            safety, journal = opened(data)
            assert safety.found.unreadable == 0
            assert int(safety.found.payload or b"") >= vote
            found = [frame for _, frame in journal.frames()]
            assert len(found) >= height
            assert all(frame.payload == payload_of(place) for place, frame in enumerate(found))
            safety.close()
            journal.close()
    assert vote > KILLS
    assert len(list((path / "journal").iterdir())) > 3
