"""Nodes and clusters of fake members: effects in order, lives that do not mix, and no event lost."""

from __future__ import annotations

import pytest

from ledger.consensus.effects import Append, Broadcast, Effect, SaveSafety
from ledger.consensus.events import PeerConnected, PeerDisconnected
from ledger.errors import InvalidInputError
from scenarios.simulator.cluster import Cluster, ClusterOptions
from scenarios.simulator.members import Seat
from scenarios.simulator.network import Conditions
from scenarios.simulator.node import DiskSpeed, Member, Node, Watcher
from scenarios.simulator.workload import CREATED_MS, small_network
from tests.simulator.fake_member import BAD, TICK_MS, FakeMember


class Effects(Watcher):
    """Notes what takes place."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, Effect]] = []

    def carried_out(self, node: Node, effect: Effect) -> None:
        self.seen.append((node.now_us, node.instance, effect))


def new_cluster(seed: int = 1, *watchers: Watcher, **options: object) -> Cluster:
    """Return a cluster of four fake members that has started and is connected."""
    network = small_network(4)

    def make_member(seat: Seat) -> Member:
        return FakeMember()

    cluster = Cluster(
        network.genesis,
        network.nodes,
        seed,
        ClusterOptions(checked=False, **options),  # type: ignore[arg-type]
        make_member=make_member,
        watchers=watchers,
    )
    cluster.run_until(CREATED_MS + TICK_MS // 2)
    return cluster


def member_of(cluster: Cluster, instance: int) -> FakeMember:
    member = cluster.nodes[instance].member
    assert isinstance(member, FakeMember)
    return member


def test_everybody_is_connected_once_up() -> None:
    """Each member hears of each other one exactly once."""
    cluster = new_cluster()
    for node in cluster.nodes:
        peers = [event.peer for _, event in member_of(cluster, node.instance).events]
        assert sorted(peers) == [index for index in range(4) if index != node.index]


def test_ticks_arrive_everywhere() -> None:
    """Timers come back, messages travel, and all members hear the same."""
    cluster = new_cluster()
    cluster.run_until(CREATED_MS + 10 * TICK_MS + TICK_MS // 2)
    assert [member_of(cluster, instance).ticks for instance in range(4)] == [10] * 4
    assert all(len(member_of(cluster, instance).messages()) == 30 for instance in range(4))


@pytest.mark.parametrize("sync_us", [0, 5_000])
def test_nothing_leaves_before_what_was_asked_to_be_durable_first(sync_us: int) -> None:
    """For every tick: the frame, then the record, then the message, and on a slow disk two syncs in between."""
    effects = Effects()
    cluster = new_cluster(1, effects, disk_speed=DiskSpeed(sync_us=sync_us))
    cluster.run_until(CREATED_MS + 5 * TICK_MS + TICK_MS // 2)
    of_one = [(time, effect) for time, instance, effect in effects.seen if instance == 0]
    ticks = [(time, effect) for time, effect in of_one if isinstance(effect, Append | SaveSafety | Broadcast)]
    assert [type(effect) for _, effect in ticks[:15]] == [Append, SaveSafety, Broadcast] * 5
    for (appended, _), (saved, _), (sent, _) in zip(ticks[0::3], ticks[1::3], ticks[2::3], strict=False):
        assert sent == saved == appended + 2 * sync_us


def test_a_power_loss_between_save_and_send_loses_the_send_alone() -> None:
    """The power goes while the record is on its way to the disk: no message leaves, and the tick may be forgotten."""
    effects = Effects()
    cluster = new_cluster(1, effects, disk_speed=DiskSpeed(sync_us=10_000))
    cluster.loop.run_until((CREATED_MS + TICK_MS + 15) * 1_000)
    cluster.crash(0)
    cluster.run_until(CREATED_MS + TICK_MS + 50)
    assert not [effect for _, instance, effect in effects.seen if instance == 0 and isinstance(effect, Broadcast)]
    cluster.restart(0)
    # The journal had been synced before the slot was written, the slot had not.
    assert len(member_of(cluster, 0).frames) == 1
    assert member_of(cluster, 0).ticks in (0, 1)


def test_a_member_comes_back_with_what_was_durable() -> None:
    """And its peers hear that it went and that it is back."""
    cluster = new_cluster()
    cluster.run_until(CREATED_MS + 5 * TICK_MS + 50)
    cluster.crash(2)
    assert not cluster.nodes[2].is_up
    cluster.run_until(CREATED_MS + 7 * TICK_MS + 50)
    cluster.restart(2)
    assert member_of(cluster, 2).ticks == len(member_of(cluster, 2).frames) == 5
    cluster.run_until(CREATED_MS + 9 * TICK_MS + 60)
    events = [event for _, event in member_of(cluster, 0).events if isinstance(event, PeerConnected | PeerDisconnected)]
    assert events[-2:] == [PeerDisconnected(2), PeerConnected(2)]
    # It was started again at 750 ms and ticks at 850 and 950; the timer of its first life never reaches it.
    assert member_of(cluster, 2).ticks == 7


def test_no_event_is_lost_on_a_pause() -> None:
    """What came while a node stood still is handed over on waking up, in order, timers included."""
    paused, untouched = new_cluster(), new_cluster()
    paused.run_until(CREATED_MS + 150)
    paused.nodes[1].pause()
    heard = len(member_of(paused, 1).events)
    paused.run_until(CREATED_MS + 450)
    assert len(member_of(paused, 1).events) == heard
    paused.nodes[1].resume()
    untouched.run_until(CREATED_MS + 450)
    assert member_of(paused, 1).messages() == member_of(untouched, 1).messages()
    # One timer was due while it stood still; the next is set when that one is handed over.
    assert member_of(paused, 1).ticks == 2
    assert [now for now, _ in member_of(paused, 1).events[heard:]] == [CREATED_MS + 450] * (
        len(member_of(paused, 1).events) - heard
    )


def test_a_power_loss_ends_a_pause() -> None:
    """What had waited is gone with the power."""
    cluster = new_cluster()
    cluster.nodes[1].pause()
    cluster.run_until(CREATED_MS + 450)
    cluster.crash(1)
    cluster.restart(1)
    assert member_of(cluster, 1).events == []


def test_refused_inputs_are_counted_and_change_nothing() -> None:
    """A bad message is dropped by the node, a bad envelope is the submitter's error."""
    cluster = new_cluster()
    cluster.network.send(0, 1, BAD)
    cluster.run_until(CREATED_MS + TICK_MS // 2 + 10)
    assert cluster.nodes[1].refusals == {"invalid_input": 1}
    with pytest.raises(InvalidInputError):
        cluster.submit(cluster.nodes[3].code, BAD)
    cluster.crash(3)
    with pytest.raises(ValueError):
        cluster.submit(cluster.nodes[3].code, b"anything")


def test_mending_connects_what_was_cut() -> None:
    """A connection across a cut comes up anew, one inside a group was never gone."""
    cluster = new_cluster()
    cuts = cluster.partition([frozenset({0, 1}), frozenset({2, 3})])
    cluster.run_until(CREATED_MS + 80)
    cluster.mend(cuts)
    cluster.run_until(CREATED_MS + 90)
    events = [event for _, event in member_of(cluster, 0).events[3:]]
    assert sorted(event.peer for event in events if isinstance(event, PeerConnected)) == [2, 3]


def test_a_skewed_clock_is_told_to_the_member_and_timers_keep_their_length() -> None:
    """Its events bear another time, and go off as far apart as everybody's."""
    cluster = new_cluster(clock_skew_ms={1: 700, 2: -700})
    cluster.run_until(CREATED_MS + 5 * TICK_MS + 50)
    assert [member_of(cluster, instance).ticks for instance in range(4)] == [5] * 4
    offsets = {instance: member_of(cluster, instance).events[0][0] - CREATED_MS for instance in range(3)}
    assert offsets[1] > 690
    assert offsets[2] < -690
    assert 0 <= offsets[0] <= 10


def test_one_seed_gives_one_trace_and_another_seed_another() -> None:
    """The digest covers what happened: a message more would change it."""

    def trace(seed: int, *, extra: bool = False) -> str:
        cluster = new_cluster(seed, conditions=Conditions(loss=200, duplicates=200, in_order=False))
        if extra:
            cluster.submit(cluster.nodes[0].code, b"one more")
        cluster.run_until(CREATED_MS + 1_000)
        return cluster.trace.hexdigest()

    assert trace(1) == trace(1)
    assert len({trace(1), trace(2), trace(1, extra=True)}) == 3


def test_the_offline_reader_gets_every_journal() -> None:
    """One for each department with a vote, as the disk holds it."""
    cluster = new_cluster()
    cluster.run_until(CREATED_MS + 350)
    journals = cluster.journals()
    assert set(journals) == {validator.credit_code for validator in cluster.validators.validators}
    assert all(journal.count(b"MULU") == 3 for journal in journals.values())
