"""Starting a whole network on one machine: check first, then fork one process a department from a prepared parent.

A node's imports take longer than its start. So one fork server imports them once, and 53 nodes start from its memory in
the time that two or three would take alone. Listening sockets are bound before anything starts and inherited, so no
port is raced for, and a node that was killed comes back under the same address.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ledger.blocks.genesis import CalendarDay
from ledger.errors import LedgerError
from ledger.identifiers import CreditCode
from ledger.members.founding import MemberProfile
from nodes.disk_space import space_at
from nodes.exchange.control import FetchData, ShowKey, command
from nodes.exchange.messages import Question
from nodes.exchange.service import BINDING_FILE
from nodes.machine import memory_bytes
from nodes.network import NodeAddress, PreparedNetwork, default_parameters, prepare_network
from nodes.preconditions import BALLAST_BYTES, SEGMENT_BYTES, needs_of
from nodes.process import LOG_FILE, NodeOptions, bind, run_node

HOST = "127.0.0.1"

STOP_S = 15.0
"""What a node gets to close its journal before it is killed."""


class PreconditionError(LedgerError):
    """This machine cannot run the network as asked; each line of the message names one thing that is missing."""

    code = "precondition"


class NodeFailedError(LedgerError):
    """A node ended by itself; the message holds the end of its log."""

    code = "node_failed"


def check_preconditions(root: Path, nodes: int) -> None:
    """Check, before anything is made, that this machine can run `nodes` nodes with their data under `root`.

    Raises:
        PreconditionError: Naming everything that is missing, not only the first thing.
    """
    place = next(path for path in (root, *root.resolve().parents) if path.exists())
    disk = space_at(place)
    missing, needs = [], needs_of(nodes, disk)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needs.open_files:
        if hard != resource.RLIM_INFINITY and hard < needs.open_files:
            missing.append(
                f"open files: {needs.open_files} a process are needed, the hard limit is {hard}: raise it (ulimit -n)"
            )
        else:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needs.open_files, hard))
    if disk.free_bytes < needs.disk_bytes:
        missing.append(
            f"disk: {needs.disk_bytes >> 20} MiB are needed under {place}, {disk.free_bytes >> 20} MiB are free: "
            "give another --keep"
        )
    if not os.access(place, os.W_OK):
        missing.append(f"disk: {place} cannot be written to: give another --keep")
    if (memory := memory_bytes("MemAvailable")) is not None and memory < needs.memory_bytes:
        missing.append(
            f"memory: {needs.memory_bytes >> 20} MiB are needed, {memory >> 20} MiB are available: "
            "take fewer --departments, or --virtual"
        )
    if missing:
        raise PreconditionError("this machine cannot run the network:\n  " + "\n  ".join(missing))


@dataclass(slots=True)
class _Node:
    directory: Path
    peer_listener: socket.socket
    gateway_listener: socket.socket
    exchange_listener: socket.socket
    process: ForkServerProcess | None = None
    expected_to_run: bool = False


class Launcher:
    """The nodes of one network on this machine. Use it in a `with`: no process outlives it."""

    def __init__(self, root: Path, prepared: PreparedNetwork, nodes: Mapping[str, _Node], options: NodeOptions) -> None:
        """Use `prepare`."""
        self.root = root
        self.network = prepared.network
        self.envelope_signers = prepared.envelope_signers
        """Who signs the envelopes of each member, by short code: a simulation plays all departments' applications."""
        self._nodes = dict(nodes)
        self._options = options
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["nodes.preload"])
        # Nobody ever writes here. When this process is gone, however it went, its end closes and the nodes stop.
        self._lifeline, self._hold = socket.socketpair()

    @classmethod
    def prepare(
        cls,
        root: Path,
        *,
        name: str,
        members: Sequence[MemberProfile],
        validators: Sequence[CreditCode],
        calendar: Iterable[CalendarDay],
        engine: str = "jolteon",
        idle_ms: int = 10_000,
        seed: bytes | None = None,
        now: datetime | None = None,
        log_level: str = "WARNING",
    ) -> Launcher:
        """Check the machine, bind all ports, and make keys and files of a new network under `root`.

        Args:
            validators: Which of the members get a node; the others get keys.

        Raises:
            PreconditionError: Something is missing; nothing was made.
        """
        check_preconditions(root, len(validators))
        by_credit_code = {member.credit_code: member for member in members}
        listeners = {
            code: (bind(HOST, 0, "peers"), bind(HOST, 0, "the gateway"), bind(HOST, 0, "the exchange"))
            for code in validators
        }
        prepared = prepare_network(
            root,
            name=name,
            members=members,
            addresses={
                code: NodeAddress(
                    host=HOST,
                    peer_port=peer.getsockname()[1],
                    gateway_port=gateway.getsockname()[1],
                    exchange_port=exchange.getsockname()[1],
                )
                for code, (peer, gateway, exchange) in listeners.items()
            },
            parameters=default_parameters(len(validators), engine=engine, idle_ms=idle_ms),
            calendar=calendar,
            now=now or datetime.now(UTC),
            seed=seed,
        )
        nodes = {
            by_credit_code[code].code: _Node(root / by_credit_code[code].code, *sockets)
            for code, sockets in listeners.items()
        }
        options = NodeOptions(
            segment_bytes=SEGMENT_BYTES, ballast_bytes=BALLAST_BYTES, log_to_file=True, log_level=log_level
        )
        return cls(root, prepared, nodes, options)

    @property
    def codes(self) -> tuple[str, ...]:
        """Short codes of the departments with a node."""
        return tuple(self._nodes)

    def directory(self, code: str) -> Path:
        """Return the directory of a member, with or without a node."""
        return self.root / code

    def gateway_url(self, code: str) -> str:
        """Return the base address of a node's gateway."""
        return self.network.node_of(code).address.gateway_url

    def listeners(self, code: str) -> tuple[socket.socket, socket.socket, socket.socket]:
        """Return the sockets for peers, gateway and exchange, for whoever runs a node by other means than `start`."""
        node = self._nodes[code]
        return node.peer_listener, node.gateway_listener, node.exchange_listener

    def bind_database(self, code: str, database: Path, tables: Mapping[str, str]) -> None:
        """Bind a node, before it starts, to a SQLite file; `tables` has their names there, by id in the catalogue."""
        directory = self.directory(code)
        # A text of JSON is one of TOML: both quote alike. The path is from the directory, which may be moved.
        path = json.dumps(os.path.relpath(database, directory))
        lines = ["format = 1", "[database]", 'kind = "sqlite"', f"path = {path}", "[tables]"]
        lines += [f"{json.dumps(table)} = {json.dumps(name)}" for table, name in tables.items()]
        (directory / BINDING_FILE).write_text("\n".join([*lines, ""]), encoding="utf-8")

    def recipient_key(self, code: str) -> bytes:
        """Return the public key by which deliveries to a running node are sealed.

        Raises:
            NoExchangeError: It does not run.
        """
        key: bytes = command(self.directory(code), ShowKey()).public
        return key

    def fetch(self, code: str, grant: str, output: Path) -> int:
        """Have a running node fetch all that a grant opens, to a new file; return the number of the delivery.

        Raises:
            CommandFailedError: It could not be done; `code` of the error says why.
            NoExchangeError, ConnectionCutError: The node does not run, or stopped.
        """
        question = Question(grant=grant, table="", fields=(), selection=())
        fetched = command(self.directory(code), FetchData(question=question, output=str(output.absolute())))
        return int(fetched.number)

    def start(self, code: str) -> None:
        """Start the node of a department, for the first time or again."""
        node = self._nodes[code]
        node.process = self._context.Process(
            target=_child,
            name=f"mulu-{code}",
            args=(
                node.directory,
                node.peer_listener,
                node.gateway_listener,
                node.exchange_listener,
                self._lifeline,
                self._options,
            ),
        )
        node.process.start()
        node.expected_to_run = True

    def start_all(self) -> None:
        """Start every node."""
        for code in self._nodes:
            self.start(code)

    def kill(self, code: str) -> None:
        """Take a node's power: SIGKILL, no warning, nothing flushed."""
        node = self._nodes[code]
        assert node.process is not None
        node.expected_to_run = False
        node.process.kill()
        node.process.join()

    def pid(self, code: str) -> int:
        """Return the process id of a running node."""
        process = self._nodes[code].process
        assert process is not None
        assert process.pid is not None
        return process.pid

    def check_running(self) -> None:
        """Check that every node that should run does.

        Raises:
            NodeFailedError: One has ended by itself.
        """
        for code, node in self._nodes.items():
            if node.expected_to_run and node.process is not None and node.process.exitcode is not None:
                raise NodeFailedError(
                    f"the node of {code} ended with code {node.process.exitcode}; the end of its log:\n"
                    + self.log_tail(code)
                )

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until every started node answers `/readyz`: connected to a quorum and able to sign.

        Raises:
            NodeFailedError: A node ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        waiting = [code for code, node in self._nodes.items() if node.expected_to_run]
        while waiting:
            self.check_running()
            waiting = [code for code in waiting if not _answers(self.gateway_url(code) + "/readyz")]
            if waiting and time.monotonic() > deadline:
                raise NodeFailedError(f"not ready after {timeout_s:g} s: {', '.join(waiting)}")
            if waiting:
                time.sleep(0.1)

    def log_tail(self, code: str, lines: int = 10) -> str:
        """Return the last lines of a node's log."""
        path = self._nodes[code].directory / LOG_FILE
        if not path.exists():
            return "(no log)"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Stop all nodes: SIGTERM, then SIGKILL for those that do not end in time."""
        running = [node for node in self._nodes.values() if node.process is not None and node.process.is_alive()]
        for node in running:
            node.expected_to_run = False
            assert node.process is not None
            node.process.terminate()
        deadline = time.monotonic() + STOP_S
        for node in running:
            assert node.process is not None
            node.process.join(max(0.0, deadline - time.monotonic()))
            if node.process.is_alive():
                node.process.kill()
                node.process.join()

    def close(self) -> None:
        """Stop all nodes and give the ports back."""
        self.stop()
        for node in self._nodes.values():
            node.peer_listener.close()
            node.gateway_listener.close()
            node.exchange_listener.close()
        self._lifeline.close()
        self._hold.close()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _child(
    directory: Path,
    peer_listener: socket.socket,
    gateway_listener: socket.socket,
    exchange_listener: socket.socket,
    lifeline: socket.socket,
    options: NodeOptions,
) -> None:
    # Ctrl-C in a terminal reaches the whole group; the launcher tells its nodes when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(
        run_node(
            directory,
            peer_listener=peer_listener,
            gateway_listener=gateway_listener,
            exchange_listener=exchange_listener,
            lifeline=lifeline,
            options=options,
        )
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
