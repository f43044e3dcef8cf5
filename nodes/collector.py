"""When the garbage collector may look for cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Free nothing but what reference counts free, for work that makes values by the ten thousand and no cycles.

    The values of blocks are tuples and structs of what came before them, so that a search among them finds nothing; at
    one record an envelope it takes a twentieth of the time of a replay. Not for a process that serves requests.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
