"""A node with a certificate on it, its gateway, and a client that needs no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.gateway.app import create_app
from tests.gateway.client import Client
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import APPROVAL, RESPONSIBILITY, TYPE, issue
from tests.proofs.small_network import MARKET_REGULATION, REGISTRAR


@pytest.fixture
def empty_node(tmp_path: Path) -> Iterator[MemoryNode]:
    """A node at its genesis."""
    node = MemoryNode(tmp_path)
    yield node
    node.close()


@pytest.fixture
def node(empty_node: MemoryNode) -> MemoryNode:
    """Four blocks: a responsibility, its approval, a type, a certificate; and a checkpoint over them."""
    for member, record in ((MARKET_REGULATION, RESPONSIBILITY), (REGISTRAR, APPROVAL), (MARKET_REGULATION, TYPE)):
        empty_node.execute(empty_node.sign(member, record))
    empty_node.execute(empty_node.sign(MARKET_REGULATION, issue(), TYPE))
    empty_node.cosign()
    return empty_node


@pytest.fixture
def client(node: MemoryNode) -> Iterator[Client]:
    """Asks the gateway of `node`, all requests in one event loop, as in a real node."""
    with asyncio.Runner() as loop:
        yield Client(create_app(node), loop)


@pytest.fixture
def empty_client(empty_node: MemoryNode) -> Iterator[Client]:
    """Asks the gateway of a node at its genesis."""
    with asyncio.Runner() as loop:
        yield Client(create_app(empty_node), loop)
