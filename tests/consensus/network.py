"""A few engines wired together without I/O: delivery with seeded delay, reordering and loss, and disks in memory."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from ledger.blocks.genesis import Genesis, Parameters
from ledger.consensus.cache import SharedCache
from ledger.consensus.certificates import Verifier
from ledger.consensus.effects import (
    Append,
    Broadcast,
    CancelTimer,
    Effect,
    Halt,
    SaveSafety,
    Send,
    SetTimer,
)
from ledger.consensus.engine import Timing
from ledger.consensus.jolteon import Jolteon
from ledger.consensus.leader import LeaderChoice, RoundRobin
from ledger.consensus.messages import Proposal
from ledger.consensus.safety import Safety
from ledger.crypto.hashing import sha256
from ledger.crypto.merkle import LogTree, leaf_hash
from ledger.crypto.signatures import SigningKey
from ledger.errors import InvalidInputError
from ledger.identifiers import CreditCode, Digest, Height, ValidatorIndex
from ledger.members.founding import MemberProfile, NodeSigners, found_member, found_network
from ledger.members.validators import ValidatorSet
from ledger.storage.frames import Frame
from ledger.storage.safety_slots import SlotsRead

CREATED_MS = 1_000_000
TIMING = Timing(base_timeout_ms=1_000, block_interval_ms=50, idle_ms=10_000_000, payload_bytes_max=100_000)


def signers_of(index: int) -> NodeSigners:
    """Return the keys of a validator."""
    consensus, cosigner, log = (SigningKey.from_seed(sha256(f"{index}/{what}".encode())) for what in "abc")
    return NodeSigners(consensus=consensus, cosigner=cosigner, log=log)


@cache
def genesis_of(count: int, engine: str = "jolteon") -> Genesis:
    """Return a genesis with `count` validators."""
    founders = [
        found_member(
            MemberProfile(
                credit_code=CreditCode(f"{index:018d}"),
                code=f"D{index}",
                name_zh="",
                name_en=f"Department {index}",
                name_before="",
                roles=frozenset({"department", "directory_authority", "provider", "registrar"}),
            ),
            network="test.example",
            envelope=SigningKey.from_seed(sha256(f"{index}/envelope".encode())),
            node=signers_of(index),
            tls=Digest(sha256(f"{index}/tls".encode())),
        )
        for index in range(count)
    ]
    parameters = Parameters(
        engine=engine,
        base_timeout_ms=TIMING.base_timeout_ms,
        block_interval_ms=TIMING.block_interval_ms,
        idle_ms=TIMING.idle_ms,
        block_payload_bytes=TIMING.payload_bytes_max,
        utc_offset_hours=8,
    )
    return found_network(
        name="test.example", created_ms=CREATED_MS, parameters=parameters, calendar=(), founders=founders
    )


class Ledger:
    """An application that takes any bytes for envelopes; its log has an entry for each of them and one a block."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.blocks: list[Proposal] = []
        self.log = LogTree([leaf_hash(b"genesis")])
        self.sizes = [1]

    def has_payload(self) -> bool:
        return bool(self.waiting)

    def take_payload(self, branch: Sequence[Proposal], *, height: Height, bytes_max: int) -> tuple[bytes, ...]:
        taken = {envelope for proposal in branch for envelope in proposal.block.payload}
        return tuple(envelope for envelope in self.waiting if envelope not in taken)[:100]

    def approves(self, proposal: Proposal, branch: Sequence[Proposal]) -> bool:
        done = {e for p in (*self.blocks, *branch) for e in p.block.payload}
        return not done.intersection(proposal.block.payload) and b"malformed" not in proposal.block.payload

    def commit(self, proposal: Proposal) -> list[Effect]:
        self.blocks.append(proposal)
        for entry in (*proposal.block.payload, proposal.id):
            self.log.append(leaf_hash(entry))
        self.sizes.append(self.log.size)
        self.waiting = [envelope for envelope in self.waiting if envelope not in proposal.block.payload]
        return []

    def log_size(self, height: int) -> int | None:
        return self.sizes[height] if height < len(self.sizes) else None

    def log_root(self, size: int) -> Digest | None:
        return self.log.root(size) if size <= self.log.size else None

    def committed_block(self, height: int) -> bytes | None:
        return self.blocks[height - 1].raw if 1 <= height <= len(self.blocks) else None


@dataclass
class Disk:
    """A journal and a safety slot; what is not synced is lost with the power."""

    frames: list[Frame] = field(default_factory=list)
    synced: int = 0
    safety: bytes | None = None

    def carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Append):
            self.frames.append(effect.frame)
        elif isinstance(effect, SaveSafety):
            self.synced = len(self.frames)
            self.safety = effect.payload


class Member:
    """An engine with its application, its disk and its timers."""

    def __init__(self, network: TestNetwork, index: int, disk: Disk | None = None) -> None:
        self.index, self.network = index, network
        self.disk = disk or Disk()
        self.ledger = Ledger()
        self.signers = signers_of(index)
        self.safety = Safety(
            validators=network.validators,
            me=ValidatorIndex(index),
            consensus=self.signers.consensus,
            cosigner=self.signers.cosigner,
        )
        self.engine = Jolteon(
            verifier=Verifier(network.validators, cache=network.cache),
            safety=self.safety,
            leaders=network.leaders(network.validators),
            timing=TIMING,
            created_ms=CREATED_MS,
            application=self.ledger,
            cache=network.cache,
        )
        self.timers: dict[str, int] = {}
        self.effects: list[Effect] = []
        self.refusals: list[InvalidInputError] = []
        self.up = True
        # What was not synced is gone, and the bytes that were written after it with it.
        self.disk.frames = self.disk.frames[: self.disk.synced]
        self.engine.recover(list(self.disk.frames), SlotsRead(self.disk.safety, 2, 0, unreadable=0))

    def do(self, action: Callable[[], list[Effect]]) -> None:
        try:
            effects = action()
        except InvalidInputError as error:
            self.refusals.append(error)
            return
        for effect in effects:
            self.effects.append(effect)
            self.disk.carry_out(effect)
            match effect:
                case SetTimer(name, deadline_ms):
                    self.timers[name] = deadline_ms
                    self.network.schedule(deadline_ms, lambda n=name, d=deadline_ms: self.fire(n, d))
                case CancelTimer(name):
                    self.timers.pop(name, None)
                case Send(to, message):
                    self.network.send(self.index, to, message)
                case Broadcast(message):
                    for to in range(len(self.network.validators)):
                        if to != self.index:
                            self.network.send(self.index, to, message)
                case Halt(reason):
                    raise AssertionError(reason)

    def fire(self, name: str, deadline_ms: int) -> None:
        if self.up and self.timers.get(name) == deadline_ms:
            del self.timers[name]
            self.do(lambda: self.engine.on_timer(name, self.network.now_ms))

    def receive(self, sender: int, message: bytes) -> None:
        if self.up:
            self.do(
                lambda: self.engine.on_message(
                    ValidatorIndex(sender), self.network.cache.decode(message), self.network.now_ms
                )
            )

    def submit(self, envelope: bytes) -> None:
        self.ledger.waiting.append(envelope)
        self.do(lambda: self.engine.on_payload(self.network.now_ms))

    @property
    def chain(self) -> list[bytes]:
        return [proposal.id for proposal in self.ledger.blocks]

    def found(self, kind: type) -> list[Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


class TestNetwork:
    """All members on one virtual clock, in milliseconds."""

    __test__ = False

    def __init__(
        self,
        count: int,
        *,
        seed: int = 0,
        leaders: Callable[[ValidatorSet], LeaderChoice] = RoundRobin,
        loss: float = 0.0,
        delay_ms: tuple[int, int] = (1, 5),
    ) -> None:
        self.random = random.Random(seed)
        self.validators = ValidatorSet.of_genesis(genesis_of(count))
        self.leaders, self.loss, self.delay_ms = leaders, loss, delay_ms
        self.cache = SharedCache()
        self.now_ms = CREATED_MS + 1_000
        self.cut: Callable[[int, int, bytes], bool] = lambda sender, to, message: False
        self.sent = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self.members = [Member(self, index) for index in range(count)]

    def schedule(self, at_ms: int, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (max(at_ms, self.now_ms), self._sequence, action))

    def send(self, sender: int, to: int, message: bytes) -> None:
        self.sent += 1
        if self.cut(sender, to, message) or self.random.random() < self.loss:
            return
        delay = self.random.randint(*self.delay_ms)
        self.schedule(self.now_ms + delay, lambda: self.members[to].receive(sender, message))

    def start(self) -> None:
        for member in self.members:
            member.do(lambda m=member: m.engine.start(self.now_ms))
        self.connect()

    def connect(self) -> None:
        for member in self.members:
            for peer in range(len(self.members)):
                if peer != member.index and member.up and self.members[peer].up:
                    member.do(lambda m=member, p=peer: m.engine.on_connected(ValidatorIndex(p), self.now_ms))

    def run(self, for_ms: int) -> None:
        end_ms = self.now_ms + for_ms
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._queue)
            action()
        self.now_ms = end_ms

    def submit(self, envelope: bytes) -> None:
        for member in self.members:
            if member.up:
                member.submit(envelope)

    def stop(self, index: int) -> None:
        self.members[index].up = False

    def restart(self, index: int) -> Member:
        self.members[index].up = False
        self.members[index] = Member(self, index, self.members[index].disk)
        member = self.members[index]
        member.do(lambda: member.engine.start(self.now_ms))
        self.connect()
        return member

    def check_agreement(self) -> None:
        """I1, I6: committed chains are prefixes of each other, in order, each block once."""
        longest = max((member.chain for member in self.members), key=len)
        for member in self.members:
            assert member.chain == longest[: len(member.chain)]
            headers = [proposal.header for proposal in member.ledger.blocks]
            assert [header.height for header in headers] == list(range(1, len(headers) + 1))
            assert [h.round for h in headers] == sorted({h.round for h in headers})
            parents = [bytes(self.validators.chain), *member.chain]
            assert [bytes(h.parent) for h in headers] == parents[: len(headers)]
