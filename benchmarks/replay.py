"""How fast a member comes back from a long journal, and whether it stays as fast: `make replay RECORDS=10000000`.

A member that orders alone writes the journal: 53 departments publish the next revision of a few systems each, so that
the state keeps its size while the history grows. Then another process opens the journal as a node does at its start
and executes all of it again. Printed for every tenth of the records: the rate, and the process's memory; in the end
what each stage took, and whether the last tenth was as fast as the first (within 20 %).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ledger.blocks.envelope import seal
from ledger.blocks.genesis import Genesis, Parameters
from ledger.consensus.effects import Append, Effect, Executed
from ledger.consensus.events import TimerFired
from ledger.consensus.solo import NEXT_TIMER
from ledger.crypto.backend import active_backend
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey
from ledger.identifiers import CreditCode, Height, KeyId
from ledger.members.founding import MemberProfile, NodeSigners, found_member, found_network
from ledger.registers.directories.records import PublishSystem
from ledger.replica import Options, Replica
from ledger.replica.intake import SPREAD_TIMER
from ledger.storage.safety_slots import SlotsRead
from nodes.backend import choose_backend
from nodes.block_archive import JournalArchive
from nodes.files import DiskFolder
from nodes.journal import Journal
from nodes.pipeline import Gauges
from nodes.replay import replay
from nodes.verification import verify_batch
from scenarios.beijing.city_files import load_city

SYSTEMS_PER_DEPARTMENT = 20
INTERVAL_MS = 1_000
STEPS = 10
SLOWER_AT_MOST = 0.20
NOTHING_WRITTEN = SlotsRead(payload=None, sequence=0, synced_offset=0, unreadable=0)


def main() -> int:
    """Write, replay, report; return 0 if the rate stayed what it was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="records in the journal (default 1,000,000)")
    parser.add_argument("-k", type=int, default=256, help="records an envelope, 1 to 256 (default 256)")
    parser.add_argument("--workers", type=int, help="processes that prepare ahead (default: as a node chooses)")
    parser.add_argument("--directory", type=Path, help="where the journal is written (default: a temporary folder)")
    parser.add_argument("--replay-only", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    choose_backend()
    if arguments.replay_only is not None:
        return replay_journal(arguments.replay_only, arguments.records, arguments.workers)
    with tempfile.TemporaryDirectory(prefix="mulu-replay-", dir=arguments.directory) as folder:
        write_journal(Path(folder), arguments.records, arguments.k)
        # A process of its own, so that its memory is that of a node that starts.
        command = [sys.executable, __file__, "--replay-only", folder, "--records", str(arguments.records)]
        if arguments.workers is not None:
            command += ["--workers", str(arguments.workers)]
        try:
            return subprocess.run(command, check=False).returncode
        finally:
            _root_file(Path(folder)).unlink()


def _root_file(folder: Path) -> Path:
    """Return where the state root that the writer ended with stands, beside the journal."""
    return folder.with_name(f"{folder.name}.root")


def key(*names: str) -> SigningKey:
    """Return the same key for the same names."""
    return SigningKey.from_seed(sha256("/".join(("replay", *names)).encode()))


def found() -> tuple[Genesis, CreditCode, NodeSigners]:
    """Return a network of the city's departments with one validator, and that validator's keys."""
    departments = load_city().departments
    first = departments[0].uscc
    node = NodeSigners(consensus=key("consensus"), cosigner=key("cosigner"), log=key("log"))
    name = "mulu.replay.example"
    founders = [
        found_member(
            MemberProfile(
                credit_code=row.uscc,
                code=row.code,
                name_zh=row.name_zh,
                name_en=row.name_en,
                name_before="",
                roles=row.roles | {"department"},
            ),
            network=name,
            envelope=key("envelope", row.uscc),
            node=node if row.uscc == first else None,
            tls=sha256(b"no transport") if row.uscc == first else None,
        )
        for row in departments
    ]
    parameters = Parameters(
        engine="solo",
        base_timeout_ms=1_000,
        block_interval_ms=INTERVAL_MS,
        idle_ms=10_000,
        block_payload_bytes=2 << 20,
        utc_offset_hours=8,
    )
    genesis = found_network(
        name=name, created_ms=1_759_276_800_000, parameters=parameters, calendar=[], founders=founders
    )
    return genesis, first, node


def open_member(folder: Path) -> tuple[Replica, Journal]:
    """Return a new member and its journal, as a node has them before it has replayed anything."""
    genesis, me, signers = found()
    journal = Journal.open(DiskFolder(folder), chain_id=genesis.chain, synced_offset=0, ballast_bytes=0)
    archive = JournalArchive(journal)
    return Replica(
        genesis=genesis, me=me, signers=signers, verify=verify_batch, options=Options(archive=archive)
    ), journal


def write_journal(folder: Path, records: int, k: int, *, turns: int | None = None) -> None:
    """Let a member order `records` records of one kind, `k` to an envelope, and keep its journal.

    Args:
        turns: Envelopes of each department in a block; by default as many as fill its two megabytes or nearly.
    """
    member, journal = open_member(folder)
    began = time.perf_counter()

    def carry_out(effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Append):
                journal.append(effect.frame)

    member.recover((), NOTHING_WRITTEN)
    carry_out(member.start(member.state.time_ms))
    statements = {row.uscc: systems(row.uscc) for row in load_city().departments}
    sequences = dict.fromkeys(statements, 0)
    turns = turns or max(1, min(64, 160 // k))
    left = records
    while left:
        now_ms = member.state.time_ms + 1
        for _ in range(turns):
            for department, revisions in statements.items():
                count = min(k, left)
                if not count:
                    break
                left -= count
                sequences[department] += 1
                envelope = seal(
                    [next(revisions) for _ in range(count)],
                    chain=member.state.chain,
                    department=department,
                    key_id=KeyId(1),
                    sequence=sequences[department],
                    valid_until=Height(member.height + 100),
                    signer=key("envelope", department),
                )
                carry_out(member.submit(envelope.encode(), now_ms)[1])
        carry_out(member.handle(TimerFired(SPREAD_TIMER), now_ms))
        while len(member.pool):
            now_ms += INTERVAL_MS
            carry_out(member.handle(TimerFired(NEXT_TIMER), now_ms))
    journal.sync()
    took_s = time.perf_counter() - began
    print(
        f"written   {records:,} records, {k} an envelope, {member.height:,} blocks, {journal.end / 1e6:,.0f} MB, ",
        end="",
    )
    print(f"{len(member.state):,} keys; {took_s:,.0f} s")
    _root_file(folder).write_text(member.state.root.hex())
    journal.close()


def systems(department: CreditCode) -> Iterator[bytes]:
    """Yield revision after revision of a department's systems, encoded."""
    revision = 0
    while True:
        revision += 1
        for number in range(SYSTEMS_PER_DEPARTMENT):
            yield PublishSystem(
                id=f"{department}-S{number:02}",
                revision=revision,
                name_zh="统一申办受理平台",
                name_en="Unified acceptance platform",
                location="通州",
                protection_level=3,
            ).encode()


def replay_journal(folder: Path, records: int, workers: int | None) -> int:
    """Replay, print what it took, and return 0 if state and rate are as they must be."""
    step = max(1, records // STEPS)
    rates: list[float] = []
    done = accepted = 0
    began = since = time.perf_counter()
    since_done = 0

    def count(executed: Executed) -> None:
        nonlocal done, accepted, since, since_done
        if not done:
            # The workers have started; what comes before the first block is counted in the whole.
            since, since_done = time.perf_counter(), sum(map(len, executed.results))
        done += sum(map(len, executed.results))
        accepted += sum(codes.count(0) for codes in executed.results)
        if done - since_done >= step or (done == records and done > since_done):
            now = time.perf_counter()
            rates.append((done - since_done) / (now - since))
            print(f"{done:>14,} records   {rates[-1]:>9,.0f} /s   {memory_mb():>6,.0f} MB", flush=True)
            since, since_done = now, done

    member, journal = open_member(folder)
    opened_s = time.perf_counter() - began
    print(
        f"opened    {journal.end / 1e6:,.0f} MB of journal checked in {opened_s:.1f} s; backend {active_backend().name}"
    )
    gauges = Gauges.zero()
    since = time.perf_counter()
    replay(member, journal, NOTHING_WRITTEN, count, workers=workers, gauges=gauges)
    took_s = time.perf_counter() - began - opened_s
    print(f"replayed  {done:,} records in {took_s:,.1f} s: {done / took_s:,.0f} /s, peak memory {memory_mb():,.0f} MB")
    for stage, gauge in asdict(gauges).items():
        print(f"          {stage:<10} {gauge['busy_s'] / done * 1e6:6.2f} us a record")
    # One block gives no rate: its beginning is where the workers' start ends.
    change = rates[-1] / rates[0] - 1 if rates else 0.0
    print(f"          last {step:,} records against the first: {change:+.0%}")
    good = member.state.root.hex() == _root_file(folder).read_text() and accepted == done == records
    print(
        json.dumps(
            {
                "schema": "mulu.replay/1",
                "records": done,
                "records_per_second": done / took_s,
                "rates": rates,
                "peak_mb": memory_mb(),
                "same_state": good,
                "backend": active_backend().name,
            }
        )
    )
    return 0 if good and change >= -SLOWER_AT_MOST else 1


def memory_mb() -> float:
    """Return the peak memory of this process so far, workers not included."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage says was begun by the parent.
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
