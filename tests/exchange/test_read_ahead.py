"""Reading ahead changes nothing but the time: order, errors and the end are those of the source."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from nodes.exchange.read_ahead import AHEAD, read_ahead


class Source:
    """Counts what it has yielded, and notes which threads have run it and whether it was closed."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.yielded = 0
        self.closed = False
        self.threads: set[int] = set()

    def run(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                self.threads.add(threading.get_ident())
                self.yielded += 1
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.threads.add(threading.get_ident())
            self.closed = True


@pytest.mark.parametrize("count", [0, 1, AHEAD, 50])
def test_everything_comes_in_order(count: int) -> None:
    """From a thread that is not the caller's, and only one."""
    source = Source(count)
    assert list(read_ahead(source.run())) == list(range(count))
    assert source.closed
    assert len(source.threads) == 1
    assert threading.get_ident() not in source.threads


def test_an_error_comes_after_what_was_read_before_it() -> None:
    """It is the same error."""
    source = Source(5, ValueError("broken"))
    taken = []
    with pytest.raises(ValueError, match="broken"):
        taken.extend(read_ahead(source.run()))
    ahead = read_ahead(Source(5, ValueError("broken")).run())
    assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
    ahead.close()


def test_who_stops_early_leaves_nothing_running() -> None:
    """The source is closed, in its thread, when the reader is; it was not read much further than needed."""
    source = Source(1_000)
    ahead = read_ahead(source.run())
    assert next(ahead) == 0
    ahead.close()
    assert source.closed
    assert source.yielded <= 2 * AHEAD + 3
    assert len(source.threads) == 1
