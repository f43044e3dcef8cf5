"""How a run tells people where it is: bars on a terminal, one line a phase in a pipe, nothing with `--quiet`.

Everything goes to standard error; standard output is for results. A driver says what happens and never asks where it
is shown.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

NARROW_COLUMNS = 120
"""Below this many there is no room for a bar beside the longest name and the figures."""


class Progress(Protocol):
    """What a driver reports."""

    def phase(self, name: str, total: int) -> None:
        """Begin a phase of `total` records or other things; the one before it has ended."""

    def advance(self, count: int, *, height: int | None = None, refused: int = 0) -> None:
        """Count things of the phase that are done, `refused` of them refused, and say where the ledger stands."""

    def note(self, text: str) -> None:
        """Say one sentence beside the phases."""


@contextmanager
def open_progress(
    *, quiet: bool = False, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Yield the progress that suits the stream: standard error unless another is given.

    Args:
        clock: Seconds from any moment on, for the elapsed time of each phase.
    """
    stream = sys.stderr if stream is None else stream
    if quiet:
        yield Silence()
        return
    # A dumb terminal cannot move the cursor, which makes it as good as a pipe.
    if stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        with Bars(stream) as bars:
            yield bars
        return
    lines = Lines(stream, clock)
    try:
        yield lines
    finally:
        lines.end_phase()


class Silence:
    """Says nothing."""

    def phase(self, name: str, total: int) -> None:
        """Say nothing."""

    def advance(self, count: int, *, height: int | None = None, refused: int = 0) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


class Lines:
    """One plain line for each phase, written when it ends, so that a log stays short."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream, self._clock = stream, clock
        self._name: str | None = None
        self._total = self._done = self._refused = 0
        self._height: int | None = None
        self._began = 0.0

    def phase(self, name: str, total: int) -> None:
        """Write the line of the phase before, if there is one, and begin this one."""
        self.end_phase()
        self._name, self._total, self._done, self._refused = name, total, 0, 0
        self._began = self._clock()

    def advance(self, count: int, *, height: int | None = None, refused: int = 0) -> None:
        """Count, silently."""
        self._done += count
        self._refused += refused
        self._height = self._height if height is None else height

    def note(self, text: str) -> None:
        """Write one line."""
        self._write(text)

    def end_phase(self) -> None:
        """Write the line of the phase that is under way, if there is one."""
        if self._name is None:
            return
        done = f"{self._done:,}" if self._done >= self._total else f"stopped at {self._done:,} of {self._total:,}"
        parts = [done]
        if self._refused:
            parts.append(f"{self._refused:,} refused")
        if self._height is not None:
            parts.append(f"height {self._height:,}")
        parts.append(f"{self._clock() - self._began:.1f} s")
        self._write(f"{self._name}: {', '.join(parts)}")
        self._name = None

    def _write(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bars:
    """A bar for each phase; those that ended stay above. Rich leaves out colour where `NO_COLOR` is set."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, markup=False, highlight=False)
        whole = Column(no_wrap=True)
        narrow = self._console.width < NARROW_COLUMNS
        # Names and notes may hold brackets, which must not be read as markup. On a narrow terminal the figures stay
        # whole: the bar is left out, and the name gets what room there is.
        self._bars = RichProgress(
            SpinnerColumn(finished_text="✓", table_column=whole),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1 if narrow else None),
            ),
            *(() if narrow else (BarColumn(bar_width=28),)),
            MofNCompleteColumn(table_column=whole),
            TextColumn("{task.fields[standing]}", markup=False, style="dim", table_column=whole),
            TimeElapsedColumn(table_column=whole),
            console=self._console,
            expand=narrow,
        )
        self._task: TaskID | None = None
        self._refused = 0
        self._height: int | None = None

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def phase(self, name: str, total: int) -> None:
        """Stop the bar before and begin another below it."""
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._refused = 0
        self._task = self._bars.add_task(name, total=total, standing=self._standing())

    def advance(self, count: int, *, height: int | None = None, refused: int = 0) -> None:
        """Move the bar and show where the ledger stands."""
        if self._task is None:
            raise ValueError("nothing can advance before the first phase")
        self._refused += refused
        self._height = self._height if height is None else height
        self._bars.update(self._task, advance=count, standing=self._standing())

    def note(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text)

    def _standing(self) -> str:
        parts = []
        if self._height is not None:
            parts.append(f"height {self._height:,}")
        if self._refused:
            parts.append(f"{self._refused:,} refused")
        return ", ".join(parts)
