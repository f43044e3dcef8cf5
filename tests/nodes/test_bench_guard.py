"""The guard against becoming slower: what it lets pass, and what it stops."""

from __future__ import annotations

import pytest

from benchmarks.guard import fallen


@pytest.mark.parametrize(
    ("task", "ratio", "is_stopped"),
    [("batch", 86, False), ("batch", 84, True), ("k=1", 76, False), ("k=1", 74, True), ("refuse", 120, False)],
)
def test_native_tasks_may_lose_less_than_those_with_python(task: str, ratio: float, is_stopped: bool) -> None:
    """15 % of native speed, 25 % where Python has a part; more is always welcome."""
    assert (task in fallen({task: ratio}, {task: 100.0})) is is_stopped


def test_a_task_that_is_gone_is_stopped() -> None:
    """A machine that lost its native core is slower, and not merely without a figure."""
    assert fallen({}, {"batch": 80.0}) == {"batch": 0.0}
