"""How much of a file system is free, and when that is too little to go on promising what must be written (S4)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

FREE_FRACTION_MIN = 0.05
"""Below this share of the file system a disk counts as nearly full."""

FREE_BYTES_ENOUGH = 2 << 30
"""More than this is enough on any disk: room for 30 segments of the journal, which is hours of a busy city to act in.
The share alone would silence nodes on large disks with hundreds of gigabytes to spare."""


class DiskSpace(NamedTuple):
    """Of one file system, in bytes."""

    size_bytes: int
    free_bytes: int
    """For this process: what is kept for the superuser is not counted."""

    @property
    def nearly_full(self) -> bool:
        """Whether a node with its journal here must stop signing until there is more room."""
        return self.free_bytes < reserve_bytes(self.size_bytes)

    def __str__(self) -> str:
        return f"{self.free_bytes >> 20:,} of {self.size_bytes >> 20:,} MiB are free"


def space_at(path: Path) -> DiskSpace:
    """Return the space of the file system that holds `path`.

    Raises:
        OSError: It does not tell.
    """
    usage = os.statvfs(path)
    return DiskSpace(usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize)


def reserve_bytes(size_bytes: int) -> int:
    """Return what must stay free on a file system of this size."""
    return min(int(size_bytes * FREE_FRACTION_MIN), FREE_BYTES_ENOUGH)
