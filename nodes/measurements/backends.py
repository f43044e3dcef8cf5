"""Running a part of a measurement under another backend than the process was started with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ledger.crypto.backend import CHOICES, active_backend, use_backend
from nodes.measurements.rounds import Sample, Task


@contextmanager
def using(choice: str) -> Iterator[None]:
    """Use one of `ledger.crypto.backend.CHOICES` inside, and what was in use before again afterwards."""
    before = active_backend().name
    use_backend(choice)
    try:
        yield
    finally:
        use_backend(before if before in CHOICES else "native")


def under(choice: str, task: Callable[[], Sample]) -> Task:
    """Return `task`, run under a backend."""

    def run() -> Sample:
        with using(choice):
            return task()

    return run
