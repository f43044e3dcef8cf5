"""The virtual network: what is sent arrives late, twice, out of order, or never.

Messages travel between *instances*. Most validators run as one; a twin is a second instance with the same validator
index. A message to a validator goes to every instance of it, and each way there has its own fate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scenarios.simulator.loop import EventLoop
from scenarios.simulator.streams import Stream

Groups = Sequence[frozenset[int]]
"""Disjoint sets of instances. Whoever is in none of them can talk to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How well the network works, drawn for each message alone. Times in microseconds, chances in 1/1000."""

    delay_min_us: int = 200
    delay_max_us: int = 2_000
    in_order: bool = True
    """Whether messages on the way from one instance to another keep their order, as on one connection."""
    loss: int = 0
    duplicates: int = 0
    late: int = 0
    """Chance of a message to take up to `late_max_us` instead. Not the same as a loss: old messages come back."""
    late_max_us: int = 0

    def healed(self) -> Conditions:
        """Return the same network with nothing lost, doubled, late or out of order."""
        return replace(self, in_order=True, loss=0, duplicates=0, late=0)


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A way that is cut, in one direction: from each of `sources` to each of `targets`."""

    sources: frozenset[int]
    targets: frozenset[int]


@dataclass(slots=True)
class Counts:
    """What became of the messages; each way to an instance counts."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    cut: int = 0
    duplicated: int = 0


class Network:
    """Takes messages from instances and hands them to others, on the loop's time."""

    def __init__(
        self,
        loop: EventLoop,
        draws: Stream,
        *,
        indices: Sequence[int],
        deliver: Callable[[int, int, bytes], None],
        conditions: Conditions,
        round_of: Callable[[bytes], int | None],
    ) -> None:
        """Connect instances.

        Args:
            indices: Validator index of each instance.
            deliver: `(receiving instance, validator index of the sender, message)`.
            round_of: Protocol round of a message, None for messages of no round; asked only under `cut_rounds`.
        """
        self.conditions = conditions
        self.counts = Counts()
        self._loop = loop
        self._draws = draws
        self._indices = list(indices)
        self._deliver = deliver
        self._round_of = round_of
        self._cuts: list[Cut] = []
        self._rounds: Mapping[int, Groups] = {}
        self._last_arrival: dict[tuple[int, int], int] = {}
        self._instances: dict[int, list[int]] = {}
        for instance, index in enumerate(self._indices):
            self._instances.setdefault(index, []).append(instance)

    def send(self, source: int, to: int, message: bytes) -> None:
        """Send from instance `source` to every instance of validator `to`."""
        for target in self._instances[to]:
            self._travel(source, target, message)

    def broadcast(self, source: int, message: bytes) -> None:
        """Send from instance `source` to every instance of every other validator."""
        own = self._indices[source]
        for target, index in enumerate(self._indices):
            if index != own:
                self._travel(source, target, message)

    def cut(self, sources: Iterable[int], targets: Iterable[int]) -> Cut:
        """Cut the way from each source to each target until `mend`; the other direction stays."""
        cut = Cut(frozenset(sources), frozenset(targets))
        self._cuts.append(cut)
        return cut

    def partition(self, groups: Groups) -> list[Cut]:
        """Cut all ways between different groups, and to and from instances that are in none."""
        everyone = frozenset(range(len(self._indices)))
        inside = frozenset().union(*groups)
        cuts = [self.cut(group, everyone - group) for group in groups]
        return [*cuts, *(self.cut({alone}, everyone - {alone}) for alone in sorted(everyone - inside))]

    def mend(self, cuts: Iterable[Cut]) -> None:
        """Take cuts away again; one that is gone already is passed over."""
        gone = set(map(id, cuts))
        self._cuts = [cut for cut in self._cuts if id(cut) not in gone]

    def cut_rounds(self, rounds: Mapping[int, Groups]) -> None:
        """From now on deliver messages of a listed protocol round only inside its groups, whenever they are sent.

        This is how Twins partitions: by what a message says, not by when it travels.
        Source: Bano and others, "Twins: BFT Systems Made Robust", OPODIS 2021.
        """
        self._rounds = rounds

    def heal(self) -> None:
        """Take all cuts away and let nothing go wrong any more; what is lost stays lost."""
        self._cuts.clear()
        self._rounds = {}
        self.conditions = self.conditions.healed()

    def connected(self, source: int, target: int) -> bool:
        """Return whether no cut in time stands between two instances, in this direction."""
        return not any(source in cut.sources and target in cut.targets for cut in self._cuts)

    def _travel(self, source: int, target: int, message: bytes) -> None:
        counts, conditions, draws = self.counts, self.conditions, self._draws
        counts.sent += 1
        if (self._cuts and not self.connected(source, target)) or (
            self._rounds and not self._same_group(source, target, message)
        ):
            counts.cut += 1
            return
        if draws.chance(conditions.loss):
            counts.lost += 1
            return
        self._arrive(source, target, message)
        if draws.chance(conditions.duplicates):
            counts.duplicated += 1
            self._arrive(source, target, message)

    def _arrive(self, source: int, target: int, message: bytes) -> None:
        conditions, draws = self.conditions, self._draws
        late = draws.chance(conditions.late)
        longest = conditions.late_max_us if late else conditions.delay_max_us
        arrival = self._loop.now_us + draws.between(conditions.delay_min_us, max(longest, conditions.delay_min_us))
        if conditions.in_order:
            # Later by a microsecond at least: at the same one the tie-break could turn them round.
            way = (source, target)
            arrival = max(arrival, self._last_arrival.get(way, 0) + 1)
            self._last_arrival[way] = arrival
        self._loop.at(arrival, self._hand_over, source, target, message)

    def _hand_over(self, source: int, target: int, message: bytes) -> None:
        self.counts.delivered += 1
        self._deliver(target, self._indices[source], message)

    def _same_group(self, source: int, target: int, message: bytes) -> bool:
        round_ = self._round_of(message)
        groups = None if round_ is None else self._rounds.get(round_)
        return groups is None or any(source in group and target in group for group in groups)
