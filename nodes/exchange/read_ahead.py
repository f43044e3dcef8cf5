"""Doing the next piece of work while the last one is used: much of both waits, or needs no interpreter's lock."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

T = TypeVar("T")

AHEAD = 2
"""Items that wait; a batch of rows is about a mebibyte."""


class _End(NamedTuple):
    """Nothing follows: `error` is why, or None if all was read."""

    error: BaseException | None


def read_ahead(source: Generator[T, None, None]) -> Generator[T, None, None]:
    """Yield what `source` yields; it is begun, read and closed by one thread of its own.

    Raises:
        Whatever `source` raises, once what it yielded before was taken.
    """
    ready: SimpleQueue[T | _End] = SimpleQueue()
    wanted: SimpleQueue[None] = SimpleQueue()
    stopped = threading.Event()

    def read() -> None:
        end = _End(None)
        try:
            with closing(source):
                while True:
                    wanted.get()
                    if stopped.is_set() or (item := next(source, end)) is end:
                        break
                    ready.put(item)
        except BaseException as error:
            end = _End(error)
        ready.put(end)

    for _ in range(AHEAD):
        wanted.put(None)
    thread = threading.Thread(target=read, name="exchange-read", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
            wanted.put(None)
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        wanted.put(None)
        # It must have closed the source before this returns.
        thread.join()
