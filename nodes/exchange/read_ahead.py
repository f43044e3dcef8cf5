"""Reading the next batch while the last one is sealed: a database's answer and our coding of it take about as long."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing, suppress
from queue import Empty, Queue
from typing import NamedTuple, TypeVar

T = TypeVar("T")

AHEAD = 2
"""Batches that wait; a batch is about a mebibyte."""

DRAIN_S = 0.05


class _End(NamedTuple):
    """Nothing follows: `error` is why, or None if all was read."""

    error: BaseException | None


def read_ahead(source: Generator[T, None, None]) -> Generator[T, None, None]:
    """Yield what `source` yields; it is begun, read and closed by one thread of its own.

    Raises:
        Whatever `source` raises, once what it yielded before was taken.
    """
    ready: Queue[T | _End] = Queue(AHEAD)
    stopped = threading.Event()

    def read() -> None:
        end = _End(None)
        try:
            with closing(source):
                for item in source:
                    ready.put(item)
                    if stopped.is_set():
                        return
        except BaseException as error:
            end = _End(error)
        ready.put(end)

    thread = threading.Thread(target=read, name="exchange-read", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        # The thread may be waiting for room; and it must have closed the source before this returns.
        while thread.is_alive():
            with suppress(Empty):
                ready.get(timeout=DRAIN_S)
        thread.join()
