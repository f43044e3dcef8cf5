"""Where in the journal the frames of a height stand: 16 bytes a frame, so that a million blocks take 16 MB."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right


class HeightIndex:
    """Offsets by height. One height can have several: a block of another round, results written again after a crash."""

    def __init__(self) -> None:
        self._heights = array("Q")
        self._offsets = array("Q")

    def __len__(self) -> int:
        return len(self._heights)

    def add(self, height: int, offset: int) -> None:
        """Note that a frame of `height` begins at `offset`. Amortised O(1) as long as heights mostly rise."""
        place = bisect_right(self._heights, height)
        self._heights.insert(place, height)
        self._offsets.insert(place, offset)

    @property
    def height(self) -> int:
        """The greatest height noted; 0 without any."""
        return self._heights[-1] if self._heights else 0

    def offsets(self, height: int) -> tuple[int, ...]:
        """Return the offsets noted for `height`, in the order they were noted; empty if there are none."""
        first, last = bisect_left(self._heights, height), bisect_right(self._heights, height)
        return tuple(self._offsets[first:last])
