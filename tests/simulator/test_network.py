"""The virtual network: what arrives, when, in which order, and what does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from scenarios.simulator.loop import EventLoop
from scenarios.simulator.network import Conditions, Network
from scenarios.simulator.streams import Stream

LONG_US = 60_000_000


@dataclass
class Line:
    """A network under test and what it has delivered: (time, receiving instance, sending index, message)."""

    conditions: Conditions = field(default_factory=Conditions)
    indices: tuple[int, ...] = (0, 1, 2, 3)
    seed: int = 1

    def __post_init__(self) -> None:
        self.loop = EventLoop(0, Stream(self.seed))
        self.delivered: list[tuple[int, int, int, bytes]] = []
        self.network = Network(
            self.loop,
            Stream(self.seed + 1),
            indices=self.indices,
            deliver=lambda to, sender, message: self.delivered.append((self.loop.now_us, to, sender, message)),
            conditions=self.conditions,
            round_of=lambda message: message[0] or None,
        )

    def run(self) -> list[tuple[int, int, int, bytes]]:
        self.loop.run_until(self.loop.now_us + LONG_US)
        return self.delivered


def test_a_broadcast_reaches_every_other_validator_once() -> None:
    """And never the one who sent it."""
    line = Line()
    line.network.broadcast(1, b"\x01x")
    assert sorted((to, sender) for _, to, sender, _ in line.run()) == [(0, 1), (2, 1), (3, 1)]


def test_twins_hear_what_their_validator_is_told_and_never_each_other() -> None:
    """Instance 4 is a second validator 1."""
    line = Line(indices=(0, 1, 2, 3, 1))
    line.network.send(0, 1, b"\x01to one")
    assert sorted(to for _, to, _, _ in line.run()) == [1, 4]
    line.delivered.clear()
    line.network.broadcast(4, b"\x01from the twin")
    assert sorted((to, sender) for _, to, sender, _ in line.run()) == [(0, 1), (2, 1), (3, 1)]


@given(seed=st.integers(0, 1_000))
def test_delays_stay_within_their_bounds(seed: int) -> None:
    """Nothing is faster than the fastest way, nothing slower than the slowest."""
    line = Line(Conditions(delay_min_us=300, delay_max_us=900, in_order=False), seed=seed)
    for _ in range(5):
        line.network.broadcast(0, b"\x01x")
    times = [time for time, *_ in line.run()]
    assert len(times) == 15
    assert all(300 <= time <= 900 for time in times)


@given(seed=st.integers(0, 1_000))
def test_an_ordered_network_keeps_the_order_of_each_way(seed: int) -> None:
    """As one connection does; between different ways there is no order to keep."""
    line = Line(Conditions(delay_min_us=0, delay_max_us=50), seed=seed)
    for number in range(1, 30):
        line.network.send(0, 1, bytes([number]))
    assert [message[0] for *_, message in line.run()] == list(range(1, 30))


def test_without_order_messages_overtake() -> None:
    """But none is lost."""
    line = Line(Conditions(delay_min_us=0, delay_max_us=50_000, in_order=False))
    for number in range(1, 30):
        line.network.send(0, 1, bytes([number]))
    arrived = [message[0] for *_, message in line.run()]
    assert arrived != sorted(arrived)
    assert sorted(arrived) == list(range(1, 30))


def test_loss_and_duplicates_happen_as_often_as_asked() -> None:
    """A tenth lost, a fifth of the rest doubled; and what is counted is what happened."""
    line = Line(Conditions(loss=100, duplicates=200))
    for number in range(2_000):
        line.network.send(0, 1, number.to_bytes(2, "big"))
    copies = Counter(message for *_, message in line.run())
    assert 1_720 < len(copies) < 1_880
    assert 300 < sum(1 for count in copies.values() if count == 2) < 420
    counts = line.network.counts
    assert (counts.sent, counts.lost) == (2_000, 2_000 - len(copies))
    assert counts.delivered == sum(copies.values())


def test_a_late_message_comes_back_after_newer_ones() -> None:
    """Late is not lost: it arrives when nobody expects it any more."""
    line = Line(Conditions(delay_min_us=100, delay_max_us=200, in_order=False, late=300, late_max_us=5_000_000))
    for _ in range(100):
        line.network.send(0, 1, b"\x01")
    times = [time for time, *_ in line.run()]
    assert len(times) == 100
    assert sum(1 for time in times if time > 100_000) > 15


def test_a_partition_cuts_both_directions_until_it_is_mended() -> None:
    """Messages inside a group arrive; whoever is in no group is alone."""
    line = Line()
    cuts = line.network.partition([frozenset({0, 1}), frozenset({2})])
    for source in range(4):
        line.network.broadcast(source, b"\x01")
    assert sorted((sender, to) for _, to, sender, _ in line.run()) == [(0, 1), (1, 0)]
    line.delivered.clear()
    line.network.mend(cuts)
    line.network.broadcast(3, b"\x01")
    assert sorted(to for _, to, _, _ in line.run()) == [0, 1, 2]


def test_a_one_way_cut_leaves_the_other_direction() -> None:
    """A leader can be heard by nobody and still hear everyone."""
    line = Line()
    line.network.cut({0}, {1, 2, 3})
    line.network.broadcast(0, b"\x01")
    line.network.send(1, 0, b"\x02")
    assert [(sender, to) for _, to, sender, _ in line.run()] == [(1, 0)]


def test_partitions_by_round_go_by_what_a_message_says() -> None:
    """Round 1 is cut, round 2 is not, and a message of no round always passes; when they travel does not matter."""
    line = Line()
    line.network.cut_rounds({1: (frozenset({0, 1}), frozenset({2, 3}))})
    for round_ in (1, 2, 0):
        line.network.broadcast(0, bytes([round_]))
    assert sorted((message[0], to) for _, to, _, message in line.run()) == [
        *((0, to) for to in (1, 2, 3)),
        (1, 1),
        *((2, to) for to in (1, 2, 3)),
    ]


def test_healing_takes_every_fault_away() -> None:
    """Afterwards everything arrives, once and in order."""
    line = Line(Conditions(loss=900, duplicates=900, late=900, late_max_us=1_000_000, in_order=False))
    line.network.partition([frozenset({0})])
    line.network.cut_rounds({1: (frozenset({0}),)})
    line.network.heal()
    for number in range(1, 50):
        line.network.send(0, 1, bytes([number]))
    assert [message[0] for *_, message in line.run()] == list(range(1, 50))


def test_messages_on_the_way_survive_a_cut() -> None:
    """A partition stops what is sent into it, not what was sent before."""
    line = Line()
    line.network.send(0, 1, b"\x01")
    line.network.partition([frozenset({0})])
    line.network.send(0, 1, b"\x02")
    assert [message for *_, message in line.run()] == [b"\x01"]
