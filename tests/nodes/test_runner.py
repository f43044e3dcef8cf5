"""What a node does when its disk fills up or fails it, and when peers break the protocol."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.blocks.envelope import seal
from ledger.consensus.effects import Effect
from ledger.consensus.events import Event
from ledger.consensus.voting import TooFarAheadError
from ledger.crypto.signatures import verify_batch
from ledger.errors import InvalidInputError, LedgerError, NotYetError, SignatureError, StorageFailedError
from ledger.identifiers import Height, KeyId
from ledger.replica import Options, Replica
from nodes import runner as runner_module
from nodes.block_archive import JournalArchive
from nodes.disk_space import FREE_BYTES_ENOUGH, DiskSpace
from nodes.files import DiskFullError
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
from scenarios.beijing.city_files import load_city
from scenarios.beijing.network import profiles_of, validators_of
from tests.proofs.memory_ledger import RESPONSIBILITY
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
async def running(root: Path, disk: FaultDisk | None = None) -> AsyncIterator[Running]:
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
    network, disk = load_network(root / CODE), disk or FaultDisk()
    SafetyFile.create(disk.folder("data"))
    safety = SafetyFile.open(disk.folder("data"))
    journal = Journal.open(
        disk.folder("journal"),
        chain_id=network.genesis.chain,
        synced_offset=0,
        segment_bytes=1 << 16,
        ballast_bytes=1 << 12,
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
            assert node.runner.running
            node.runner.submit(node.envelope(1))
            with pytest.raises(LedgerError) as stopped:
                await node.runner.wait_stopped()
            # What was signed last is not durable, so that nobody may be told of it.
            assert not node.runner.running
            assert stopped.value.code == code
            node.disk.failing = lambda asked, name: None
            with pytest.raises(NotYetError):
                node.runner.submit(node.envelope(2))

    asyncio.run(asyncio.wait_for(life(), LIMIT_S))


def test_a_full_disk_gets_the_ballast_back(tmp_path: Path) -> None:
    """What is written while the node closes finds room; the reason is the same if even that fails."""

    async def life(ballast: int | None) -> list[str]:
        async with running(tmp_path / str(ballast)) as node:
            node.disk.failing = lambda asked, name: {"write": errno.ENOSPC, "remove": ballast}.get(asked)
            node.runner.submit(node.envelope(1))
            with pytest.raises(DiskFullError):
                await node.runner.wait_stopped()
            return node.disk.folder("journal").names()

    assert "ballast" not in asyncio.run(asyncio.wait_for(life(None), LIMIT_S))
    assert "ballast" in asyncio.run(asyncio.wait_for(life(errno.EIO), LIMIT_S))


def test_a_nearly_full_disk_silences_the_node_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From its start on; a line in the log at each change and none between; the safety record is left alone."""
    monkeypatch.setattr(runner_module, "DISK_LOOK_S", 0)
    disk = FaultDisk()
    disk.space = DiskSpace(size_bytes=10_000, free_bytes=499)

    async def looks(several: int) -> None:
        for _ in range(several):
            await asyncio.sleep(0)

    async def life() -> None:
        async with running(tmp_path / "network", disk) as node:
            before = SafetyFile.open(disk.folder("data")).found
            node.runner.submit(node.envelope(1))
            disk.space = DiskSpace(size_bytes=10_000, free_bytes=498)
            await looks(20)
            assert node.runner.replica.height == 0
            assert len(node.runner.replica.pool) == 1
            assert node.runner.counters.signing_paused
            assert SafetyFile.open(disk.folder("data")).found == before
            disk.space = DiskSpace(size_bytes=10_000, free_bytes=500)
            while node.runner.replica.height == 0:
                await asyncio.sleep(0)
            assert not node.runner.counters.signing_paused

    with caplog.at_level(logging.WARNING, runner_module.__name__):
        asyncio.run(asyncio.wait_for(life(), LIMIT_S))
    assert [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records] == [
        ("ERROR", "this node signs nothing until its disk has room again"),
        ("WARNING", "this node signs again, its disk has room"),
    ]


def test_a_disk_that_does_not_tell_its_space_stops_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is away or broken, and the next write would find out as well."""
    monkeypatch.setattr(runner_module, "DISK_LOOK_S", 0)

    async def life() -> None:
        async with running(tmp_path / "network") as node:
            node.disk.failing = failing("space", errno.EIO)
            with pytest.raises(StorageFailedError):
                await node.runner.wait_stopped()

    asyncio.run(asyncio.wait_for(life(), LIMIT_S))


@pytest.mark.parametrize(
    ("size", "free", "nearly_full"),
    [
        (10_000, 499, True),
        (10_000, 500, False),
        (1 << 50, FREE_BYTES_ENOUGH - 1, True),
        (1 << 50, FREE_BYTES_ENOUGH, False),
    ],
)
def test_nearly_full_is_a_share_and_never_more_than_some_gigabytes(size: int, free: int, nearly_full: bool) -> None:
    """Five hundredths of a small disk; on a large one two gigabytes are room enough."""
    assert DiskSpace(size_bytes=size, free_bytes=free).nearly_full is nearly_full


def test_whatever_breaks_the_protocol_counts_towards_a_ban(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are no message as well as false signatures: each costs time and a line of the log. A message that
    comes too early is no offence."""

    def refusing(error: InvalidInputError) -> Callable[[Event, int], list[Effect]]:
        def handle(event: Event, now_ms: int) -> list[Effect]:
            raise error

        return handle

    async def life() -> list[str]:
        async with running(tmp_path / "network") as node:
            penalised: list[str] = []
            monkeypatch.setattr(node.runner.peers, "penalise", penalised.append)
            node.runner._on_message(node.runner.me, b"no message")
            for error in (SignatureError("false"), TooFarAheadError("early")):
                monkeypatch.setattr(node.runner.replica, "handle", refusing(error))
                node.runner._on_message(node.runner.me, b"any")
            assert node.runner.counters.messages_refused == 3
            assert node.runner.me == penalised[0]
            return penalised

    assert len(asyncio.run(asyncio.wait_for(life(), LIMIT_S))) == 2
