"""The gateway in front of a real node: a network of one validator, with its keys, journal, index and restart."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.blocks.envelope import seal
from ledger.crypto.signatures import verify_batch
from ledger.identifiers import Height, KeyId
from ledger.members.founding import MemberProfile
from ledger.proofs.cosigned import check_witnessed
from ledger.proofs.notes import parse_note
from ledger.proofs.tlog_policy import parse_tlog_policy
from ledger.replica import Options, Replica
from nodes import files
from nodes import runner as runner_module
from nodes.block_archive import JournalArchive
from nodes.data_directory import DataDirectory
from nodes.disk_space import DiskSpace
from nodes.gateway.app import create_app
from nodes.gateway.node_view import RunningNode
from nodes.gateway.routes.envelopes import MEDIA_TYPE
from nodes.index import QueryIndex
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
from tests.proofs.memory_ledger import RESPONSIBILITY
from tests.proofs.small_network import MARKET_REGULATION, Member

SMALL = 1 << 16

METRICS_S = 30
"""Longest wait for a count on a busy machine."""


def _profile(member: Member) -> MemberProfile:
    return MemberProfile(
        credit_code=member.credit_code,
        code=member.code,
        name_zh=member.name_zh,
        name_en=member.name_en,
        name_before="",
        roles=member.roles,
    )


def _prepare(root: Path) -> PreparedNetwork:
    """Make a network of one validator."""
    return prepare_network(
        root,
        name="mulu.test.example",
        members=[_profile(MARKET_REGULATION)],
        addresses={MARKET_REGULATION.credit_code: NodeAddress(host="127.0.0.1", peer_port=1, gateway_port=2)},
        parameters=default_parameters(1, engine="solo", idle_ms=60_000),
        calendar=(),
        now=datetime.now(UTC),
    )


@contextlib.asynccontextmanager
async def _running(directory: Path) -> AsyncIterator[tuple[httpx.AsyncClient, RunningNode]]:
    """Run the node in `directory` and give a client of its gateway."""
    network = load_network(directory)
    async with contextlib.AsyncExitStack() as stack:
        data = stack.enter_context(DataDirectory.open(directory, network.genesis.chain))
        keys = stack.enter_context(Keystore.open(directory / KEYS_DIRECTORY))
        safety = SafetyFile.open(data.folder)
        journal = Journal.open(
            data.journal,
            chain_id=network.genesis.chain,
            synced_offset=safety.found.synced_offset,
            segment_bytes=SMALL,
            ballast_bytes=0,
        )
        replica = Replica(
            genesis=network.genesis,
            me=MARKET_REGULATION.credit_code,
            signers=node_signers(keys),
            verify=verify_batch,
            options=Options(archive=JournalArchive(journal)),
        )
        recovered = replica.recover((frame for _, frame in journal.frames()), safety.found)
        index = stack.enter_context(
            QueryIndex.open(directory / "index.db", chain=network.genesis.chain, journal_height=replica.height)
        )
        entry = network.node_of(MARKET_REGULATION.code)
        view = RunningNode(entry=entry, network=network, index=index)
        runner = Runner(
            replica,
            network=network,
            me=entry.credit_code,
            keys=keys,
            journal=journal,
            safety=safety,
            followers=(index, view),
        )
        stack.push_async_callback(runner.close)
        view.attach(runner)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        await runner.start(listener, recovered)
        transport = httpx.ASGITransport(create_app(view))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", timeout=30) as session:
            yield session, view
        view.close()


async def _submit(prepared: PreparedNetwork, session: httpx.AsyncClient) -> httpx.Response:
    """Hand in the publication of a responsibility and wait for the receipt."""
    envelope = seal(
        [RESPONSIBILITY.encode()],
        chain=prepared.network.genesis.chain,
        department=MARKET_REGULATION.credit_code,
        key_id=KeyId(1),
        sequence=1,
        valid_until=Height(100),
        signer=prepared.envelope_signers[MARKET_REGULATION.code],
    )
    headers = {"Content-Type": MEDIA_TYPE}
    return await session.post("/api/v1/envelopes?wait=30", content=envelope.encode(), headers=headers)


async def _own_note(session: httpx.AsyncClient) -> int:
    """Return the largest size that the node has cosigned, after checking that its own note says so."""
    size, *_ = (await session.get("/api/v1/cosignatures")).json()["sizes"]
    policy = parse_tlog_policy((await session.get("/policy/tools")).content)
    note = parse_note((await session.get(f"/api/v1/cosignatures/{size}")).text)
    assert check_witnessed(note, policy) == (MARKET_REGULATION.credit_code,)
    assert note.size == size
    return note.size


def test_a_real_node_acknowledges_proves_and_remembers(tmp_path: Path) -> None:
    """A receipt under a checkpoint, proofs and metrics; after a restart the same answers, old receipts included."""
    prepared = _prepare(tmp_path / "network")
    directory = tmp_path / "network" / MARKET_REGULATION.code

    async def life() -> tuple[dict[str, Any], str]:
        async with _running(directory) as (session, _):
            assert (await session.get("/readyz")).text == "ok\n"
            answer = await _submit(prepared, session)
            assert answer.status_code == 200, answer.text
            receipt: dict[str, Any] = answer.json()
            assert [result["code"] for result in receipt["results"]] == ["accepted"]
            note = parse_note((await session.get("/checkpoint")).text)
            assert note.size >= receipt["inclusion"]["size"]
            assert await _own_note(session) >= note.size
            proof = (await session.get("/api/v1/proofs/state?key=directories/responsibility/AY-01")).json()
            assert proof["value"] is not None
            counted = 'mulu_records_executed_total{code="accepted",kind="directories.publish_responsibility"} 1.0'
            async with asyncio.timeout(METRICS_S):
                # The index counts on a thread of its own: perhaps only after the receipt is there.
                while counted not in (metrics := (await session.get("/metrics")).text):
                    pass
            assert "mulu_journal_sync_seconds_count" in metrics
            return receipt, (await session.get("/api/v1/state/responsibilities/AY-01/history")).text

    async def life_after(receipt: dict[str, Any], history: str) -> None:
        async with _running(directory) as (session, view):
            assert (await session.get("/api/v1/state/responsibilities/AY-01/history")).text == history
            assert not view.index.failure
            again = (await session.get(f"/api/v1/envelopes/{receipt['envelope']}/receipt?wait=30")).json()
            assert (again["entry"], again["height"]) == (receipt["entry"], receipt["height"])
            # Of what was cosigned before, the safety record has the last.
            assert await _own_note(session) >= receipt["inclusion"]["size"]

    asyncio.run(asyncio.wait_for(life_after(*asyncio.run(asyncio.wait_for(life(), 60))), 60))


def test_a_node_that_has_stopped_hands_out_no_cosignature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it signed last may not be on the disk, and a signature must be durable before it leaves (P20)."""
    prepared = _prepare(tmp_path / "network")

    async def life() -> None:
        async with _running(tmp_path / "network" / MARKET_REGULATION.code) as (session, _):
            assert (await _submit(prepared, session)).status_code == 200
            size = await _own_note(session)
            monkeypatch.setattr(Runner, "running", property(lambda _: False))
            for path in ("/api/v1/cosignatures", f"/api/v1/cosignatures/{size}"):
                answer = await session.get(path)
                assert (answer.status_code, answer.json()["code"]) == (503, "not_yet")

    asyncio.run(asyncio.wait_for(life(), 60))


def test_a_node_whose_disk_is_nearly_full_says_so_and_is_ready_again_with_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the envelope, answers, and is alive; the receipt comes once there is room, without a restart."""
    prepared = _prepare(tmp_path / "network")
    space = DiskSpace(size_bytes=1 << 30, free_bytes=40 << 20)
    monkeypatch.setattr(files, "space_at", lambda _: space)
    monkeypatch.setattr(runner_module, "DISK_LOOK_S", 0)

    async def life() -> None:
        nonlocal space
        async with _running(tmp_path / "network" / MARKET_REGULATION.code) as (session, view):
            submitting = asyncio.create_task(_submit(prepared, session))
            refused = await session.get("/readyz")
            assert refused.status_code == 503
            assert refused.json()["reasons"] == [
                "it signs nothing for now: its disk is nearly full: 40 of 1,024 MiB are free"
            ]
            assert (await session.get("/livez")).status_code == 200
            metrics = (await session.get("/metrics")).text
            assert "mulu_signing_paused 1.0" in metrics
            assert "mulu_disk_free_bytes 4.194304e+07" in metrics
            assert (view.state.height, submitting.done()) == (0, False)
            space = DiskSpace(size_bytes=1 << 30, free_bytes=100 << 20)
            assert (await submitting).status_code == 200
            assert (await session.get("/readyz")).text == "ok\n"
            assert "mulu_signing_paused 0.0" in (await session.get("/metrics")).text

    asyncio.run(asyncio.wait_for(life(), 60))
