"""Nodes that die in the middle of a delivery, at a chunk that is known: what a power cut does, without its luck."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import nodes.launcher
from nodes.exchange.messages import Offer
from nodes.exchange.provider import Provider
from nodes.process import NodeOptions

DEADLY = "dies-at-a-chunk"
"""A file in a node's directory: the node dies once after serving the chunk whose number it holds, and it goes."""

_run_child = nodes.launcher._child


def run_dying(
    directory: Path,
    peer_listener: socket.socket,
    gateway_listener: socket.socket,
    exchange_listener: socket.socket,
    lifeline: socket.socket,
    options: NodeOptions,
) -> None:
    """Run a node as the launcher does; in its process alone the provider looks for `DEADLY` after each chunk."""
    served, deadly = Provider.chunks, directory / DEADLY

    def chunks(provider: Provider, offer: Offer, first: int) -> Iterator[bytes]:
        for index, chunk in enumerate(served(provider, offer, first), first):
            yield chunk
            if deadly.exists() and index == int(deadly.read_text(encoding="ascii")):
                deadly.unlink()
                os.kill(os.getpid(), signal.SIGKILL)

    Provider.chunks = chunks  # type: ignore[assignment, method-assign]
    _run_child(directory, peer_listener, gateway_listener, exchange_listener, lifeline, options)
