"""A network of members on one virtual clock: what a scenario founds, feeds, breaks, mends and looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ledger.blocks.genesis import Genesis
from ledger.identifiers import CreditCode, EnvelopeId, ValidatorIndex
from ledger.members.founding import NodeSigners
from ledger.members.validators import ValidatorSet
from ledger.replica import MemberCache
from scenarios.simulator.checkers import Checker, all_checkers, round_of
from scenarios.simulator.disk import VirtualDisk
from scenarios.simulator.loop import US_PER_MS, EventLoop
from scenarios.simulator.members import Seat, replica_at
from scenarios.simulator.network import Conditions, Cut, Groups, Network
from scenarios.simulator.node import DiskSpeed, Member, Node, Watcher
from scenarios.simulator.signatures import Ed25519, SharedVerification, Verification
from scenarios.simulator.streams import Streams
from scenarios.simulator.trace import Trace

CONNECT_MIN_US, CONNECT_MAX_US = 1_000, 5_000
"""How long two nodes take to connect once both are up."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """How a network is built. Nothing here is drawn: the seed decides only between equals."""

    conditions: Conditions = field(default_factory=Conditions)
    disk_speed: DiskSpeed = field(default_factory=DiskSpeed)
    clock_skew_ms: Mapping[int, int] = field(default_factory=dict)
    """By instance; how far its clock is ahead."""
    twins: Sequence[int] = ()
    """Indices of validators that run a second time under the same keys; instances n, n + 1, ... in this order."""
    verification: Verification | None = None
    """None for Ed25519."""
    shared_cache: bool = True
    """Whether members share what they have decoded and verified. The run is the same without, and slower."""
    start_ms: int | None = None
    """Unix time at which the network starts; None for the genesis time."""
    checked: bool = True
    """Whether the invariants are watched."""


class Cluster:
    """The validators of one genesis, each with its disk, on one network."""

    def __init__(
        self,
        genesis: Genesis,
        keys: Mapping[CreditCode, NodeSigners],
        seed: int,
        options: ClusterOptions | None = None,
        *,
        make_member: Callable[[Seat], Member] = replica_at,
        watchers: Iterable[Watcher] = (),
    ) -> None:
        """Build the network; nothing runs before `run_until`.

        Args:
            keys: The signers of every validator of the genesis.
            make_member: What sits where; the real `Replica` unless a test says otherwise.
            watchers: Told of everything, besides the trace and the checkers.
        """
        options = options or ClusterOptions()
        self.genesis = genesis
        self.validators = ValidatorSet.of_genesis(genesis)
        self.options = options
        self.streams = Streams(seed)
        self.trace = Trace()
        self._shared = MemberCache() if options.shared_cache else None
        self._lens = self._shared or MemberCache()
        ed25519 = SharedVerification(Ed25519(seed)) if options.shared_cache else Ed25519(seed)
        self._verification: Verification = options.verification or ed25519
        count = len(self.validators)
        correct = frozenset(range(count)) - set(options.twins)
        self.checkers: list[Checker] = all_checkers(correct, self._lens.decode) if options.checked else []
        start_ms = genesis.created_ms if options.start_ms is None else options.start_ms
        self.loop = EventLoop(start_ms * US_PER_MS, self.streams.named("ties"))
        self.nodes = [
            self._node(instance, index, keys, make_member, [self.trace, *self.checkers, *watchers])
            for instance, index in enumerate([*range(count), *options.twins])
        ]
        self.network = Network(
            self.loop,
            self.streams.named("network"),
            indices=[node.index for node in self.nodes],
            deliver=self._deliver,
            conditions=options.conditions,
            round_of=lambda message: round_of(self._lens.decode(message)),
        )
        self._connections = self.streams.named("connections")
        for node in self.nodes:
            node.attach(self.network)
        for instance in self.streams.named("start").shuffled(range(len(self.nodes))):
            self.loop.after(0, self.restart, instance)

    @property
    def now_ms(self) -> int:
        """Unix time on the virtual clock."""
        return self.loop.now_ms

    def run_until(self, until: int | Callable[[], bool], *, at_most_ms: int | None = None) -> bool:
        """Let the network run.

        Args:
            until: A Unix time in milliseconds, or a predicate that is asked after every event.
            at_most_ms: With a predicate: Unix time at which to give up.

        Returns:
            Whether the time was reached or the predicate held.
        """
        if isinstance(until, int):
            self.loop.run_until(until * US_PER_MS)
            return True
        if at_most_ms is None:
            raise ValueError("a predicate may never hold: say when to give up")
        while not until():
            if not self.loop.step(at_most_ms * US_PER_MS):
                return until()
        return True

    def at(self, time_ms: int, action: Callable[..., None], *args: object) -> None:
        """Run `action(*args)` at a Unix time."""
        self.loop.at(time_ms * US_PER_MS, action, *args)

    def node_of(self, department: CreditCode) -> Node:
        """Return the node of a department with a vote."""
        index = self.validators.index_of(department)
        if index is None:
            raise ValueError(f"{department} has no node")
        return self.nodes[index]

    def submit(self, department: CreditCode, raw: bytes) -> EnvelopeId:
        """Hand an envelope to the gateway of `department`, which need not be the one that signed it.

        Raises:
            LedgerError: The envelope is not admitted.
            ValueError: The department has no node, or it is down.
        """
        return self.node_of(department).submit(raw)

    def crash(self, instance: int) -> None:
        """Cut a node's power; its peers notice after a while. A node that is down stays down."""
        if not self.nodes[instance].is_up:
            return
        self.nodes[instance].lose_power()
        for peer in self._peers_of(instance):
            self._later(self._notice_loss, peer, instance)

    def restart(self, instance: int) -> None:
        """Start a node from what its disk holds. A node that is up stays up."""
        if self.nodes[instance].is_up:
            return
        self.nodes[instance].start()
        for peer in self._peers_of(instance):
            if self.network.connected(instance, peer) and self.network.connected(peer, instance):
                self._later(self._connect, instance, peer)

    def partition(self, groups: Groups) -> list[Cut]:
        """Cut the network into groups of instances; return the cuts for `mend`."""
        return self.network.partition(groups)

    def cut(self, sources: Iterable[int], targets: Iterable[int]) -> list[Cut]:
        """Cut the network in one direction; return the cut for `mend`."""
        return [self.network.cut(sources, targets)]

    def mend(self, cuts: Iterable[Cut]) -> None:
        """Take cuts away. Connections that they had broken come up anew."""
        broken = self._broken()
        self.network.mend(cuts)
        self._reconnect(broken - self._broken())

    def heal(self) -> None:
        """Take all faults of the network away, wake up every paused node and start every node that is down."""
        broken = self._broken()
        self.network.heal()
        self._reconnect(broken)
        for node in self.nodes:
            node.resume()
            self.restart(node.instance)

    def journals(self) -> dict[CreditCode, bytes]:
        """Return the journal of every department with a vote, as a reader finds it once the node has stopped."""
        return {node.code: node.disk.journal for node in self.nodes[: len(self.validators)]}

    def finish(self) -> list[str]:
        """Make the checks that wait for the end; return every violation as a sentence."""
        for checker in self.checkers:
            checker.finish()
        return [str(violation) for checker in self.checkers for violation in checker.violations]

    def _node(
        self,
        instance: int,
        index: int,
        keys: Mapping[CreditCode, NodeSigners],
        make_member: Callable[[Seat], Member],
        watchers: list[Watcher],
    ) -> Node:
        code = self.validators.validators[index].credit_code
        seat = Seat(
            genesis=self.genesis,
            code=code,
            signers=keys[code],
            verification=self._verification,
            cache=self._shared,
            is_twin=index in self.options.twins,
        )
        return Node(
            instance=instance,
            index=ValidatorIndex(index),
            code=code,
            loop=self.loop,
            disk=VirtualDisk(self.validators.chain, self.streams.named("disk", instance)),
            make_member=partial(make_member, seat),
            watchers=watchers,
            disk_speed=self.options.disk_speed,
            clock_skew_ms=self.options.clock_skew_ms.get(instance, 0),
        )

    def _peers_of(self, instance: int) -> list[int]:
        """Return the instances that are up and not the same validator."""
        own = self.nodes[instance].index
        return [node.instance for node in self.nodes if node.index != own and node.is_up]

    def _broken(self) -> set[tuple[int, int]]:
        """Return the pairs of instances that a cut stands between, the smaller first."""
        everyone = range(len(self.nodes))
        return {
            (one, other)
            for one in everyone
            for other in everyone
            if one < other and not (self.network.connected(one, other) and self.network.connected(other, one))
        }

    def _reconnect(self, pairs: Iterable[tuple[int, int]]) -> None:
        for one, other in sorted(pairs):
            if self.nodes[one].index != self.nodes[other].index:
                self._later(self._connect, one, other)

    def _later(self, action: Callable[[int, int], None], one: int, other: int) -> None:
        self.loop.after(self._connections.between(CONNECT_MIN_US, CONNECT_MAX_US), action, one, other)

    def _connect(self, one: int, other: int) -> None:
        first, second = self.nodes[one], self.nodes[other]
        if first.is_up and second.is_up:
            first.connect(second.index)
            second.connect(first.index)

    def _notice_loss(self, instance: int, lost: int) -> None:
        if not self.nodes[lost].is_up:
            self.nodes[instance].disconnect(self.nodes[lost].index)

    def _deliver(self, instance: int, sender: int, message: bytes) -> None:
        self.nodes[instance].receive(sender, message)
