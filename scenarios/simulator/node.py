"""One member on its virtual machine: events go in, effects are carried out in their order, power goes and comes back.

A member takes an event in no time; its disk takes time. Effects wait in one queue behind the write that is under way,
so that nothing leaves before what must be durable first, and a power loss can fall between any two of them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ledger.consensus.effects import (
    Append,
    Broadcast,
    CancelTimer,
    Effect,
    Halt,
    SaveSafety,
    Send,
    SetTimer,
    Sync,
)
from ledger.consensus.events import Event, MessageReceived, PeerConnected, PeerDisconnected, TimerFired
from ledger.errors import InvalidInputError, LedgerError
from ledger.identifiers import CreditCode, EnvelopeId, ValidatorIndex
from ledger.storage.frames import Frame
from ledger.storage.safety_slots import SlotsRead
from scenarios.simulator.disk import VirtualDisk
from scenarios.simulator.loop import US_PER_MS, EventLoop
from scenarios.simulator.network import Network


class Member(Protocol):
    """What a node hosts: `ledger.replica.Replica`, or something that behaves like one."""

    def recover(self, frames: Iterable[Frame], slots: SlotsRead, /) -> list[Effect]:
        """Take up what the disk holds, before anything else; on the first start that is nothing."""

    def start(self, now_ms: int) -> list[Effect]:
        """Begin to take part."""

    def submit(self, raw: bytes, now_ms: int) -> tuple[EnvelopeId, list[Effect]]:
        """Admit an envelope, or raise LedgerError."""

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event; raises InvalidInputError for a sender's fault, and is then unchanged."""


class Watcher:
    """Sees what happens to nodes, as it happens. Watchers change nothing."""

    def started(self, node: Node) -> None:
        """A member was made, has read its disk, and begins."""

    def stopped(self, node: Node, reason: str) -> None:
        """A member is gone: by a power loss, or because it asked to be stopped."""

    def received(self, node: Node, sender: int, message: bytes) -> None:
        """A message is about to be handed to the member."""

    def refused(self, node: Node, what: str, code: str) -> None:
        """The member refused a `message` or an `envelope`."""

    def fired(self, node: Node, timer: str) -> None:
        """A timer is about to go off."""

    def carried_out(self, node: Node, effect: Effect) -> None:
        """An effect takes place: a message leaves, a frame is written, a safety record has become durable."""


class Condition(Enum):
    """Whether a node can do anything."""

    DOWN = "down"
    RUNNING = "running"
    PAUSED = "paused"
    """As by SIGSTOP: what arrives waits, timers that have passed go off on waking up, the disk goes on."""


@dataclass(frozen=True, slots=True)
class DiskSpeed:
    """How long one sync takes, in microseconds; 0 for a disk that takes no time."""

    sync_us: int = 0


class Node:
    """Hosts one member."""

    def __init__(
        self,
        *,
        instance: int,
        index: ValidatorIndex,
        code: CreditCode,
        loop: EventLoop,
        disk: VirtualDisk,
        make_member: Callable[[], Member],
        watchers: Iterable[Watcher],
        disk_speed: DiskSpeed,
        clock_skew_ms: int = 0,
    ) -> None:
        """Args: instance: Number of this node in its cluster; equal to `index` unless it is a twin."""
        self.instance = instance
        self.index = index
        self.code = code
        self.disk = disk
        self.disk_speed = disk_speed
        self.clock_skew_ms = clock_skew_ms
        self.condition = Condition.DOWN
        self.lives = 0
        """How often it was started. What was meant for an earlier life never reaches a later one."""
        self.refusals: Counter[str] = Counter()
        self.member: Member
        self._loop = loop
        self._network: Network
        self._make_member = make_member
        self._watchers = tuple(watchers)
        self._effects: deque[Effect] = deque()
        self._disk_busy = False
        self._timers: dict[str, int] = {}
        self._waiting: list[Event] = []

    @property
    def now_us(self) -> int:
        """The true time."""
        return self._loop.now_us

    @property
    def now_ms(self) -> int:
        """The time by this node's own clock."""
        return self._loop.now_ms + self.clock_skew_ms

    @property
    def is_up(self) -> bool:
        """Whether there is a member, paused or not."""
        return self.condition is not Condition.DOWN

    def attach(self, network: Network) -> None:
        """Say over which network messages leave."""
        self._network = network

    def start(self) -> None:
        """Make a member from what the disk holds, the first time or after a power loss.

        Raises:
            StorageFailedError: The disk has lost what it had promised to keep.
        """
        if self.is_up:
            raise ValueError(f"node {self.instance} is up already")
        frames, safety = self.disk.read_back()
        self.member = self._make_member()
        recovered = self.member.recover(frames, safety)
        self.condition = Condition.RUNNING
        self.lives += 1
        for watcher in self._watchers:
            watcher.started(self)
        self._take([*recovered, *self.member.start(self.now_ms)])

    def lose_power(self) -> None:
        """Stop between two effects, or in the middle of a write."""
        self._stop("power loss")
        self.disk.lose_power()

    def pause(self) -> None:
        """Freeze the member: no event reaches it before `resume`."""
        if self.condition is Condition.RUNNING:
            self.condition = Condition.PAUSED

    def resume(self) -> None:
        """Hand over all that waited, in the order in which it came."""
        if self.condition is not Condition.PAUSED:
            return
        self.condition = Condition.RUNNING
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._give(event)

    def receive(self, sender: int, message: bytes) -> None:
        """Take a message from the network."""
        self._give(MessageReceived(ValidatorIndex(sender), message))

    def connect(self, peer: int) -> None:
        """Take notice of a new connection."""
        self._give(PeerConnected(ValidatorIndex(peer)))

    def disconnect(self, peer: int) -> None:
        """Take notice that a connection is gone."""
        self._give(PeerDisconnected(ValidatorIndex(peer)))

    def submit(self, raw: bytes) -> EnvelopeId:
        """Hand an envelope to the member.

        Raises:
            LedgerError: The member does not admit it.
            ValueError: The node is down or paused.
        """
        if self.condition is not Condition.RUNNING:
            raise ValueError(f"node {self.instance} is {self.condition.value}")
        try:
            envelope, effects = self.member.submit(raw, self.now_ms)
        except LedgerError as error:
            self._refuse("envelope", error)
            raise
        self._take(effects)
        return envelope

    def _give(self, event: Event) -> None:
        match self.condition:
            case Condition.DOWN:
                return
            case Condition.PAUSED:
                self._waiting.append(event)
                return
            case Condition.RUNNING:
                pass
        if isinstance(event, MessageReceived):
            for watcher in self._watchers:
                watcher.received(self, event.peer, event.message)
        elif isinstance(event, TimerFired):
            for watcher in self._watchers:
                watcher.fired(self, event.name)
        try:
            effects = self.member.handle(event, self.now_ms)
        except InvalidInputError as error:
            self._refuse("message", error)
            return
        self._take(effects)

    def _refuse(self, what: str, error: LedgerError) -> None:
        self.refusals[error.code] += 1
        for watcher in self._watchers:
            watcher.refused(self, what, error.code)

    def _take(self, effects: list[Effect]) -> None:
        self._effects.extend(effects)
        self._carry_out()

    def _carry_out(self) -> None:
        while self._effects and not self._disk_busy:
            effect = self._effects.popleft()
            match effect:
                case Send(to, message):
                    self._network.send(self.instance, to, message)
                case Broadcast(message):
                    self._network.broadcast(self.instance, message)
                case Append(frame):
                    self.disk.append(frame)
                case SaveSafety():
                    self._after_sync(self._write_safety, effect)
                    continue
                case Sync():
                    self._after_sync(self._journal_synced, effect)
                    continue
                case SetTimer(name, deadline_ms):
                    self._set_timer(name, deadline_ms)
                case CancelTimer(name):
                    self._timers.pop(name, None)
                case Halt(reason):
                    self._note(effect)
                    self._stop(f"halt: {reason}")
                    return
                case _:
                    pass
            self._note(effect)

    def _note(self, effect: Effect) -> None:
        for watcher in self._watchers:
            watcher.carried_out(self, effect)

    # A sync under way: `_disk_busy` holds back all later effects, events go on.

    def _after_sync(self, then: Callable[[Effect], None], effect: Effect) -> None:
        if self.disk_speed.sync_us == 0:
            then(effect)
            return
        self._disk_busy = True
        self._loop.after(self.disk_speed.sync_us, self._sync_done, self.lives, then, effect)

    def _sync_done(self, life: int, then: Callable[[Effect], None], effect: Effect) -> None:
        if life != self.lives or not self.is_up:
            return
        self._disk_busy = False
        then(effect)
        self._carry_out()

    def _journal_synced(self, effect: Effect) -> None:
        self.disk.sync_journal()
        self._note(effect)

    def _write_safety(self, effect: Effect) -> None:
        assert isinstance(effect, SaveSafety)
        self.disk.sync_journal()
        self.disk.write_safety(effect.payload)
        self._after_sync(self._safety_synced, effect)

    def _safety_synced(self, effect: Effect) -> None:
        self.disk.sync_safety()
        self._note(effect)

    def _set_timer(self, name: str, deadline_ms: int) -> None:
        deadline_us = (deadline_ms - self.clock_skew_ms) * US_PER_MS
        self._timers[name] = deadline_ms
        self._loop.at(deadline_us, self._timer_due, self.lives, name, deadline_ms)

    def _timer_due(self, life: int, name: str, deadline_ms: int) -> None:
        # An entry of the queue is never taken out; it is passed over if its timer was cancelled or set anew.
        if life == self.lives and self.is_up and self._timers.get(name) == deadline_ms:
            del self._timers[name]
            self._give(TimerFired(name))

    def _stop(self, reason: str) -> None:
        self.condition = Condition.DOWN
        self._effects.clear()
        self._timers.clear()
        self._waiting.clear()
        self._disk_busy = False
        for watcher in self._watchers:
            watcher.stopped(self, reason)
