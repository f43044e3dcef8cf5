"""Draws that every Python repeats, and events in one total order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.simulator.loop import EventLoop
from scenarios.simulator.streams import Stream, Streams

FIRST_DRAWS = [110, 337, 595, 637, 667, 336, 734, 990]
NEXT_BYTES = "52e3cf14"


def test_a_stream_gives_these_numbers_on_every_python() -> None:
    """The first draws of a seed are written down here; a version that gives others would change every replay."""
    stream = Streams(1).named("network")
    assert [stream.below(1_000) for _ in range(8)] == FIRST_DRAWS
    assert stream.bytes(4).hex() == NEXT_BYTES


def test_streams_of_other_names_or_seeds_are_others() -> None:
    """No two sources of a run share their draws, and one seed shares none with the next."""
    draws = [Streams(seed).named(*names).bits(64) for seed in (1, 2) for names in (("a",), ("b",), ("a", 1), ("a", 2))]
    assert len(set(draws)) == len(draws)


def test_a_stream_does_not_depend_on_what_others_have_drawn() -> None:
    """One draw more from one source shifts none of another."""
    streams = Streams(5)
    untouched = streams.named("disk").bits(64)
    other = streams.named("network")
    for _ in range(10):
        other.below(3)
    assert streams.named("disk").bits(64) == untouched


@given(seed=st.integers(0, 1 << 32), low=st.integers(-50, 50), span=st.integers(0, 100))
def test_draws_stay_within_their_bounds(seed: int, low: int, span: int) -> None:
    """`between` includes both ends and leaves out everything else."""
    stream = Stream(seed)
    assert all(low <= stream.between(low, low + span) <= low + span for _ in range(20))


def test_draws_are_even() -> None:
    """Each of six faces comes up in about a sixth of the draws; a modulo of a power of two would not do that."""
    stream = Stream(7)
    faces = Counter(stream.below(6) for _ in range(6_000))
    assert set(faces) == set(range(6))
    assert all(850 < count < 1_150 for count in faces.values())


@given(seed=st.integers(0, 1 << 32), items=st.lists(st.integers(), max_size=20))
def test_shuffling_loses_nothing(seed: int, items: list[int]) -> None:
    """What comes out is what went in."""
    assert sorted(Stream(seed).shuffled(items)) == sorted(items)


def test_a_certain_chance_draws_nothing() -> None:
    """A class of faults that is off, or always on, leaves the draws of its stream as they are."""
    stream, untouched = Stream(3), Stream(3)
    assert not stream.chance(0)
    assert stream.chance(1_000)
    assert stream.bits(64) == untouched.bits(64)


def test_nothing_can_be_drawn_below_one() -> None:
    """A caller's misuse is a plain ValueError."""
    with pytest.raises(ValueError):
        Stream(1).below(0)


def test_events_run_in_the_order_of_their_times() -> None:
    """Whatever order they are entered in, and each at its own time."""
    loop = EventLoop(100, Stream(1))
    seen: list[tuple[int, int]] = []
    for time_us in (300, 150, 200, 100):
        loop.at(time_us, lambda wanted: seen.append((wanted, loop.now_us)), time_us)
    loop.run_until(1_000)
    assert seen == [(100, 100), (150, 150), (200, 200), (300, 300)]
    assert loop.now_us == 1_000


def test_the_seed_decides_between_events_of_one_time() -> None:
    """Two seeds give two orders, one seed gives one."""

    def order(seed: int) -> list[int]:
        loop, seen = EventLoop(0, Stream(seed)), []
        for number in range(10):
            loop.at(5, seen.append, number)
        loop.run_until(5)
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_an_event_of_the_past_runs_now_and_time_never_falls() -> None:
    """What is entered too late is not lost."""
    loop, seen = EventLoop(0, Stream(1)), []
    loop.at(50, loop.at, 10, seen.append, "late")
    loop.at(60, seen.append, "next")
    loop.run_until(100)
    assert seen == ["late", "next"]
    loop.run_until(20)
    assert loop.now_us == 100


def test_events_beyond_the_limit_wait() -> None:
    """They run when the time has come, none is lost in between."""
    loop, seen = EventLoop(0, Stream(1)), []
    loop.at(10, seen.append, 1)
    loop.at(11, seen.append, 2)
    loop.run_until(10)
    assert (seen, len(loop)) == ([1], 1)
    loop.run_until(11)
    assert seen == [1, 2]
