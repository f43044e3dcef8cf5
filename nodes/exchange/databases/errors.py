"""What can go wrong between a node and its department's database.

No message here holds a value of a row or of a condition, and none is chained to the driver's own error, whose text may
quote one: what is raised here ends up in logs and in problem bodies.
"""

from __future__ import annotations

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, NotYetError


class BindingError(LedgerError):
    """The file that binds a node to its database cannot be used."""

    code = "bad_binding"


class DatabaseUnavailableError(NotYetError):
    """The department's database cannot be reached or read."""

    code = "database_unavailable"


class DatabaseBusyError(NotYetError):
    """Another session of the database holds what this one needs; the same call may succeed a moment later."""

    code = "database_busy"


class QueryFailedError(NotYetError):
    """The database gave up on a query, or holds a value that cannot be delivered."""

    code = "query_failed"


class TableMissingError(NotYetError):
    """The database has no table under the name that the binding gives."""

    code = "table_missing"

    def __init__(self, table: str) -> None:
        super().__init__(f"the database has no table {table!r}: correct the binding, or the database")
        self.table = table


class TableNotBoundError(NotYetError):
    """The binding names no physical table for a table of the catalogue."""

    code = "table_not_bound"

    def __init__(self, table_id: str) -> None:
        super().__init__(f"the binding names no table of the database for {table_id}: add it under [tables]")
        self.table_id = table_id


class FieldNotHeldError(NotFoundError):
    """A table of the catalogue holds an information item in no column, or, for a condition, in more than one."""

    code = "field_not_held"

    def __init__(self, table_id: str, *, columns: int, held: tuple[str, ...]) -> None:
        """Args: `held` are the items that the table does hold. What was asked for is not repeated: it may be anything,
        and this is told to another department."""
        super().__init__(
            f"{columns} columns of {table_id} hold one of the information items asked for; it holds "
            + ", ".join(map(repr, held))
        )
        self.table_id, self.columns, self.held = table_id, columns, held


class NotEnforcedError(NotYetError):
    """The database would let a session for this grant see another part of the table than the grant says."""

    code = "not_enforced"


class ColumnNotGrantedError(InvalidInputError):
    """A query names columns that its grant does not cover."""

    code = "column_not_granted"

    def __init__(self, grant: str, columns: tuple[str, ...]) -> None:
        super().__init__(f"grant {grant} does not cover {', '.join(map(repr, columns))}")
        self.grant, self.columns = grant, columns


class BadConditionError(InvalidInputError):
    """A condition has a value that is none of its column's type."""

    code = "bad_condition"
