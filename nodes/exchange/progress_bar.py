"""A bar on standard error for deliveries that take more than a moment, where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nodes.exchange.requester import Progress, Report

_WORDS = {
    "reading": "the provider reads rows",
    "fetching": "chunks fetched",
    "writing": "rows written",
}


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Report]:
    """Yield what takes progress and shows it; nothing is shown if standard error is no terminal, or if `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking the provider", total=None)

        def show(progress: Progress) -> None:
            bar.update(task, description=_WORDS[progress.stage], completed=progress.done, total=progress.total or None)

        yield show
