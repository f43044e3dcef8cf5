"""Validation on more than one core: blocks are prepared ahead, in their order, while earlier ones are executed.

What needs no state (decoding, hashes, signatures) runs on workers; `ledger.validation.ahead` says what it gives. With
the native core most of that releases the interpreter's lock: workers are threads, and hand over the block itself. In
Python alone nothing does: workers are processes, and only what was found out travels back. A ring of blocks is under
way at once, never more, so memory is bounded and a slow stage makes the ones before it wait.

Used where blocks come faster than they can be executed one by one: the replay of a journal at start, and measurements.
A running member's blocks come one at a time and their order is consensus's business, so nothing runs ahead there.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from ledger.crypto.backend import CHOICES, active_backend, use_backend
from ledger.errors import InvalidInputError
from ledger.members.departments import EnvelopeKey, envelope_key_key
from ledger.state.prepared import PreparedBlock
from ledger.state.store import State
from ledger.storage.frames import Frame, FrameKind
from ledger.validation.ahead import Findings, findings_of, prepare_ahead, take_over
from nodes.verification import verify_batch

logger = logging.getLogger(__name__)

T = TypeVar("T")

BLOCKS_AHEAD_PER_WORKER = 2
"""One being worked on, and one waiting so that no worker waits."""

NATIVE_WORKERS = 2
"""Threads that prepare blocks with the native core."""

ITEMS_A_BLOCK = 16
"""Frames that may wait for each block under way: certificates and results between the blocks, with room to spare."""

WORTH_WORKERS_BYTES = 32 << 20
"""A journal shorter than this is replayed before workers would have started."""


@dataclass(slots=True)
class Gauge:
    """What one stage has done so far."""

    busy_s: float = 0.0
    blocks: int = 0
    queued: int = 0
    """Blocks that are in it now, or wait for it."""

    def timed(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, and count it."""
        began = time.perf_counter()
        result = function()
        self.busy_s += time.perf_counter() - began
        self.blocks += 1
        return result


@dataclass(slots=True)
class Gauges:
    """The stages of a pipeline. The busiest one, workers divided by their number, is the one that binds."""

    examine: Gauge
    """Decoding, hashes and signatures, on the workers: seconds of all of them together."""
    wait: Gauge
    """The executing side waiting for the workers."""
    take_over: Gauge
    """Building the values again from what the workers have found."""
    execute: Gauge
    """From one block handed out to the next one asked for: what the executing side does with it."""
    settle: Gauge
    """State root, log entries and what is done with them, where that happens on a thread (`nodes.settling`)."""

    @classmethod
    def zero(cls) -> Self:
        """Return gauges of which nothing was counted yet."""
        return cls(Gauge(), Gauge(), Gauge(), Gauge(), Gauge())


class KnownKeys:
    """Envelope keys by credit code and number, as far as they were needed: asked of the state once each."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.by_name: dict[tuple[str, int], bytes] = {
            (key.department, key.key_id): key.public for key in state.values.values() if isinstance(key, EnvelopeKey)
        }

    def look_up(self, block: PreparedBlock) -> None:
        """Learn the keys that could not be tried for `block`, for the blocks to come."""
        for envelope, public in zip(block.envelopes, block.verified, strict=True):
            header = envelope.envelope.header
            if public is None and (name := (header.department, header.key_id)) not in self.by_name:
                key = self._state.get(envelope_key_key(*name), EnvelopeKey)
                if key is not None:
                    self.by_name[name] = key.public


class _Examined(NamedTuple):
    found: PreparedBlock | Findings | None
    """By a thread, by a process; None if the block is invalid: why, is found where it is reported."""
    busy_s: float


class Pipeline:
    """Prepares blocks ahead. Use it in a `with`; without workers it prepares each block when it is asked for."""

    def __init__(self, *, workers: int, gauges: Gauges | None = None) -> None:
        """Start `workers` threads, or processes where there is no native core; 0 for none."""
        self.workers = workers
        self.gauges = gauges or Gauges.zero()
        self._pool: Executor | None = None
        self._examine = _examine
        if workers and active_backend().library is not None:
            self._pool, self._examine = ThreadPoolExecutor(workers, "prepare"), _prepare
        elif workers:
            # Not forked: a process that has threads is not to be copied. The backend is the one of this process.
            self._pool = ProcessPoolExecutor(
                workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_worker,
                initargs=(_choice_of(active_backend().name),),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers; blocks under way are given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def prepare(self, blocks: Iterable[bytes], keys: KnownKeys) -> Iterator[PreparedBlock]:
        """Yield each block, prepared, in order; `blocks` is read ahead of what is yielded.

        Raises:
            InvalidInputError: A block is not well-formed; those before it were yielded.
        """
        for raw, prepared in self._run(((raw, raw) for raw in blocks), keys):
            yield prepared if prepared is not None else prepare_ahead(raw, keys.by_name, verify_batch)

    def prepare_frames(
        self, frames: Iterable[Frame], keys: KnownKeys, expect: Callable[[PreparedBlock], None]
    ) -> Iterator[Frame]:
        """Yield a journal's frames in order; `expect` gets each of its blocks, prepared, before its frame is yielded.

        A block that is not well-formed is left to whoever reads the frames.
        """
        pairs = ((frame, frame.payload if frame.kind is FrameKind.BLOCK else None) for frame in frames)
        for frame, prepared in self._run(pairs, keys):
            if prepared is not None:
                expect(prepared)
            yield frame

    def _run(
        self, items: Iterable[tuple[T, bytes | None]], keys: KnownKeys
    ) -> Iterator[tuple[T, PreparedBlock | None]]:
        """Yield each item with the block prepared from its bytes; None if it has none or they are not well-formed."""
        under_way: deque[tuple[T, bytes | None, Future[_Examined] | None]] = deque()
        queue, ahead_max = self.gauges.examine, BLOCKS_AHEAD_PER_WORKER * self.workers
        for item, raw in items:
            under_way.append((item, raw, None if raw is None else self._submit(raw, keys)))
            queue.queued += raw is not None
            while queue.queued > ahead_max or len(under_way) > ITEMS_A_BLOCK * ahead_max:
                yield from self._hand_out(*under_way.popleft(), keys)
        while under_way:
            yield from self._hand_out(*under_way.popleft(), keys)

    def _submit(self, raw: bytes, keys: KnownKeys) -> Future[_Examined] | None:
        if self._pool is None:
            return None
        try:
            return self._pool.submit(self._examine, raw, keys.by_name)
        except BrokenProcessPool:
            # Those handed in before find the same, and say so.
            return None

    def _hand_out(
        self, item: T, raw: bytes | None, examined: Future[_Examined] | None, keys: KnownKeys
    ) -> Iterator[tuple[T, PreparedBlock | None]]:
        prepared = None
        if raw is not None:
            self.gauges.examine.queued -= 1
            prepared = self._taken_over(raw, examined, keys)
            if prepared is not None and None in prepared.verified:
                keys.look_up(prepared)
        began = time.perf_counter()
        yield item, prepared
        if raw is not None:
            self.gauges.execute.busy_s += time.perf_counter() - began
            self.gauges.execute.blocks += 1

    def _taken_over(self, raw: bytes, examined: Future[_Examined] | None, keys: KnownKeys) -> PreparedBlock | None:
        if examined is not None:
            try:
                found, busy_s = self.gauges.wait.timed(examined.result)
            except (BrokenProcessPool, CancelledError):
                logger.warning("a worker has died; blocks are prepared here from now on")
                self.close()
            else:
                self.gauges.examine.busy_s += busy_s
                self.gauges.examine.blocks += 1
                if not isinstance(found, Findings):
                    return found
                return self.gauges.take_over.timed(lambda: take_over(raw, found))
        try:
            return self.gauges.examine.timed(lambda: prepare_ahead(raw, keys.by_name, verify_batch))
        except InvalidInputError:
            return None


def workers_for(journal_bytes: int) -> int:
    """Return how many workers pay for a journal of this length on this machine.

    In Python alone the signatures bind, and every core can verify some. With the native core the executing side binds,
    and two threads keep it supplied: one can wait for the interpreter while the other is in native code.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if journal_bytes < WORTH_WORKERS_BYTES or cores == 1:
        return 0
    return cores if active_backend().library is None else NATIVE_WORKERS


def _choice_of(backend: str) -> str:
    return backend if backend in CHOICES else "native"


def _begin_worker(backend: str) -> None:
    use_backend(backend)


def _examine(raw: bytes, keys: dict[tuple[str, int], bytes]) -> _Examined:
    """Do a process's work: what travels back is small."""
    prepared, busy_s = _prepare(raw, keys)
    return _Examined(findings_of(prepared) if isinstance(prepared, PreparedBlock) else None, busy_s)


def _prepare(raw: bytes, keys: dict[tuple[str, int], bytes]) -> _Examined:
    """Do a thread's work."""
    began = time.perf_counter()
    try:
        prepared = prepare_ahead(raw, keys, verify_batch)
    except InvalidInputError:
        prepared = None
    return _Examined(prepared, time.perf_counter() - began)
