"""Offsets by height."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.storage.height_index import HeightIndex


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2**64 - 1))))
def test_the_index_gives_back_what_was_noted_in_that_order(notes: list[tuple[int, int]]) -> None:
    """For every height, whatever the order heights came in, its offsets are those noted, oldest first."""
    index = HeightIndex()
    for height, offset in notes:
        index.add(height, offset)
    assert len(index) == len(notes)
    for height in range(10):
        assert index.offsets(height) == tuple(offset for noted, offset in notes if noted == height)
    assert index.height == max((height for height, _ in notes), default=0)
