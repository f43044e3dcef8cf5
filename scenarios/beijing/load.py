"""A live network under load: real nodes on this machine, driven through their gateways by departments in this process.

Each department keeps a number of envelopes on their way through its own gateway, and sends the next when one has its
receipt, which says that a quorum has attested the records. The number is raised step by step: more is committed each
second, until the network is saturated and only the wait grows. The records are issues of certificates, which can be
executed in any order; making and signing them here is part of the load on the machine, and counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ledger.blocks.envelope import seal
from ledger.blocks.record import Record
from ledger.identifiers import CreditCode, Height, KeyId
from ledger.limits import RECORDS_PER_ENVELOPE_MAX
from nodes.launcher import Launcher, NodeFailedError
from scenarios.beijing.actor import Actor
from scenarios.beijing.city import City
from scenarios.beijing.city_files import load_city
from scenarios.beijing.network import NETWORK, calendar_of, profiles_of, validators_of
from scenarios.live import MEDIA_TYPE, READY_TIMEOUT_S, RunFailedError
from scenarios.story import VALID_FOR_BLOCKS

K = 16
"""Records an envelope: what an office sends together at the end of an hour."""

WAIT_S = 30
RETRY_S = 0.05

MORE = 1.1
"""A step that is too slow and brings less than this, compared with the step before, is the last."""

SETTLE_S = 20.0
"""For envelopes on their way when a step ends; what is later counts as lost time, not as an answer."""


class Plan(NamedTuple):
    """How a network of some size is driven."""

    in_flight: Sequence[int]
    """Envelopes on their way through each gateway, step by step."""
    warm_s: float
    """Before a step is counted."""
    window_s: float
    """What is counted of a step."""
    budget_s: float
    """For all of it, starting included; steps that would go beyond are left out."""


SMALL_PLAN = Plan((2, 8, 24, 36, 48), warm_s=1.5, window_s=6.0, budget_s=110)
LARGE_PLAN = Plan((1, 3, 6), warm_s=6.0, window_s=12.0, budget_s=150)
LARGE_FROM = 20
"""Departments from which a network is driven by the second plan."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a network did under one load."""

    k: int
    in_flight: int
    """Envelopes on their way through each gateway."""
    nodes: int
    """That were running."""
    records_per_second: float
    """With a receipt within the window."""
    p50_ms: float
    p99_ms: float
    """From sending an envelope to holding its receipt."""
    envelopes: int
    refused: int
    """Records with another result than accepted; there should be none."""
    node_us: float
    """Processor time that all nodes took together for one record."""
    client_us: float
    """Processor time of the load itself for one record."""


@dataclass(frozen=True, kw_only=True)
class LoadFigures:
    """What was measured of one network."""

    departments: int
    steps: tuple[Step, ...]
    """At `K` records an envelope, in the order of the load."""
    single: Step | None
    """One record an envelope, at the load that was best for `K`; None if there was no time."""
    one_down: Step | None
    """One node killed, at the same load; None if there was no time or no quorum would be left."""
    seconds: float


def best_step(steps: Sequence[Step], p99_ms: float) -> Step:
    """Return the fastest step whose receipts came within `p99_ms`; the fastest of all if none did."""
    in_time = [step for step in steps if step.p99_ms <= p99_ms]
    return max(in_time or steps, key=lambda step: step.records_per_second)


def _is_saturated(steps: Sequence[Step], p99_ms: float) -> bool:
    """Return whether a larger load has brought nothing but a longer wait."""
    if len(steps) < 2 or steps[-1].p99_ms <= p99_ms:
        return False
    return steps[-1].records_per_second < MORE * steps[-2].records_per_second


def measure(
    root: Path,
    *,
    departments: int,
    p99_ms: float,
    say: Callable[[str], None],
    plan: Plan | None = None,
) -> LoadFigures:
    """Start a network under `root`, drive it by steps, stop it, and return what it did.

    Args:
        p99_ms: Receipts later than that make a step too much.

    Raises:
        PreconditionError: This machine cannot run so many nodes.
        NodeFailedError, RunFailedError: The network did not work.
    """
    plan = plan or (SMALL_PLAN if departments < LARGE_FROM else LARGE_PLAN)
    began = time.monotonic()
    city = load_city().first(departments)
    launcher = Launcher.prepare(
        root, name=NETWORK, members=profiles_of(city), validators=validators_of(city), calendar=calendar_of(city)
    )
    with launcher:
        say(f"live network: starting {departments} nodes")
        launcher.start_all()
        launcher.wait_ready(READY_TIMEOUT_S)
        load = _Load(launcher, city, say)
        return asyncio.run(load.play(plan, p99_ms, began))


@dataclass
class _Department:
    """One department that sends, and where."""

    code: str
    credit_code: CreditCode
    gateway: str
    """Host and port."""
    actor: Actor
    sequence: int = 0


@dataclass
class _Count:
    """What a step has seen so far."""

    counting: bool = False
    latencies_s: list[float] = field(default_factory=list)
    records: int = 0
    refused: int = 0


class _Load:
    """The departments of a started network."""

    def __init__(self, launcher: Launcher, city: City, say: Callable[[str], None]) -> None:
        self._launcher, self._city, self._say = launcher, city, say
        self._chain = launcher.network.genesis.chain
        self._height = 0
        rng = random.Random("mulu load")
        with_node = set(launcher.codes)
        first = launcher.codes[0]
        self._senders = {
            row.uscc: _Department(
                row.code,
                row.uscc,
                urlsplit(launcher.gateway_url(row.code if row.code in with_node else first)).netloc,
                Actor(row, city, rng),
            )
            for row in city.validators
        }
        self._rng = rng

    async def play(self, plan: Plan, p99_ms: float, began: float) -> LoadFigures:
        """Set the registers up, then drive the network by steps."""
        deadline = began + plan.budget_s
        step_s = plan.warm_s + plan.window_s + p99_ms / 1000
        await self._set_up()
        steps: list[Step] = []
        for in_flight in plan.in_flight:
            if steps and (time.monotonic() + 3 * step_s > deadline or _is_saturated(steps, p99_ms)):
                break
            steps.append(await self._step(plan, in_flight, K))
        best = best_step(steps, p99_ms)
        single = one_down = None
        if time.monotonic() + 2 * step_s < deadline:
            single = await self._step(plan, best.in_flight, 1)
        if len(self._launcher.codes) >= 4 and time.monotonic() + step_s < deadline:
            killed = self._launcher.codes[-1]
            self._say(f"live network: killing the node of {killed}")
            await asyncio.to_thread(self._launcher.kill, killed)
            one_down = await self._step(plan, best.in_flight, K, without=killed)
        return LoadFigures(
            departments=len(self._launcher.codes),
            steps=tuple(steps),
            single=single,
            one_down=one_down,
            seconds=time.monotonic() - began,
        )

    async def _set_up(self) -> None:
        """State what certificates build on: responsibilities, their approvals, certificate types."""
        actors = {code: sender.actor for code, sender in self._senders.items()}
        registrar = self._city.with_role("registrar")[0].uscc
        await self._state({code: actor.publish_responsibilities() for code, actor in actors.items()})
        approvals = [record for actor in actors.values() for record in actor.responsibility_approvals()]
        await self._state({registrar: approvals})
        await self._state({code: actor.define_types() for code, actor in actors.items()})

    async def _state(self, stated: dict[CreditCode, list[Record]]) -> None:
        async def send(sender: _Department, records: Sequence[Record]) -> None:
            with _Connection(sender.gateway) as connection:
                for start in range(0, len(records), RECORDS_PER_ENVELOPE_MAX):
                    receipt = await self._send(
                        connection, self._seal(sender, records[start : start + RECORDS_PER_ENVELOPE_MAX])
                    )
                    if any(result["number"] for result in receipt["results"]):
                        raise RunFailedError(f"{sender.code}: set-up was refused: {receipt['results']}")

        await asyncio.gather(*(send(self._sender(code), records) for code, records in stated.items()))

    def _sender(self, code: CreditCode) -> _Department:
        """Return who sends for a member; one without a node uses the first gateway."""
        if code not in self._senders:
            row = next(row for row in self._city.departments if row.uscc == code)
            gateway = urlsplit(self._launcher.gateway_url(self._launcher.codes[0])).netloc
            self._senders[code] = _Department(row.code, code, gateway, Actor(row, self._city, self._rng))
        return self._senders[code]

    async def _step(self, plan: Plan, in_flight: int, k: int, *, without: str = "") -> Step:
        """Drive the network at one load and count."""
        codes = [code for code in self._launcher.codes if code != without]
        senders = [sender for sender in self._senders.values() if sender.code in codes]
        count, stopping = _Count(), asyncio.Event()
        tasks = [
            asyncio.create_task(self._keep_sending(sender, k, count, stopping))
            for sender in senders
            for _ in range(in_flight)
        ]
        await asyncio.sleep(plan.warm_s)
        count.counting = True
        node_s, client_s, start = self._node_cpu_s(codes), time.process_time(), time.monotonic()
        while (seconds := time.monotonic() - start) < plan.window_s or (not count.records and seconds < SETTLE_S):
            await asyncio.sleep(min(plan.window_s, 0.5))
        node_s, client_s = self._node_cpu_s(codes) - node_s, time.process_time() - client_s
        count.counting = False
        stopping.set()
        done, late = await asyncio.wait(tasks, timeout=SETTLE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._launcher.check_running()
        for task in done:
            task.result()
        if not count.records:
            raise RunFailedError(f"not one receipt within {seconds:.0f} s at {in_flight} envelopes a gateway")
        p50, p99 = _percentiles(count.latencies_s)
        step = Step(
            k=k,
            in_flight=in_flight,
            nodes=len(codes),
            records_per_second=count.records / seconds,
            p50_ms=p50 * 1000,
            p99_ms=p99 * 1000,
            envelopes=len(count.latencies_s),
            refused=count.refused,
            node_us=node_s / count.records * 1e6,
            client_us=client_s / count.records * 1e6,
        )
        self._say(
            f"live network: {step.nodes} nodes, k = {k}, {in_flight} on their way a gateway: "
            f"{step.records_per_second:,.0f} records/s, p50 {step.p50_ms:,.0f} ms, p99 {step.p99_ms:,.0f} ms"
        )
        return step

    async def _keep_sending(self, sender: _Department, k: int, count: _Count, stopping: asyncio.Event) -> None:
        with _Connection(sender.gateway) as connection:
            while not stopping.is_set():
                began = time.monotonic()
                raw = self._seal(sender, [sender.actor.issue() for _ in range(k)])
                receipt = await self._send(connection, raw)
                if count.counting:
                    count.latencies_s.append(time.monotonic() - began)
                    count.records += k
                    count.refused += sum(bool(result["number"]) for result in receipt["results"])

    def _seal(self, sender: _Department, records: Sequence[Record]) -> bytes:
        sender.sequence += 1
        return seal(
            [record.encode() for record in records],
            chain=self._chain,
            department=sender.credit_code,
            key_id=KeyId(1),
            sequence=sender.sequence,
            valid_until=Height(self._height + VALID_FOR_BLOCKS),
            signer=self._launcher.envelope_signers[sender.code],
        ).encode()

    async def _send(self, connection: _Connection, raw: bytes) -> dict[str, Any]:
        """Hand an envelope in and return its receipt."""
        while True:
            status, answer = await connection.ask("POST", f"/api/v1/envelopes?wait={WAIT_S}", raw)
            if status == 503:
                await asyncio.sleep(RETRY_S)
                continue
            while status == 202:
                place = f"/api/v1/envelopes/{answer['envelope']}/receipt?wait={WAIT_S}"
                status, answer = await connection.ask("GET", place)
            if status != 200:
                raise RunFailedError(f"the gateway at {connection.address} answered {status}: {answer}")
            self._height = max(self._height, answer["height"])
            return answer

    def _node_cpu_s(self, codes: Iterable[str]) -> float:
        """Return the processor time that the nodes have taken so far."""
        total = 0
        for code in codes:
            with suppress(OSError):
                fields = Path(f"/proc/{self._launcher.pid(code)}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")


class _Connection:
    """A connection to a gateway that is kept: a tenth of what a general client costs, since it shares the machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        """Send a request; return the status and the JSON object of the answer."""
        if self._streams is None:
            host, _, port = self.address.rpartition(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.address}\r\n"
            f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            content = await reader.readexactly(int(headers["content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise NodeFailedError(f"the gateway at {self.address} closed a connection: {error}") from error
        return int(lines[0].split(" ", 2)[1]), json.loads(content)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        if self._streams is not None:
            self._streams[1].close()


def _percentiles(latencies_s: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    if len(latencies_s) == 1:
        return latencies_s[0], latencies_s[0]
    cuts = quantiles(latencies_s, n=100, method="inclusive")
    return cuts[49], cuts[98]
