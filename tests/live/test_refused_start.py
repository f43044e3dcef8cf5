"""Nodes that must not start beside a running network: one line with a code and the next step, nobody is disturbed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nodes.exchange.control import SOCKET_FILE
from nodes.exit_codes import ExitCode
from tests.live.conftest import CityAtWork
from tests.live.network import MULU, READY_S, height_of, wait_for_height

pytestmark = pytest.mark.live


def run_to_end(directory: Path) -> tuple[int, str]:
    """Run a node that refuses to start; return its exit code and standard error."""
    command = [MULU, "node", "run", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=READY_S, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_second_process_in_the_directory_of_a_running_node(city_at_work: CityAtWork) -> None:
    """Two would sign against each other: the second names the first, which goes on."""
    launcher = city_at_work.launcher
    before = height_of(launcher, "AY")
    code, err = run_to_end(launcher.directory("AY"))
    assert code == ExitCode.FAILED
    assert re.fullmatch(
        rf"mulu: .* in use by process {launcher.pid('AY')}: stop that one first.* \[directory_in_use\]\n", err
    )
    wait_for_height(launcher, "AY", before + 1)


NO_SOCKETS = shutil.ignore_patterns(SOCKET_FILE)
"""The one thing in a running node's directory that is no file."""


def test_a_copy_of_a_running_node_on_the_same_machine(city_at_work: CityAtWork, tmp_path: Path) -> None:
    """A copied directory has its own locks, and still cannot take the first one's address."""
    launcher = city_at_work.launcher
    shutil.copytree(launcher.directory("AY"), tmp_path / "AY", ignore=NO_SOCKETS)
    before = height_of(launcher, "AY")
    code, err = run_to_end(tmp_path / "AY")
    assert code == ExitCode.FAILED
    port = launcher.network.node_of("AY").address.peer_port
    assert re.fullmatch(rf"mulu: .*127\.0\.0\.1:{port}.* \[port_in_use\]\n", err)
    wait_for_height(launcher, "AY", before + 1)


@pytest.mark.parametrize(("name", "mode", "allowed"), [("", 0o750, "700"), ("consensus.pem", 0o640, "600")])
def test_keys_that_others_could_read(
    city_at_work: CityAtWork, tmp_path: Path, name: str, mode: int, allowed: str
) -> None:
    """The file or directory, its mode, and the command that mends it."""
    shutil.copytree(city_at_work.launcher.directory("AY"), tmp_path / "AY", ignore=NO_SOCKETS)
    exposed = tmp_path / "AY" / "keys" / name
    exposed.chmod(mode)
    code, err = run_to_end(tmp_path / "AY")
    assert code == ExitCode.FAILED
    assert re.fullmatch(rf"mulu: .*has mode {mode:04o}.* chmod {allowed} {re.escape(str(exposed))} \[keystore\]\n", err)
