"""`mulu node`: a network made on the command line, a node run from it and asked, and what each of them refuses."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ledger.proofs.policy import parse_policy
from nodes import cli
from nodes.exit_codes import ExitCode
from nodes.network import GENESIS_FILE, NETWORK_FILE, POLICY_FILE, NodeAddress, load_network
from nodes.process import LOG_FILE

PROJECT = Path(__file__).resolve().parents[2]

START_S = 60
"""Longest wait for a node on a busy machine."""


def init(out: Path, *options: str, departments: int = 2) -> int:
    """Make a network of the first departments."""
    try:
        return cli.main(["node", "init", "--departments", str(departments), "--out", str(out), *options])
    except SystemExit as ended:
        return int(ended.code or 0)


def test_init_gives_nodes_of_one_host_consecutive_ports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every node has its own three ports on loopback; the output says how to run each."""
    options = ("--peer-port", "7100", "--gateway-port", "8100", "--exchange-port", "9100")
    assert init(tmp_path / "n", *options, departments=4) == ExitCode.GOOD
    network = load_network(tmp_path / "n")
    assert [(entry.code, entry.address) for entry in network.nodes.values()] == [
        (
            code,
            NodeAddress(
                host="127.0.0.1",
                peer_port=7100 + position,
                gateway_port=8100 + position,
                exchange_port=9100 + position,
            ),
        )
        for position, code in enumerate(("BM", "AY", "AF", "AL"))
    ]
    out = capsys.readouterr().out
    assert all(f"mulu node run {tmp_path / 'n' / code}" in out for code in ("BM", "AY", "AF", "AL"))


def test_init_gives_hosts_of_their_own_equal_ports(tmp_path: Path) -> None:
    """As docker-compose.yml calls it: hosts by short code, and the address to bind beside."""
    options = ("--host-template", "{code}", "--peer-port", "7000", "--gateway-port", "8000", "--listen", "0.0.0.0")
    assert init(tmp_path / "n", *options) == ExitCode.GOOD
    assert [entry.address for entry in load_network(tmp_path / "n").nodes.values()] == [
        NodeAddress(host=host, peer_port=7000, gateway_port=8000, exchange_port=9000, listen="0.0.0.0")
        for host in ("bm", "ay")
    ]


def test_the_network_of_the_compose_file_is_what_its_services_run(tmp_path: Path) -> None:
    """The command of its first step makes a directory for each service, reached under the service's name."""
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    (script,) = compose["services"]["prepare"]["command"]
    command = shlex.split(script[script.index("mulu node init") :].replace("\\\n", " "))
    assert command[:3] == ["mulu", "node", "init"]
    # A volume is there, and empty, before the first step runs.
    (tmp_path / "network").mkdir()
    made = [word.replace("/network", str(tmp_path / "network")) for word in command[1:]]
    assert cli.main(made) == ExitCode.GOOD
    nodes = load_network(tmp_path / "network").nodes.values()
    services = {name: service for name, service in compose["services"].items() if name != "prepare"}
    assert {entry.address.host for entry in nodes} == set(services)
    for entry in nodes:
        service = services[entry.address.host]
        assert service["command"] == ["node", "run", f"/network/{entry.code}"]
        assert service["ports"][0].endswith(f":{entry.address.gateway_port}")
        assert entry.address.listen == "0.0.0.0"


def test_init_makes_a_policy_that_trusts_the_nodes(tmp_path: Path) -> None:
    """What a verifier is given names the network and a cosigner for each node; members without a vote have keys."""
    assert init(tmp_path / "n", "--name", "mulu.city.example") == ExitCode.GOOD
    network = load_network(tmp_path / "n")
    policy = parse_policy((tmp_path / "n" / POLICY_FILE).read_text(encoding="utf-8"))
    assert policy.origin == network.genesis.origin
    assert policy.origin.startswith("mulu.city.example/")
    assert len(policy.cosigner_keys) == len(network.nodes) == 2
    assert (tmp_path / "n" / "X1" / "keys" / "envelope.pem").is_file()


def test_the_same_seed_gives_the_same_signing_keys(tmp_path: Path) -> None:
    """Trials can be repeated; without a seed no two networks share a key."""
    keys = []
    for name, options in {"a": ("--seed", "s"), "b": ("--seed", "s"), "c": (), "d": ()}.items():
        assert init(tmp_path / name, *options, departments=1) == ExitCode.GOOD
        keys.append([founder.envelope_key.public for founder in load_network(tmp_path / name).genesis.founders])
    assert keys[0] == keys[1]
    assert len({key for made in keys[1:] for key in made}) == 3 * len(keys[0])


def test_init_twice_is_refused_and_leaves_the_first_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line with a code, and every byte as it was."""
    assert init(tmp_path / "n") == ExitCode.GOOD
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert init(tmp_path / "n") == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"mulu: .*not an empty directory.* \[storage_failed\]\n", err)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("options", "departments", "reason"),
    [
        ((), 54, "takes 1 to 53 departments, not 54"),
        ((), 0, "not a number from 1 to 500"),
        (("--peer-port", "8000"), 1, "overlap"),
        (("--peer-port", "7999", "--gateway-port", "8000"), 2, "overlap"),
        (("--exchange-port", "7000"), 1, "overlap"),
        (("--gateway-port", "65535"), 2, "would need port 65536"),
        (("--gateway-port", "0"), 1, "not a port"),
        (("--host-template", "everybody"), 1, "exactly once"),
        (("--host-template", "{name}"), 1, "exactly once"),
        (("--host-template", "{"), 1, "exactly once"),
        (("--listen", "localhost"), 1, "not an address"),
        (("--name", "Not A Name"), 1, "not a network's name"),
        (("--city", "atlantis"), 1, "invalid choice"),
    ],
)
def test_options_that_cannot_be_met_make_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], departments: int, reason: str
) -> None:
    """A wrong call ends with 2 before a directory is made."""
    assert init(tmp_path / "n", *options, departments=departments) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert reason in err
    assert re.fullmatch(r"mulu: [^\n]+ \[usage\]\n", err)
    assert not (tmp_path / "n").exists()


def run_to_end(directory: Path, *options: str) -> tuple[int, str]:
    """Run a node that must refuse to start; return its exit code and standard error."""
    command = [sys.executable, "-m", "nodes.cli", "node", "run", str(directory), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def init_alone(out: Path) -> Path:
    """Make a network of one node on free ports; return the node's directory."""
    names = ("--peer-port", "--gateway-port", "--exchange-port")
    options = [word for name, port in zip(names, free_ports(3), strict=True) for word in (name, str(port))]
    assert init(out, *options, departments=1) == ExitCode.GOOD
    return out / "BM"


def test_a_directory_without_a_node_is_refused(tmp_path: Path) -> None:
    """The message says what makes one."""
    code, err = run_to_end(tmp_path)
    assert code == ExitCode.USAGE
    assert re.fullmatch(r"mulu: argument DIR: .*mulu node init.* \[usage\]\n", err)


def test_the_data_of_another_network_are_refused(tmp_path: Path) -> None:
    """Founding files put over a foreign data directory: both networks are named, and nothing is changed."""
    first, second = init_alone(tmp_path / "one"), init_alone(tmp_path / "two")
    for file in (GENESIS_FILE, NETWORK_FILE):
        shutil.copy(second / file, first / file)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    code, err = run_to_end(first)
    assert code == ExitCode.FAILED
    assert re.fullmatch(r"mulu: .*belongs to network [0-9a-f]{64}, and this node to network .* \[foreign_data\]\n", err)
    assert load_network(second).genesis.chain.hex() in err
    after = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    # The lock file says which process had the directory last.
    assert {path for path in after if after[path] != before.get(path)} <= {first / "lock"}


def test_the_keys_of_a_member_without_a_vote_make_no_node(tmp_path: Path) -> None:
    """The registrar's directory is no node's."""
    init_alone(tmp_path / "n")
    code, err = run_to_end(tmp_path / "n" / "X1")
    assert code == ExitCode.USAGE
    assert "is of a member without a node" in err


def test_the_directory_of_a_network_is_no_nodes(tmp_path: Path) -> None:
    """Whoever names the whole network is told whose directories there are in it."""
    assert init(tmp_path / "n", departments=6) == ExitCode.GOOD
    code, err = run_to_end(tmp_path / "n")
    assert code == ExitCode.USAGE
    named = ", ".join(str(tmp_path / "n" / code) for code in ("AF", "AG", "AL", "AN"))
    assert re.search(rf"whole network: name a department's in it, such as {re.escape(named)}; .*\[usage\]\n$", err), err


def test_a_node_that_has_lost_a_file_says_so_itself(tmp_path: Path) -> None:
    """It is a node's directory, and not called wrongly: it fails."""
    directory = init_alone(tmp_path / "n")
    (directory / GENESIS_FILE).unlink()
    code, err = run_to_end(directory)
    assert code == ExitCode.FAILED
    assert re.fullmatch(r"mulu: .*/genesis: No such file.* \[bad_network_file\]\n", err)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """Somebody else listens where the gateway should: one line, with the address."""
    directory = init_alone(tmp_path / "n")
    port = load_network(directory).node_of("BM").address.gateway_port
    with socket.create_server(("127.0.0.1", port)):
        code, err = run_to_end(directory)
    assert code == ExitCode.FAILED
    assert re.fullmatch(rf"mulu: .*127\.0\.0\.1:{port}.* \[port_in_use\]\n", err)


@contextmanager
def running(directory: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a node for the length of a block, with its log in its directory; it must end well when told to."""
    command = [sys.executable, "-m", "nodes.cli", "node", "run", str(directory), *options]
    with (directory / LOG_FILE).open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_S) == ExitCode.GOOD
    finally:
        process.kill()
        process.wait()


def status(url: str, *options: str) -> int:
    """Ask a node how it is."""
    return cli.main(["node", "status", url, *options])


@pytest.mark.live
def test_a_node_runs_is_asked_and_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`init`, `run`, `status`; a second process in the same directory is refused; the log tells of both ends."""
    directory = init_alone(tmp_path / "n")
    url = load_network(directory).node_of("BM").address.gateway_url
    with running(directory, "--listen", "127.0.0.1") as process:
        deadline = time.monotonic() + START_S
        while status(url) != ExitCode.GOOD:
            assert process.poll() is None, (directory / LOG_FILE).read_text()
            assert time.monotonic() < deadline
        capsys.readouterr()
        assert status(url, "--json") == ExitCode.GOOD
        answer = json.loads(capsys.readouterr().out)
        assert (answer["ready"], answer["department"]["code"]) == (True, "BM")
        code, err = run_to_end(directory)
        assert code == ExitCode.FAILED
        assert re.fullmatch(rf"mulu: .*in use by process {process.pid}.* \[directory_in_use\]\n", err)
    assert status(url) == ExitCode.UNAVAILABLE
    lines = [json.loads(line) for line in (directory / LOG_FILE).read_text().splitlines()]
    assert (lines[0]["message"], lines[0]["department"], lines[0]["height"]) == ("started", "BM", 0)
    assert url == f"http://{lines[0]['gateway']}"
    assert lines[-1]["message"] == "stopped"
    assert {line["logger"] for line in lines} == {"nodes.process", "nodes.gateway.app"}


def test_the_status_of_a_node_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens: exit code 7 and one line."""
    (port,) = free_ports(1)
    assert status(f"http://127.0.0.1:{port}") == ExitCode.UNAVAILABLE
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"mulu: [^\n]+ \[node_unavailable\]\n", err)
