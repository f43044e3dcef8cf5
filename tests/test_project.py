"""The project's own files: what is optional is said to be, and the container files describe the network they claim."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_socket import SocketConnectBlockedError

from tests import optional_tools
from tests.conftest import find_or_skip

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_tool_skips_and_is_named() -> None:
    """Who runs the tests without Go learns what to install."""
    with pytest.raises(pytest.skip.Exception, match=r"needs go, .*golang-go"):
        find_or_skip("go", require_all=False)


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_tool_fails_where_nothing_may_be_left_out() -> None:
    """With MULU_REQUIRE_ALL=1 a run cannot pass by skipping."""
    with pytest.raises(pytest.fail.Exception, match="needs go"):
        find_or_skip("go", require_all=True)


def test_an_installed_tool_is_found_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Chromium under its second name is Chromium."""
    program = tmp_path / "chromium-browser"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_or_skip("chromium", require_all=True) == program


def test_tools_that_tests_ask_for_are_known(tmp_path: Path) -> None:
    """What stands in a test file is found by the scan that decides what to install, and is in the table."""
    name = "node"  # Not written out below, or the scan would find it in this file too.
    (tmp_path / "test_a.py").write_text(f'path = optional_tool("{name}")\n')
    assert optional_tools.asked_for(tmp_path) == {name}
    assert optional_tools.asked_for(PROJECT / "tests") <= set(optional_tools.TOOLS)


@pytest.mark.filterwarnings("ignore:A test tried to use:UserWarning")
def test_no_test_reaches_beyond_this_machine() -> None:
    """The guard stops a connection to an address that is documentation only, before a packet leaves."""
    with socket.socket() as outside, pytest.raises(SocketConnectBlockedError):
        outside.connect(("192.0.2.1", 443))


def test_loopback_is_open() -> None:
    """Real processes talk over loopback in tests, so a connection there must go through."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"here")
            assert accepted.recv(4) == b"here"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The distribution as `pip install .` would build it, from the files that are here."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    # What the native core adds is tested in test_build_native.py.
    subprocess.run(build, cwd=PROJECT, env=os.environ | {"MULU_BUILD_NATIVE": "0"}, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_carries_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    """Data files are not forgotten: the builder leaves out what .gitignore matches, and says nothing about it."""
    left_out = {PROJECT / "ledger" / "decisions", PROJECT / "ledger" / "native"}
    here = {
        str(path.relative_to(PROJECT))
        for package in ("ledger", "nodes", "scenarios")
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".so"} and not left_out.intersection(path.parents)
    }
    packed = {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert packed == here


def test_the_core_can_be_installed_alone(wheel: zipfile.ZipFile) -> None:
    """Who only checks a certificate gets no web framework, and the command by its name."""
    folder = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    metadata = message_from_bytes(wheel.read(f"{folder}/METADATA"))
    unconditional = {line.split(">")[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert unconditional == {"cryptography", "google-crc32c", "msgpack", "msgspec"}
    assert "mulu = nodes.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))


NODES = ("bm", "ay", "af", "al")


def test_the_compose_file_has_four_departments_and_one_preparation(compose: Any) -> None:
    """Each department runs its own directory, and only after the network was prepared."""
    assert set(compose["services"]) == {"prepare", *NODES}
    for name in NODES:
        service = compose["services"][name]
        assert service["command"] == ["node", "run", f"/network/{name.upper()}"]
        assert service["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}


def test_gateways_are_published_on_loopback_only_and_peers_not_at_all(compose: Any) -> None:
    """Nobody outside the machine reaches a demonstration, and no two gateways share a port."""
    published = [port for name in NODES for port in compose["services"][name]["ports"]]
    assert len(published) == len(set(published)) == len(NODES)
    assert all(port.startswith("127.0.0.1:") and port.endswith(":8000") for port in published)
    assert compose["networks"]["peers"]["internal"] is True


def test_containers_run_without_privileges(compose: Any) -> None:
    """A read-only root, no capabilities, and a user that is not root."""
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert not service.get("privileged")
    users = [
        line.split()[1]
        for line in (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("USER ")
    ]
    assert users
    assert all(user.split(":")[0] not in {"root", "0"} for user in users)
