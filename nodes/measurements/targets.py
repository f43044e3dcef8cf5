"""The targets of the performance core, and what this machine reaches: ratios taken in one run, medians of the rounds.

The rows that share their work share their rounds: whatever is compared is measured in turn, within seconds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ledger.blocks.block import Block
from ledger.crypto.backend import active_backend
from ledger.encoding import decode
from ledger.errors import InvariantBrokenError
from nodes.machine import cores
from nodes.measurements.agreement import compare_backends
from nodes.measurements.backends import under, using
from nodes.measurements.large_state import LARGE_KEYS, SMALL_KEYS, tree_task
from nodes.measurements.rounds import Figure, Rounds, Sample, Task, interleaved
from nodes.measurements.slowing import NOT_SLOWED, Slowing
from nodes.measurements.stages import SETTLING, STATELESS, Corpus, Passes, Signed, run_loop, signatures_of, timed
from nodes.measurements.two_processes import run_with_two, second_process
from nodes.measurements.validation import binding
from nodes.pipeline import NATIVE_WORKERS, Pipeline
from nodes.verification import verify_batch

RECORDS_PER_BLOCK = 10_000
STATE_KEYS = 10_000
ROUNDS = 7
ONE_CORE_BLOCKS = 2
"""On one core a block takes as long as any other; on two, the more there are the less the first one's wait counts."""
PYTHON_BLOCKS = 6
"""For two processes in Python: one of them waits while the first block is decoded and while the last is executed."""
BATCH_MIN = 4_096
"""Signatures a batch in row 1, at the least."""
CRAFTED = 10_000
"""Random mixed-order signatures in row 10."""
BAD_PLACE = 0.6789
"""Where the one bad signature of row 9 stands, of all: neither at an end nor at the middle of any half."""


@dataclass(frozen=True)
class Target:
    """What one row asks for."""

    row: str
    what: str
    target: float
    moonshot: float
    at_most: bool = False
    """Whether the figure must not be above the target, rather than not below."""

    @property
    def number(self) -> str:
        """The row without the letter of its part."""
        return self.row.rstrip("ab")

    def is_met(self, measured: float) -> bool:
        """Return whether a figure reaches the target."""
        return measured <= self.target if self.at_most else measured >= self.target


TARGETS = {
    target.row: target
    for target in (
        Target("1", "native batch verification : loop, one thread", 60, 100),
        Target("2", "portable native batch verification : loop, one thread", 12, 25),
        Target("3", "whole validation and commit, k = 1 : loop, 2 cores", 10, 25),
        Target("4", "the same at k = 256 : row 3, in records a second", 1.5, 4),
        Target("5a", "pure Python, whole, k = 1 : loop, one process", 0.80, 0.9),
        Target("5b", "pure Python, whole, k = 1 : loop, two processes", 1.5, 1.7),
        Target("6a", "pure Python, stateless stages, k = 256 : k = 1", 40, 55),
        Target("6b", "pure Python, whole, k = 256 : k = 1", 7, 12),
        Target("7", "cost a record with 1 M keys in the state : with 1 k", 2.5, 1.5, at_most=True),
        Target("8", "native state root: updates a second at 1 M keys, batches of 10 k", 300_000, 1_000_000),
        Target("9", "signatures: refuse and name 1 bad of 10,000 : accept", 4, 2, at_most=True),
        Target("10", "accept-set differences between backends", 0, 0, at_most=True),
        Target("11a", "live network, n = 4, k = 16: records a second at p99 <= 1 s", 5_000, 20_000),
        Target("11b", "live network, n = 53, k = 16: records a second at p99 <= 6 s", 500, 2_000),
    )
}

IN_TURN = ("1", "2", "3", "4", "5", "6", "7", "9")
"""Rows whose tasks take turns in the same rounds."""

QUICK = ("1", "3", "4", "10")
"""Rows of a quick run, by number."""


@dataclass(frozen=True)
class Row:
    """One row of the report."""

    target: Target
    measured: float | None
    rounds: int = 0
    spread: float = 0.0
    binding: str | None = None
    otherwise_met: bool = True
    """Whether all holds that the target asks for beside the figure."""
    why: str = ""
    """Why nothing was measured."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth knowing; the names are part of the report's form."""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if this machine cannot say."""
        return None if self.measured is None else self.otherwise_met and self.target.is_met(self.measured)

    def document(self) -> dict[str, Any]:
        """Return the row as it stands in the report."""
        target = self.target
        form: dict[str, Any] = {
            "row": target.row,
            "what": target.what,
            "measured": None if self.measured is None else float(f"{self.measured:.4g}"),
            "target": target.target,
            "moonshot": target.moonshot,
            "at_most": target.at_most,
            "met": self.met,
            "rounds": self.rounds,
            "spread": round(self.spread, 3),
            "binding": self.binding,
        }
        return {**form, **({"why": self.why} if self.why else {}), **self.more}


@dataclass(frozen=True)
class Settings:
    """What to measure, and with what."""

    rows: Sequence[str]
    """Numbers of rows, for example `("1", "5")`."""
    directory: Path
    """For journals and nodes."""
    make_corpus: Callable[[], Corpus]
    """53 signers, records for some blocks, and a state that is as small as it can be."""
    make_live: Callable[..., Iterator[Row]] | None = None
    """As `nodes.measurements.live.live_rows`: measures rows 11a and 11b below a directory."""
    quick: bool = False
    rounds: int = ROUNDS
    slowing: Slowing = NOT_SLOWED
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Report:
    """What a run has measured."""

    rows: tuple[Row, ...]
    cpu_share: float | None
    """As in `Rounds`, of the part with rounds; None if there was none."""


def measure_targets(settings: Settings) -> Report:
    """Measure the rows that are asked for.

    Raises:
        InvariantBrokenError: Something was measured that is not right.
        OSError, StorageFailedError: No journal can be written.
    """
    wanted = [target for target in TARGETS.values() if target.number in settings.rows]
    rows: list[Row] = []
    share = None
    with _course(settings) as course:
        if course is not None:
            taken = course.measure()
            share = taken.cpu_share
            rows += [row for target in wanted if (row := course.row(target, taken)) is not None]
    for target in wanted:
        if target.row == "8":
            rows.append(_tree_row(target, settings))
        elif target.row == "10":
            rows.append(_agreement_row(target, settings))
    if settings.make_live is not None and any(target.number == "11" for target in wanted):
        rows += settings.make_live(settings.directory, say=settings.say)
    order = list(TARGETS)
    rows.sort(key=lambda row: order.index(row.target.row))
    return Report(tuple(rows), share)


def measure_in_turn(settings: Settings) -> Rounds:
    """Measure the tasks behind rows 1 to 7 and 9, those that are asked for, and the loop; return all samples.

    Raises:
        ValueError: No such row is asked for.
    """
    with _course(settings) as course:
        if course is None:
            raise ValueError(f"rows {', '.join(settings.rows)} are not measured in turn")
        return course.measure()


@contextmanager
def _course(settings: Settings) -> Iterator[_Course | None]:
    """Yield the rows that take turns, with all they need while they are measured; None if none is asked for."""
    numbers = sorted(set(settings.rows) & set(IN_TURN))
    if not numbers:
        yield None
        return
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mulu-bench-", dir=settings.directory))
        settings.say("making and signing the records")
        yield _Course(settings, numbers, Path(folder), stack)


class _Course:
    """The rows whose tasks take turns."""

    def __init__(self, settings: Settings, numbers: Sequence[str], folder: Path, stack: ExitStack) -> None:
        self._settings, self._numbers, self._folder, self._stack = settings, numbers, folder, stack
        self._corpus = corpus = settings.make_corpus()
        self._state = corpus.with_state_keys(STATE_KEYS).state()
        self._blocks = {k: corpus.blocks(k, records_per_block=RECORDS_PER_BLOCK) for k in (1, 256)}
        self._signed = signatures_of(self._state, self._blocks[1][:1])
        self._named: list[tuple[int, str]] = []
        self._native = active_backend().library is not None

    def measure(self) -> Rounds:
        """Run the tasks of all rows in turn."""
        tasks: dict[str, Task] = {"loop": lambda: run_loop(self._loop_signatures())}
        for number in self._numbers:
            tasks.update(getattr(self, f"_tasks_{number}")())

        def progress(done: int) -> None:
            self._settings.say(f"rows {', '.join(self._numbers)}: round {done} of {self._settings.rounds} done")

        return interleaved(tasks, self._settings.rounds, progress, warm=True)

    def _loop_signatures(self) -> Sequence[Signed]:
        return self._signed[:BATCH_MIN] if self._settings.quick else self._signed

    # The tasks of each row.

    def _tasks_1(self) -> dict[str, Task]:
        return {"batch": lambda: _verify_all(self._loop_signatures())} if self._native else {}

    def _tasks_2(self) -> dict[str, Task]:
        if not self._native:
            return {}
        return {"portable": under("native-portable", lambda: _verify_all(self._loop_signatures()))}

    def _tasks_3(self) -> dict[str, Task]:
        return self._whole_tasks(1)

    def _tasks_4(self) -> dict[str, Task]:
        return {**self._whole_tasks(1), **self._whole_tasks(256)}

    @cache  # noqa: B019 - rows 3 and 4 share tasks; the object lives as long as the measurement
    def _whole_tasks(self, k: int) -> dict[str, Task]:
        """Whole validation on one core, which shows what each stage costs, and on two where there are two."""
        alone = Passes(
            self._state,
            self._blocks[k][:ONE_CORE_BLOCKS],
            None,
            self._folder / f"k={k}, one core",
            slowing=self._settings.slowing,
        )
        tasks: dict[str, Task] = {f"k={k}, one core": alone.run}
        # A slowed stage is slow where stages are taken apart, and nothing else would be comparable with it.
        if cores() > 1 and not self._settings.slowing.factors:
            pipeline = self._pipeline()
            passes = Passes(self._state, self._blocks[k], self._corpus.refused_count, self._folder / f"k={k}")
            tasks[f"k={k}"] = lambda: passes.run_ahead(pipeline)
        else:
            tasks[f"k={k}"] = tasks[f"k={k}, one core"]
        return tasks

    @cache  # noqa: B019 - one for all tasks
    def _pipeline(self) -> Pipeline:
        return self._stack.enter_context(Pipeline(workers=NATIVE_WORKERS))

    def _tasks_5(self) -> dict[str, Task]:
        whole = self._python("python, two", 1, blocks_max=PYTHON_BLOCKS)
        pool = self._stack.enter_context(second_process())
        numbers = iter(range(1_000))

        def run() -> Sample:
            return run_with_two(whole, pool, self._folder / f"two-{next(numbers)}")

        two = {"python, two": under("python", run)} if cores() > 1 else {}
        return {"python k=1": self._python_task(1), **two}

    def _tasks_6(self) -> dict[str, Task]:
        return {f"python k={k}": self._python_task(k) for k in (1, 256)}

    def _tasks_7(self) -> dict[str, Task]:
        tasks: dict[str, Task] = {}
        for name, keys in (("1 k keys", SMALL_KEYS), ("1 M keys", LARGE_KEYS)):
            self._settings.say(f"making a state of {name}")
            state = self._corpus.with_state_keys(keys).state()
            tasks[name] = Passes(
                state, self._blocks[1][:1], None, self._folder / name.replace(" ", "-"), slowing=self._settings.slowing
            ).run
        return tasks

    def _tasks_9(self) -> dict[str, Task]:
        bad = list(self._signed[:RECORDS_PER_BLOCK])
        position = int(BAD_PLACE * len(bad))
        public, message, signature = bad[position]
        bad[position] = public, message, signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]
        author = decode(Block, self._blocks[1][0]).header.author
        proposer = self._state.validators.validators[author].credit_code

        def refuse() -> Sample:
            self._named, seconds = timed(lambda: [(index, proposer) for index in _bad_of(verify_batch(bad))])
            if self._named != [(position, proposer)]:
                raise InvariantBrokenError(f"one signature is bad, number {position}; {self._named} were named")
            return Sample(len(bad), seconds)

        return {"accept": lambda: _verify_all(self._signed[:RECORDS_PER_BLOCK]), "refuse": refuse}

    @cache  # noqa: B019 - rows 5 and 6 share a task; the object lives as long as the measurement
    def _python_task(self, k: int) -> Task:
        return under("python", self._python(f"python k={k}", k).run)

    def _python(self, name: str, k: int, *, blocks_max: int = 1) -> Passes:
        """Return passes in Python, which must come to the same state as the native ones."""
        blocks = self._blocks[k][:blocks_max]
        native = Passes(self._state, blocks, None, self._folder / f"{name}-native")
        native.run()
        with using("python"):
            # A tree stays with the backend that made it.
            state = self._corpus.with_state_keys(STATE_KEYS).state()
        return Passes(
            state, blocks, native.refused_count, self._folder / name, root=native.root, slowing=self._settings.slowing
        )

    # What the samples say.

    def row(self, target: Target, taken: Rounds) -> Row | None:
        """Return a row, or None if it is not one of these."""
        describe = getattr(self, f"_row_{target.row}", None)
        return None if describe is None else describe(target, taken)

    def _row_1(self, target: Target, taken: Rounds) -> Row:
        if not self._native:
            return Row(target, None, why=f"no native core: {active_backend().reason}")
        if not active_backend().name.endswith("ifma"):
            why = f"this processor or process has no AVX-512 IFMA: the backend is {active_backend().name}"
            return Row(target, None, why=why, more={"measured_with_it": taken.ratio("batch", "loop").median})
        return _row(target, taken.ratio("batch", "loop"), taken, "signatures", _rates(taken, "loop", "batch"))

    def _row_2(self, target: Target, taken: Rounds) -> Row:
        if not self._native:
            return Row(target, None, why=f"no native core: {active_backend().reason}")
        return _row(target, taken.ratio("portable", "loop"), taken, "signatures", _rates(taken, "loop", "portable"))

    def _row_3(self, target: Target, taken: Rounds) -> Row:
        return self._pipelined(target, taken.ratio("k=1", "loop"), taken, "k=1")

    def _row_4(self, target: Target, taken: Rounds) -> Row:
        return self._pipelined(target, taken.ratio("k=256", "k=1"), taken, "k=256")

    def _row_5a(self, target: Target, taken: Rounds) -> Row:
        return self._whole(target, taken.ratio("python k=1", "loop"), taken, "python k=1")

    def _row_5b(self, target: Target, taken: Rounds) -> Row:
        if "python, two" not in taken.samples:
            return Row(target, None, why="this process may use one core only")
        figure = taken.ratio("python, two", "loop")
        stages = taken.stage_us("python k=1")
        return _row(target, figure, taken, binding(stages), {**_rates(taken, "python, two"), "stages_us": _us(stages)})

    def _row_6a(self, target: Target, taken: Rounds) -> Row:
        figure = Figure.of(
            [
                _stateless_s(one) / _stateless_s(many)
                for one, many in zip(taken.samples["python k=1"], taken.samples["python k=256"], strict=True)
            ]
        )
        stages = {stage: us for stage, us in taken.stage_us("python k=256").items() if stage in STATELESS}
        return _row(target, figure, taken, binding(stages), {"stages_us": _us(stages)})

    def _row_6b(self, target: Target, taken: Rounds) -> Row:
        one, many = taken.stage_us("python k=1"), taken.stage_us("python k=256")
        # What is left at k = 256 when signatures cost nothing is paid for every record, however many share a signature.
        ceiling = sum(one.values()) / (sum(many.values()) - many["signatures"])
        row = self._whole(target, taken.ratio("python k=256", "python k=1"), taken, "python k=256")
        return Row(**{**row.__dict__, "more": {**row.more, "ceiling": round(ceiling, 2)}})

    def _row_7(self, target: Target, taken: Rounds) -> Row:
        small, large = taken.stage_us("1 k keys"), taken.stage_us("1 M keys")
        growth = {stage: large[stage] - small[stage] for stage in large}
        more = {**_rates(taken, "1 k keys", "1 M keys"), "stages_us": _us(large), "stages_us_at_1k": _us(small)}
        return _row(target, taken.ratio("1 k keys", "1 M keys"), taken, binding(growth), more)

    def _row_9(self, target: Target, taken: Rounds) -> Row:
        (index, proposer), *_ = self._named
        named = {"index": index, "proposer": proposer}
        return _row(target, taken.ratio("accept", "refuse"), taken, "signatures", {"named": named})

    def _pipelined(self, target: Target, figure: Figure, taken: Rounds, task: str) -> Row:
        """Return a row on two cores: of what goes on at once the longest binds, and of it the largest stage."""
        stages, two = taken.stage_us(f"{task}, one core"), taken.stage_us(task)
        more = {**_rates(taken, task, f"{task}, one core"), "stages_us": _us(stages)}
        if "ahead" not in two:
            return _row(target, figure, taken, binding(stages), {"cores": 1, **more})
        ahead = {stage: stages[stage] for stage in STATELESS}
        here = {"execute": stages["execute"], "take over": two["take over"]}
        behind = {stage: stages[stage] for stage in SETTLING}
        side = max(ahead, here, behind, key=lambda side: sum(side.values()))
        return _row(target, figure, taken, binding(side), {"cores": 2, **more, "pipeline_us": _us(two)})

    def _whole(self, target: Target, figure: Figure, taken: Rounds, task: str) -> Row:
        stages = taken.stage_us(task)
        return _row(target, figure, taken, binding(stages), {**_rates(taken, task), "stages_us": _us(stages)})


def _tree_row(target: Target, settings: Settings) -> Row:
    if active_backend().library is None:
        return Row(target, None, why=f"no native core: {active_backend().reason}")
    settings.say("row 8: making a tree of 1 M keys")
    taken = interleaved({"updates": tree_task(LARGE_KEYS)}, settings.rounds)
    return _row(target, taken.rate("updates"), taken, "state root", {})


def _agreement_row(target: Target, settings: Settings) -> Row:
    settings.say(f"row 10: {CRAFTED} crafted signatures on every backend")
    found = compare_backends(CRAFTED, processes=min(2, cores()))
    if len(found.backends) < 2:
        return Row(target, None, why="this machine has one backend, there is nothing to compare it with")
    if found.unexpected:
        raise InvariantBrokenError(f"{found.unexpected} verdicts are not those of ZIP-215")
    more = {"backends": list(found.backends), "vectors": found.vectors, "crafted": found.crafted}
    return Row(target, float(found.differences), rounds=1, more=more)


def _row(target: Target, figure: Figure, taken: Rounds, stage: str, more: Mapping[str, Any]) -> Row:
    rounds = len(next(iter(taken.samples.values())))
    return Row(target, figure.median, rounds=rounds, spread=figure.spread, binding=stage, more=more)


def _rates(taken: Rounds, *tasks: str) -> dict[str, Any]:
    return {"per_second": {task: round(taken.rate(task).median) for task in tasks}}


def _us(stages: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(us, 3) for stage, us in stages.items()}


def _stateless_s(sample: Sample) -> float:
    return sum(sample.stage_s[stage] for stage in STATELESS) / sample.count


def _verify_all(signed: Sequence[Signed]) -> Sample:
    verdicts, seconds = timed(lambda: verify_batch(signed))
    if not all(verdicts):
        raise InvariantBrokenError("a good signature was refused")
    return Sample(len(signed), seconds)


def _bad_of(verdicts: Sequence[bool]) -> list[int]:
    return [] if all(verdicts) else [index for index, verdict in enumerate(verdicts) if not verdict]
