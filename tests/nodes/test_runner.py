"""What a node does when its disk fails it: it stops, tells why under the failure's own code, and takes nothing more."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.blocks.envelope import seal
from ledger.crypto.signatures import verify_batch
from ledger.errors import LedgerError, NotYetError
from ledger.identifiers import Height, KeyId
from ledger.replica import Options, Replica
from nodes.block_archive import JournalArchive
from nodes.journal import Journal
from nodes.keystore import Keystore
from nodes.network import (
    KEYS_DIRECTORY,
    NodeAddress,
    PreparedNetwork,
    default_parameters,
    load_network,
    node_signers,
    prepare_network,
)
from nodes.runner import Runner
from nodes.safety_file import SafetyFile
from scenarios.beijing.city import load_city
from scenarios.beijing.network import profiles_of, validators_of
from tests.gateway.conftest import RESPONSIBILITY
from tests.storage.fault_disk import FaultDisk

CODE = "BM"
LIMIT_S = 30


class Running(NamedTuple):
    """A node that orders alone, and the disk under its journal and its safety record."""

    prepared: PreparedNetwork
    runner: Runner
    disk: FaultDisk

    def envelope(self, sequence: int) -> bytes:
        """A good envelope of the department."""
        return seal(
            [RESPONSIBILITY.encode()],
            chain=self.prepared.network.genesis.chain,
            department=self.prepared.network.node_of(CODE).credit_code,
            key_id=KeyId(1),
            sequence=sequence,
            valid_until=Height(100),
            signer=self.prepared.envelope_signers[CODE],
        ).encode()


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[Running]:
    """Run a node for the length of a block."""
    city = load_city().first(1)
    prepared = prepare_network(
        root,
        name="mulu.test.example",
        members=profiles_of(city),
        addresses={code: NodeAddress(host="127.0.0.1", peer_port=1, gateway_port=2) for code in validators_of(city)},
        parameters=default_parameters(1, engine="solo", idle_ms=60_000),
        calendar=(),
        now=datetime.now(UTC),
    )
    network, disk = load_network(root / CODE), FaultDisk()
    SafetyFile.create(disk.folder("data"))
    safety = SafetyFile.open(disk.folder("data"))
    journal = Journal.open(
        disk.folder("journal"), chain_id=network.genesis.chain, synced_offset=0, segment_bytes=1 << 16, ballast_bytes=0
    )
    me = network.node_of(CODE).credit_code
    with Keystore.open(root / CODE / KEYS_DIRECTORY) as keys, socket.create_server(("127.0.0.1", 0)) as listener:
        replica = Replica(
            genesis=network.genesis,
            me=me,
            signers=node_signers(keys),
            verify=verify_batch,
            options=Options(archive=JournalArchive(journal)),
        )
        recovered = replica.recover((), safety.found)
        runner = Runner(replica, network=network, me=me, keys=keys, journal=journal, safety=safety)
        await runner.start(listener, recovered)
        yield Running(prepared, runner, disk)
        await runner.close()


def failing(operation: str, code: int) -> Callable[[str, str], int | None]:
    """A disk on which one operation fails."""
    return lambda asked, name: code if asked == operation else None


@pytest.mark.parametrize(
    ("operation", "number", "code"),
    [
        ("write", errno.ENOSPC, "disk_full"),
        ("write", errno.EIO, "storage_failed"),
        ("sync", errno.EIO, "storage_failed"),
    ],
)
def test_a_disk_that_fails_stops_the_node(tmp_path: Path, operation: str, number: int, code: str) -> None:
    """Full or broken, while an envelope is being taken: the reason ends the process, and nothing more is pooled."""

    async def life() -> None:
        async with running(tmp_path / "network") as node:
            node.disk.failing = failing(operation, number)
            node.runner.submit(node.envelope(1))
            with pytest.raises(LedgerError) as stopped:
                await node.runner.wait_stopped()
            assert stopped.value.code == code
            node.disk.failing = lambda asked, name: None
            with pytest.raises(NotYetError):
                node.runner.submit(node.envelope(2))

    asyncio.run(asyncio.wait_for(life(), LIMIT_S))
