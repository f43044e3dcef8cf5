"""The log in tiles of 256 hashes, and its entries in bundles of 256, as tiled logs are served (C2SP tlog-tiles).

    tile/0/x001/x234/067          leaf hashes 256 * 1234067 and the 255 after it
    tile/1/000.p/5                the roots of the first five full tiles of level 0
    tile/entries/000              the first 256 entries, each behind its length in two bytes

A hash of a tile on level l is the root of a complete subtree of 256^l entries, so it never changes once it is there: a
full tile is the same at every node and for ever, and a partial one is the beginning of it. From tiles anybody computes
the root at any size, every proof, and whether two nodes have one log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ledger.crypto.merkle import LogTree
from ledger.errors import DecodeError, NotFoundError

TILE_WIDTH = 256
"""Hashes in a full tile, entries in a full bundle."""

_TILE_HEIGHT = TILE_WIDTH.bit_length() - 1

_LENGTH_BYTES = 2
"""Before each entry of a bundle; no entry of this log is longer than 65,535 bytes."""

_PATH = re.compile(
    r"(?P<level>[0-9]|[1-5][0-9]|6[0-3]|entries)/(?P<index>(?:x(?!000)[0-9]{3}/(?:x[0-9]{3}/){0,4})?[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Which hashes or entries are asked for."""

    level: int
    """0 are the leaves; each hash of a higher level stands for 256 of the level below."""
    entries: bool
    """Whether the entries themselves are meant; then the level is 0."""
    index: int
    """Of the tile on its level, from 0."""
    width: int
    """1 to 256: how many of the tile's hashes are there."""

    @property
    def start(self) -> int:
        """Number of the tile's first hash on its level; that of its first entry, if entries are meant."""
        return self.index * TILE_WIDTH

    @property
    def path(self) -> str:
        """What follows `tile/` in the path of the resource."""
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"{'entries' if self.entries else self.level}/{'/'.join(groups)}{partial}"

    def check_within(self, size: int) -> None:
        """Check that the log of `size` entries has all of this tile.

        Raises:
            NotFoundError: It has not.
        """
        complete = size >> _TILE_HEIGHT * self.level
        if self.start + self.width > complete:
            raise NotFoundError(f"the log of {size} entries has no tile {self.path}")


def parse_tile_path(text: str) -> Tile:
    """Return the tile that a path names, without `tile/` before it.

    Raises:
        DecodeError: Not the one spelling of a tile's path.
    """
    if not (match := _PATH.fullmatch(text)):
        raise DecodeError(f"not the path of a tile: {text[:100]!r}")
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    if match["width"] is not None and width >= TILE_WIDTH:
        raise DecodeError(f"a partial tile has fewer than {TILE_WIDTH} hashes, not {width}")
    entries = match["level"] == "entries"
    index = int(match["index"].replace("x", "").replace("/", ""))
    return Tile(level=0 if entries else int(match["level"]), entries=entries, index=index, width=width)


def tile_hashes(log: LogTree, tile: Tile) -> bytes:
    """Return the hashes of a tile, one after the other, 32 bytes each. `Tile.check_within` comes first."""
    return log.complete_nodes(_TILE_HEIGHT * tile.level, tile.start, tile.start + tile.width)


def bundle_entries(entries: Iterable[bytes]) -> bytes:
    """Return entries of the log as they stand in a bundle."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)
