"""A department's database with one table of permits, in whichever product, for tests of what reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ledger.registers.catalogue import Table, schema_hash
from nodes.exchange.databases import (
    Condition,
    Database,
    GrantedAccess,
    GrantedQuery,
    Row,
    columns_with_items,
    granted_access,
)

ITEMS = {"permit_no": "permit number", "holder": "name", "district": "district", "floors": "floors", "phone": "phone"}
"""Column to information item; the key `id` holds none."""

CREATE = """CREATE TABLE permits (
    id INTEGER PRIMARY KEY, permit_no VARCHAR(20), holder VARCHAR(100), district VARCHAR(20), floors INTEGER, phone TEXT
)"""

PERMITS = [
    (1, "P-001", "王芳", "海淀", 6, "13800000001"),
    (2, "P-002", "李伟", "朝阳", 12, "13800000002"),
    (3, "P-003", "张敏", "海淀", 3, "13800000003"),
    (4, "P-004", "刘洋", "西城", None, None),
    (5, "P-005", "O'Neil; --", "海淀", 6, "13800000005"),
]


@dataclass(frozen=True)
class Department:
    """One department's database, seen by its owner and by the exchange."""

    database: Database
    run: Callable[[str], object]
    """Execute a statement as the owner."""
    fill: Callable[[str, Iterable[Row]], object]
    """Put rows into a table as the owner."""
    table: str = "permits"

    def entry(self) -> Table:
        """Return the catalogue's entry of the table, published from what is there now."""
        columns = columns_with_items(self.database.describe(self.table), ITEMS)
        return Table(
            id="AY-01-D1-T1",
            owner="11110000000021003G",
            data_item="AY-01-D1",
            system=None,
            name=self.table,
            columns=columns,
            schema=schema_hash(columns),
            revision=1,
            published_height=1,
            withdrawn_height=0,
        )

    def access(self, *fields: str, grant: str = "R-1", **conditions: tuple[str, ...]) -> GrantedAccess:
        """Return a grant of `fields`, enforced, with conditions by information item."""
        access = granted_access(self.entry(), self.table, grant=grant, fields=fields, conditions=conditions.items())
        self.database.enforce(access)
        return access

    def read(self, access: GrantedAccess, *columns: str, **selection: tuple[str, ...]) -> list[Row]:
        """Return all rows of a query within a grant, its selection by column."""
        query = GrantedQuery(
            access=access,
            columns=columns or access.columns,
            selection=tuple(Condition(column, values) for column, values in selection.items()),
        )
        return [row for batch in self.database.stream(query) for row in batch]
