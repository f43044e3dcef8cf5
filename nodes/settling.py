"""The second half of execution on a thread: state root, log entries and journal of a block, while the next is executed.

Execution needs the state's values and never its tree. The tree of a block is made from that of its parent, so one
thread settles the blocks in their order; nearly all of its time is in native code or waiting for the disk, where it
leaves the interpreter to execution.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from ledger.state.store import State
from ledger.state.transition import Execution, Outcome, settle
from nodes.pipeline import Gauge

BLOCKS_BEHIND_MAX = 2
"""Blocks executed and not settled: one being worked on, and one waiting."""


class Settler:
    """Settles what was executed. Use it in a `with`: when that ends without an error, all blocks are settled."""

    def __init__(self, state: State, then: Callable[[Execution], object], gauge: Gauge | None = None) -> None:
        """Begin behind the last block that `state` has executed.

        Args:
            state: Advanced by `take` from now on, and by nothing else.
            then: Gets each execution, in order, on the thread: it appends to a journal, say.
            gauge: Counts.
        """
        self._state, self._then = state, then
        self._gauge = gauge or Gauge()
        self._behind: deque[Future[None]] = deque()
        self._failed = False
        self._thread = ThreadPoolExecutor(1, "settle")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                self._wait(0)
        finally:
            self._thread.shutdown(cancel_futures=True)

    def take(self, outcome: Outcome) -> None:
        """Advance the state's values at once, and its tree when the block is settled; waits if too many are behind.

        Raises:
            ValueError: It was computed on another height.
            Exception: What settling an earlier block, or `then` with it, has raised. The state is of no use any more.
        """
        self._state.advance_values(outcome)
        self._gauge.queued += 1
        self._behind.append(self._thread.submit(self._gauge.timed, lambda: self._settle(outcome)))
        self._wait(BLOCKS_BEHIND_MAX)

    def _settle(self, outcome: Outcome) -> None:
        if self._failed:
            # A journal may end anywhere, but nothing in it may be left out.
            return
        try:
            execution = settle(outcome, self._state.tree)
            self._state.tree = execution.tree
            self._then(execution)
        except BaseException:
            self._failed = True
            raise

    def _wait(self, behind_max: int) -> None:
        while len(self._behind) > behind_max:
            self._behind.popleft().result()
            self._gauge.queued -= 1
