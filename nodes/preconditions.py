"""What so many nodes on one machine need of it: the launcher insists on it, `mulu doctor` says it beforehand."""

from __future__ import annotations

from typing import NamedTuple

from nodes.disk_space import DiskSpace, reserve_bytes

SEGMENT_BYTES = 4 << 20
"""Journal segments of a simulation: 53 nodes share one disk, and a run writes a few megabytes each."""
BALLAST_BYTES = 1 << 20

NODE_MEMORY_BYTES = 90 << 20
"""What one node takes beyond the shared imports, measured at 53 nodes, with a margin."""

NODE_OTHER_DISK_BYTES = 8 << 20
"""Beside the journal: the query index, keys, log."""


class Needs(NamedTuple):
    """What must be there before nodes are started."""

    open_files: int
    """In each process, the launcher's included: connections of all peers, listeners, files."""
    disk_bytes: int
    memory_bytes: int


def needs_of(nodes: int, disk: DiskSpace) -> Needs:
    """Return what `nodes` nodes need. What they write must not leave `disk` nearly full, or they would not sign."""
    return Needs(
        open_files=2 * nodes + 128,
        disk_bytes=nodes * (2 * SEGMENT_BYTES + BALLAST_BYTES + NODE_OTHER_DISK_BYTES) + reserve_bytes(disk.size_bytes),
        memory_bytes=nodes * NODE_MEMORY_BYTES,
    )
