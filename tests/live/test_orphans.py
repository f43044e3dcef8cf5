"""No node outlives whoever launched it, however that ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.network import MULU

pytestmark = pytest.mark.live

LAUNCH = """
import sys, time
from pathlib import Path
from nodes.launcher import Launcher
from scenarios.beijing.city_files import load_city
from scenarios.beijing.network import NETWORK, calendar_of, profiles_of, validators_of

if __name__ == "__main__":
    city = load_city().first(4)
    launcher = Launcher.prepare(
        Path(sys.argv[1]), name=NETWORK, members=profiles_of(city), validators=validators_of(city),
        calendar=calendar_of(city),
    )
    launcher.start_all()
    launcher.wait_ready(60)
    print(*(launcher.pid(code) for code in launcher.codes), flush=True)
    time.sleep(600)
"""


def test_nodes_stop_when_their_launcher_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the launcher no time to stop its nodes; they see that it is gone and stop by themselves."""
    script = tmp_path / "launch.py"
    script.write_text(LAUNCH)
    root = Path(__file__).parents[2]
    launcher = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "network")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert launcher.stdout is not None
    pids = [int(pid) for pid in launcher.stdout.readline().split()]
    assert len(pids) == 4
    assert all(map(_runs, pids))

    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    launcher.stdout.close()

    deadline = time.monotonic() + 30
    while any(map(_runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, pids))


HEAR_INTERRUPT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A shell starts what it puts in the background with Ctrl-C ignored, and a child inherits that."""


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_simulation_that_is_stopped_leaves_nothing(how: signal.Signals, code: int, tmp_path: Path) -> None:
    """Ctrl-C or a service manager ends it in the middle: no process stays, and no directory that was not to be kept."""
    command = [
        sys.executable,
        "-c",
        HEAR_INTERRUPT,
        MULU,
        "simulate",
        "beijing",
        "--departments",
        "4",
        "--duration",
        "60",
    ]
    run = subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    assert run.stderr.readline().startswith("start the departments: 4")
    pids = [int(lock.read_text()) for lock in tmp_path.glob("mulu-*/network/*/lock") if lock.stat().st_size]
    assert len(pids) == 4
    assert all(map(_runs, pids))
    run.send_signal(how)
    _, err = run.communicate(timeout=60)
    assert run.returncode == code, err
    assert "Traceback" not in err
    assert not any(map(_runs, pids))
    assert list(tmp_path.glob("mulu-*")) == []


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status
