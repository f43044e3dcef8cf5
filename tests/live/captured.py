"""Nodes whose frames are written down before they are encrypted: what one node says to another, as a file."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import nodes.exchange.wire
import nodes.launcher
import nodes.transport.link
import nodes.transport.peers
from nodes.process import NodeOptions
from nodes.transport.framing import encode_frame

PEER_FRAMES, EXCHANGE_FRAMES = "peer.frames", "exchange.frames"
"""Files in a node's directory, for the connections of consensus and those of the exchange."""

_run_child = nodes.launcher._child


def run_captured(
    directory: Path,
    peer_listener: socket.socket,
    gateway_listener: socket.socket,
    exchange_listener: socket.socket,
    lifeline: socket.socket,
    options: NodeOptions,
) -> None:
    """Run a node as the launcher does; in its process alone each module that makes frames also writes them down."""
    peers = _capturing(directory / PEER_FRAMES)
    nodes.transport.peers.encode_frame = peers  # type: ignore[attr-defined]
    nodes.transport.link.encode_frame = peers  # type: ignore[attr-defined]
    nodes.exchange.wire.encode_frame = _capturing(directory / EXCHANGE_FRAMES)  # type: ignore[attr-defined]
    _run_child(directory, peer_listener, gateway_listener, exchange_listener, lifeline, options)


def _capturing(path: Path) -> Callable[[bytes], bytes]:
    # Unbuffered and appending: threads write whole messages, and a node that is killed has written all it said.
    file = path.open("ab", buffering=0)

    def encode(message: bytes) -> bytes:
        file.write(message + b"\n")
        return encode_frame(message)

    return encode
