"""A million rows, from the database to the output, in memory that a thousand would take as well."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nodes.exchange.databases import Row
from nodes.exchange.requester import Progress
from tests.exchange.departments_database import ITEMS, PERMITS, Department
from tests.exchange.two_departments import TABLE, asking, two_departments

ROWS = 1_000_000
GROWTH_BYTES_MAX = 100 << 20

FILL = f"""INSERT INTO permits
WITH RECURSIVE numbers(n) AS (SELECT 6 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})
SELECT n, 'P-' || n, 'Holder ' || n, 'district', n % 40, '138' || n FROM numbers"""


class Counted:
    """Counts rows and forgets them."""

    def __init__(self) -> None:
        self.rows = 0

    def begin(self, columns: Sequence[str]) -> None:
        """Nothing."""

    def write(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)

    def complete(self) -> str:
        return ""

    def publish(self) -> None:
        """Nothing."""

    def discard(self) -> None:
        """Nothing."""


def resident_bytes() -> int:
    """Return how much memory this process takes now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to see the memory of a process")
def test_a_million_rows_take_no_more_memory_than_a_few(department: Department, tmp_path: Path) -> None:
    """Provider and requester together, in one process, grow by less than what the provider alone may."""
    department.run(FILL)
    two = two_departments(department.database, department.table, ITEMS, tmp_path, subjects={TABLE: "name"})
    two.grant(volume_max=10 * ROWS)
    two.requester.fetch(asking(floors=("12",)), tmp_path / "few.jsonl")
    gc.collect()
    before, peak, stages = resident_bytes(), 0, set()

    def watch(progress: Progress) -> None:
        nonlocal peak
        peak = max(peak, resident_bytes())
        stages.add(progress.stage)

    counted = Counted()
    fetched = two.requester.fetch(asking(), tmp_path / "all", watch, output=counted)
    two.close()
    assert counted.rows == fetched.rows == ROWS >= len(PERMITS)
    assert {"reading", "fetching", "writing"} <= stages
    assert peak - before < GROWTH_BYTES_MAX
