"""Waiting for news: a block that can be read, a checkpoint, the end of the node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Progress:
    """Wakes everybody who waits whenever anything new can be read. Used on the event loop's thread only."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no news will come, because the node stops."""
        return self._closed

    def advance(self) -> None:
        """Wake all who wait."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    def close(self) -> None:
        """Wake all who wait, for the last time."""
        self._closed = True
        self.advance()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the next news; return whether it came in time. At once if closed."""
        if self._closed:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds, looked at whenever there is news; return whether it held in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._closed:
                        return False
                    await self._news.wait()
        except TimeoutError:
            return condition()
        return True
