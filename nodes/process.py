"""The process of one department's node, from its directory to its end.

Start-up follows P21: lock the directory, compare the chain id, read the safety slots, scan the journal, replay it, and
only then talk to anybody. The process ends with code 0 on SIGTERM or SIGINT, and with code 1 and a reason on anything
that must not be lived with.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from ledger.crypto.backend import active_backend
from ledger.errors import LedgerError
from ledger.replica import Options, Replica
from nodes.backend import choose_backend
from nodes.block_archive import JournalArchive
from nodes.certificate_expiry import remind_of_expiry
from nodes.cli import program_version
from nodes.data_directory import DataDirectory
from nodes.exchange.control import ControlServer
from nodes.exchange.service import Exchange
from nodes.gateway.app import create_app
from nodes.gateway.node_view import RunningNode
from nodes.index import QueryIndex
from nodes.journal import BALLAST_BYTES, SEGMENT_BYTES, Journal
from nodes.keystore import Keystore
from nodes.network import KEYS_DIRECTORY, NodeEntry, load_network, node_signers
from nodes.observe import configure_logging
from nodes.pipeline import Gauges as StageGauges
from nodes.replay import replay
from nodes.runner import Runner
from nodes.safety_file import SafetyFile
from nodes.verification import verify_batch

logger = logging.getLogger(__name__)

INDEX_FILE = "index.db"
LOG_FILE = "node.log"

KEEP_ALIVE_S = 75
"""An application that speaks once a minute keeps its connection; one that finds it closed must send again."""

GATEWAY_GRACE_S = 3
"""What requests under way get to finish when the node stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What an operator may choose about one node; everything else follows from its directory."""

    segment_bytes: int = SEGMENT_BYTES
    ballast_bytes: int = BALLAST_BYTES
    listen: str = ""
    """Address of this machine to bind instead of the one in `network.json`."""
    log_to_file: bool = False
    """Write the log to `node.log` in the node's directory rather than to standard error."""
    log_level: str = "WARNING"


def bind(host: str, port: int, purpose: str) -> socket.socket:
    """Return a socket that listens on `host:port`; port 0 takes a free one.

    Raises:
        PortInUseError: Somebody else listens there.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise PortInUseError(
            f"cannot listen for {purpose} on {host}:{port}: {error.strerror}; {_remedy(error)}"
        ) from error
    return listener


class PortInUseError(LedgerError):
    """A port this node needs is taken, or may not be used; free it or choose another in `network.json`."""

    code = "port_in_use"


def _remedy(error: OSError) -> str:
    """Return what to do about an address that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return "stop who listens there, or give the node another port in network.json"
    if error.errno == errno.EACCES:
        return "ports below 1024 are the system's: give the node another one in network.json"
    return "this machine has no such address: name one of its own with --listen"


def run_node(
    directory: Path,
    *,
    peer_listener: socket.socket | None = None,
    gateway_listener: socket.socket | None = None,
    exchange_listener: socket.socket | None = None,
    lifeline: socket.socket | None = None,
    options: NodeOptions | None = None,
) -> int:
    """Run the node in `directory` until it is told to stop; return the exit code.

    Args:
        peer_listener, gateway_listener, exchange_listener: Sockets that listen already; None binds what `network.json`
            says.
        lifeline: The node stops when the other end of this socket is closed: when whoever launched it is gone.
    """
    options = options or NodeOptions()
    if options.log_to_file:
        descriptor = os.open(directory / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(descriptor, sys.stderr.fileno())
        os.close(descriptor)
    configure_logging(options.log_level)
    try:
        # Here, because a process that the launcher forks has the launcher's environment but not its choice.
        choose_backend()
        asyncio.run(_run(directory, peer_listener, gateway_listener, exchange_listener, lifeline, options))
    except LedgerError as error:
        print(f"mulu: node {directory.name}: {error} [{error.code}]", file=sys.stderr)
        return 1
    return 0


async def _run(
    directory: Path,
    peer_listener: socket.socket | None,
    gateway_listener: socket.socket | None,
    exchange_listener: socket.socket | None,
    lifeline: socket.socket | None,
    options: NodeOptions,
) -> None:
    network = load_network(directory)
    entry = next((node for node in network.nodes.values() if node.code == directory.name), None)
    async with contextlib.AsyncExitStack() as stack:
        data = stack.enter_context(DataDirectory.open(directory, network.genesis.chain))
        keys = stack.enter_context(Keystore.open(directory / KEYS_DIRECTORY))
        entry = entry or _node_with_key(network.nodes.values(), keys)
        host = options.listen or entry.address.listen or entry.address.host
        peer_listener = peer_listener or bind(host, entry.address.peer_port, "peers")
        gateway_listener = gateway_listener or bind(host, entry.address.gateway_port, "the gateway")
        if exchange_listener is None and entry.address.exchange_port:
            exchange_listener = bind(host, entry.address.exchange_port, "the exchange")

        safety = SafetyFile.open(data.folder)
        journal = Journal.open(
            data.journal,
            chain_id=network.genesis.chain,
            synced_offset=safety.found.synced_offset,
            segment_bytes=options.segment_bytes,
            ballast_bytes=options.ballast_bytes,
        )
        replica = Replica(
            genesis=network.genesis,
            me=entry.credit_code,
            signers=node_signers(keys),
            verify=verify_batch,
            options=Options(archive=JournalArchive(journal)),
        )
        index = stack.enter_context(
            QueryIndex.open(directory / INDEX_FILE, chain=network.genesis.chain, journal_height=journal.height)
        )
        # Nodes that were launched together share the cores already.
        workers = None if lifeline is None else 0
        stages = StageGauges.zero()
        recovered = replay(replica, journal, safety.found, index.executed, workers=workers, gauges=stages)
        view = RunningNode(entry=entry, network=network, index=index)
        view.metrics.stages = stages
        runner = Runner(
            replica,
            network=network,
            me=entry.credit_code,
            keys=keys,
            journal=journal,
            safety=safety,
            followers=(index, view),
            loopback_only=ipaddress.ip_address(peer_listener.getsockname()[0]).is_loopback,
        )
        stack.push_async_callback(runner.close)
        view.attach(runner)
        reminder = asyncio.create_task(remind_of_expiry(keys.tls.certificate_pem), name="certificate")
        stack.callback(reminder.cancel)
        await runner.start(peer_listener, recovered)
        exchange = Exchange(directory, node=view, network=network, keys=keys, listener=exchange_listener)
        stack.push_async_callback(exchange.close)
        control = ControlServer(directory, exchange)
        stack.push_async_callback(asyncio.to_thread, control.close)
        logger.info(
            "started",
            extra={
                "department": entry.code,
                "network": network.genesis.origin,
                "height": replica.height,
                "peers": _address_of(peer_listener),
                "gateway": _address_of(gateway_listener),
                "validation": active_backend().name,
                "version": program_version(),
            },
        )
        await _serve(runner, view, gateway_listener, lifeline)
        logger.info("stopped", extra={"department": entry.code, "height": replica.height})


def _address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _node_with_key(nodes: Iterable[NodeEntry], keys: Keystore) -> NodeEntry:
    """Return the node whose registered certificate is the one in this keystore: the directory may have any name."""
    for entry in nodes:
        if entry.certificate_pem.encode() == keys.tls.certificate_pem:
            return entry
    raise LedgerError(
        f"{keys.path}: no node of this network has these keys; is the directory that of a member without a vote?"
    )


async def _serve(runner: Runner, view: RunningNode, listener: socket.socket, lifeline: socket.socket | None) -> None:
    """Serve the gateway until a signal comes, the lifeline ends, or the node cannot go on."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(view),
            # What it would say of itself at the start and the end, the node says with more in it.
            log_config=None,
            log_level="warning",
            access_log=False,
            # Nothing here is a WebSocket; without this the server advises to install what would make it one.
            ws="none",
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GATEWAY_GRACE_S,
        )
    )
    # The node's own handlers decide what a signal means; the server's would end the process with the journal open.
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, told_to_stop.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="gateway")
    stopping = asyncio.create_task(told_to_stop.wait(), name="signals")
    failing = asyncio.create_task(runner.wait_stopped(), name="member")
    try:
        await asyncio.wait({serving, stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
        view.close()
        server.should_exit = True
        await asyncio.wait({serving}, timeout=GATEWAY_GRACE_S + 1)
        for task in (serving, stopping, failing):
            task.cancel()
        await asyncio.gather(serving, stopping, failing, return_exceptions=True)
