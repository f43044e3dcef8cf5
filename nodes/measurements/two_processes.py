"""Whole validation in pure Python on two cores: a second process verifies signatures, this one does all the rest.

The second process works through the signatures of the next blocks from the front. When a block is to be executed here,
this process takes what is left of its signatures from the back, so that neither waits long for the other.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.signatures import verify_batch
from ledger.members.departments import EnvelopeKey, envelope_key_key
from ledger.state.prepared import PreparedBlock
from ledger.state.store import State
from ledger.state.transition import execute_block
from nodes.measurements.rounds import Sample
from nodes.measurements.stages import Passes, Signed, commit, copy_of, open_journal, prepare

CHUNK = 50
"""Signatures handed over at once: about 6 ms of work. Two or three chunks are always beyond recall, and at the end of a
block this process waits for them; handing one over takes it a tenth of a millisecond."""


@contextmanager
def second_process() -> Iterator[ProcessPoolExecutor]:
    """Start the process that verifies, and see that it is there."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(verify_batch, []).result()
        yield pool


@dataclass
class _Ahead:
    """A block that is decoded and whose signatures are being verified."""

    block: PreparedBlock
    chunks: list[tuple[Sequence[Signed], Future[list[bool]]]]

    def verdicts(self, items: Sequence[Signed]) -> list[bool]:
        """Return the verdicts; `items` are the block's signatures again, as the state now names their keys."""
        found: list[list[bool]] = []
        for chunk, future in reversed(self.chunks):
            found.append(verify_batch(chunk) if future.cancel() else future.result())
        known = {
            item: verdict
            for chunk, verdicts in zip(self.chunks, reversed(found), strict=True)
            for item, verdict in zip(chunk[0], verdicts, strict=True)
        }
        return [known[item] if item in known else verify_batch([item])[0] for item in items]


def run_with_two(passes: Passes, pool: ProcessPoolExecutor, directory: Path) -> Sample:
    """Validate and commit the blocks of `passes` once, with a second process; the result is that of one process.

    Args:
        directory: New; gets the journal.
    """
    directory.mkdir(parents=True)
    state, refused, records = copy_of(passes.state), 0, 0
    with open_journal(directory, state.chain) as journal:
        start = time.perf_counter()
        waiting = [_begin(state, raw, pool) for raw in passes.blocks[:1]]
        for number, raw in enumerate(passes.blocks, start=1):
            current = waiting.pop()
            waiting += [_begin(state, following, pool) for following in passes.blocks[number : number + 1]]
            execution = execute_block(state, current.block, current.verdicts)
            state.advance(execution)
            commit(journal, raw, execution)
            records += sum(map(len, execution.results))
            refused += sum(code != ACCEPTED for codes in execution.results for code in codes)
        seconds = time.perf_counter() - start
    passes.check(refused, state.root)
    return Sample(records, seconds)


def _begin(state: State, raw: bytes, pool: ProcessPoolExecutor) -> _Ahead:
    """Decode a block, and hand over its signatures under the keys that the state has now."""
    block = prepare(raw)
    items = []
    for prepared in block.envelopes:
        header = prepared.envelope.header
        key = state.get(envelope_key_key(header.department, header.key_id), EnvelopeKey)
        if key is not None:
            items.append((key.public, bytes(prepared.id), prepared.envelope.signature))
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    return _Ahead(block, [(chunk, pool.submit(verify_batch, chunk)) for chunk in chunks])
