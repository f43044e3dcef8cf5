"""A running node: one member of the ledger, and everything it asks for carried out.

The member (`ledger.replica.Replica`) decides and this file acts: it feeds in messages, timers and submissions with the
time, and carries out the effects in the order they come. A sync is awaited in place: the order is the promise that no
vote leaves before it is durable, and the thread has nothing better to do than to keep it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import SystemRandom
from socket import socket
from typing import Protocol, assert_never

from ledger.consensus.effects import (
    Append,
    Broadcast,
    CancelTimer,
    CheckpointAdvanced,
    Committed,
    Effect,
    EvidenceFound,
    Executed,
    Halt,
    SaveSafety,
    Send,
    SetTimer,
    SigningStopped,
    Sync,
)
from ledger.consensus.events import Event, MessageReceived, PeerConnected, PeerDisconnected, TimerFired
from ledger.consensus.voting import TooFarAheadError
from ledger.errors import (
    InvalidInputError,
    InvariantBrokenError,
    LedgerError,
    NotYetError,
    StorageFailedError,
)
from ledger.identifiers import CreditCode, EnvelopeId, ValidatorIndex
from ledger.replica import Replica
from nodes.files import DiskFullError
from nodes.journal import Journal
from nodes.keystore import Keystore
from nodes.network import Network
from nodes.safety_file import SafetyFile
from nodes.transport.peers import PeerAddress, PeerNetwork

logger = logging.getLogger(__name__)


DISK_LOOK_S = 5
"""Between two looks at the free space: a node writes some tens of megabytes in that time at the most, and whoever
frees space sees the node sign again while still looking."""


class NodeStoppedError(LedgerError):
    """The member has asked to be stopped; the process ends with this reason and a non-zero exit code."""

    code = "node_stopped"


class Follower(Protocol):
    """Who wants to hear what the member has done: the query index, the stream of events, the metrics."""

    def executed(self, effect: Executed) -> None:
        """A block was executed; called in order of height, on the loop's thread; must not block."""

    def checkpoint_advanced(self, effect: CheckpointAdvanced) -> None:
        """A larger checkpoint has its quorum."""


@dataclass(slots=True)
class RunnerCounters:
    """What the runner itself has seen since the start; only ever counted up."""

    messages_refused: int = 0
    evidence: int = 0
    syncs: int = 0
    sync_s: float = 0.0
    rounds: int = 0
    signing_stopped: str = ""
    signing_paused: str = ""
    """Why nothing is signed for now; empty if that is not so."""
    disk_free_bytes: int = 0
    """On the journal's file system, at the last look."""
    sync_times_s: list[float] = field(default_factory=list)
    """Latest sync durations that the metrics have not taken yet; at most 1,000."""


def wall_clock_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Runner:
    """One member with its journal, its safety file and its peers, on one event loop."""

    def __init__(
        self,
        replica: Replica,
        *,
        network: Network,
        me: CreditCode,
        keys: Keystore,
        journal: Journal,
        safety: SafetyFile,
        followers: Iterable[Follower] = (),
        clock_ms: Callable[[], int] = wall_clock_ms,
        loopback_only: bool = True,
    ) -> None:
        self.replica = replica
        self.network = network
        self.me = me
        self.counters = RunnerCounters()
        self.journal = journal
        self._safety = safety
        self._followers = tuple(followers)
        self._clock_ms = clock_ms
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._next_disk_look: asyncio.TimerHandle | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._codes = [validator.credit_code for validator in network.validators.validators]
        self.peers = PeerNetwork(
            keys.tls,
            me,
            {
                entry.credit_code: PeerAddress(
                    entry.address.host,
                    entry.address.peer_port,
                    network.validators.validators[self._index(entry.credit_code)].tls,
                )
                for entry in network.nodes.values()
                if entry.credit_code != me
            },
            [entry.certificate_pem.encode() for entry in network.nodes.values() if entry.credit_code != me],
            on_message=self._on_message,
            on_connected=lambda peer: self._handle(PeerConnected(self._index(peer))),
            on_disconnected=lambda peer: self._handle(PeerDisconnected(self._index(peer))),
            jitter=SystemRandom().random,
            loopback_only=loopback_only,
        )

    async def start(self, listener: socket, recovered: Iterable[Effect] = ()) -> None:
        """Begin: carry out what recovery asked for, then listen and dial.

        Args:
            listener: Bound and listening; see `PeerNetwork.start`.
            recovered: What `Replica.recover` returned.
        """
        self._stopped = asyncio.get_running_loop().create_future()
        self._perform(recovered)
        # Before the first signature, not some seconds after it.
        self._look_at_disk()
        self._step(lambda now_ms: self.replica.start(now_ms))
        await self.peers.start(listener)

    @property
    def running(self) -> bool:
        """Whether what the member has decided is carried out, so that all that it has signed is durable."""
        return self._stopped is not None and not self._stopped.done()

    async def wait_stopped(self) -> None:
        """Wait until the node cannot go on.

        Raises:
            NodeStoppedError: The member's history is not the network's.
            InvariantBrokenError, StorageFailedError, DiskFullError: What went wrong here.
        """
        assert self._stopped is not None, "start() comes first"
        await asyncio.shield(self._stopped)

    async def close(self) -> None:
        """Stop talking and close the files. What was acknowledged is on the disk already."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._next_disk_look is not None:
            self._next_disk_look.cancel()
        await self.peers.close()
        self.journal.close()
        self._safety.close()

    def submit(self, raw: bytes) -> EnvelopeId:
        """Take an envelope into the pool.

        Raises:
            InvalidInputError: The envelope is refused; the error's code says why.
            NotYetError: The pool is full, or the node has stopped.
        """
        pooled: list[EnvelopeId] = []

        def submit(now_ms: int) -> Iterable[Effect]:
            envelope_id, effects = self.replica.submit(raw, now_ms)
            pooled.append(envelope_id)
            return effects

        self._step(submit)
        if not pooled:
            raise NotYetError("this node has stopped and takes nothing more")
        return pooled[0]

    # What comes in.

    def _on_message(self, peer: CreditCode, message: bytes) -> None:
        try:
            self._handle(MessageReceived(self._index(peer), message))
        except TooFarAheadError as error:
            # Said by a correct peer too, while this node is behind.
            self.counters.messages_refused += 1
            logger.debug("cannot use a message from %s yet: %s", peer, error)
        except InvalidInputError as error:
            self.counters.messages_refused += 1
            logger.warning("bad message from %s: %s [%s]", peer, error, error.code)
            self.peers.penalise(peer)

    def _handle(self, event: Event) -> None:
        self._step(lambda now_ms: self.replica.handle(event, now_ms))

    def _step(self, step: Callable[[int], Iterable[Effect]]) -> None:
        if not self.running:
            return
        try:
            self._perform(step(self._clock_ms()))
        except InvariantBrokenError as error:
            # Not one effect more is carried out, so nothing more is signed and nothing leaves.
            self._stop(error)
        except StorageFailedError as error:
            # A full disk ends the process as well: what the member has decided must reach the journal in its order.
            self._stop(error)

    # The disk.

    def _look_at_disk(self) -> None:
        """Sign nothing while the journal's disk is nearly full, and go on when there is room again (S4).

        Who has no room must not promise. The last of it is for what the others decide: as long as that can be written,
        this node follows and answers, and needs nobody to start it again.
        """
        self._step(self._pause_or_resume)
        self._next_disk_look = asyncio.get_running_loop().call_later(DISK_LOOK_S, self._look_at_disk)

    def _pause_or_resume(self, now_ms: int) -> Iterable[Effect]:
        space, counters = self.journal.space(), self.counters
        counters.disk_free_bytes = space.free_bytes
        if space.nearly_full:
            if not counters.signing_paused:
                logger.error("this node signs nothing until its disk has room again: %s", space)
            counters.signing_paused = f"its disk is nearly full: {space}"
            self.replica.pause(counters.signing_paused)
        elif counters.signing_paused:
            logger.warning("this node signs again, its disk has room: %s", space)
            counters.signing_paused = ""
            return self.replica.resume(now_ms)
        return ()

    # What goes out.

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Append():
                    self.journal.append(effect.frame)
                case SaveSafety():
                    self._safety.write(effect.payload, synced_offset=self._sync())
                case Sync():
                    self._sync()
                case Send():
                    self.peers.send(self._codes[effect.to], effect.message)
                case Broadcast():
                    self.peers.broadcast(effect.message)
                case SetTimer():
                    self._set_timer(effect.name, effect.deadline_ms)
                case CancelTimer():
                    if (timer := self._timers.pop(effect.name, None)) is not None:
                        timer.cancel()
                case Committed():
                    self.counters.rounds = effect.round
                case Executed():
                    for follower in self._followers:
                        follower.executed(effect)
                case CheckpointAdvanced():
                    for follower in self._followers:
                        follower.checkpoint_advanced(effect)
                case EvidenceFound():
                    self.counters.evidence += 1
                    logger.error("a validator signed twice: %s", effect.evidence)
                case SigningStopped():
                    self.counters.signing_stopped = effect.reason
                    logger.error("this node signs nothing more in this epoch: %s", effect.reason)
                case Halt():
                    self._stop(NodeStoppedError(effect.reason))
                    return
                case _:
                    assert_never(effect)

    def _sync(self) -> int:
        began = time.perf_counter()
        synced = self.journal.sync()
        took = time.perf_counter() - began
        self.counters.syncs += 1
        self.counters.sync_s += took
        if len(self.counters.sync_times_s) < 1_000:
            self.counters.sync_times_s.append(took)
        return synced

    def _set_timer(self, name: str, deadline_ms: int) -> None:
        if (earlier := self._timers.pop(name, None)) is not None:
            earlier.cancel()
        delay_s = max(0, deadline_ms - self._clock_ms()) / 1000
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, self._fire, name)

    def _fire(self, name: str) -> None:
        self._timers.pop(name, None)
        self._handle(TimerFired(name))

    def _stop(self, error: LedgerError | InvariantBrokenError) -> None:
        assert self._stopped is not None
        if not self._stopped.done():
            logger.critical("stopping: %s", error, extra={"code": error.code})
            self._stopped.set_exception(error)
            if isinstance(error, DiskFullError):
                self._release_ballast()

    def _release_ballast(self) -> None:
        """Make room for what is still written while the node closes: the index, the log. Nothing is signed any more."""
        try:
            self.journal.release_ballast()
        except StorageFailedError as error:
            logger.error("the ballast could not be released: %s", error)

    def _index(self, credit_code: CreditCode) -> ValidatorIndex:
        index = self.network.validators.index_of(credit_code)
        assert index is not None, f"{credit_code} has no vote"
        return index
