"""The state while a block is executed: what its records put, over the state of the parent block."""

from __future__ import annotations

from typing import Literal, TypeVar

from msgspec.structs import replace

from ledger.encoding import Canonical
from ledger.errors import InvariantBrokenError
from ledger.identifiers import CreditCode, Height
from ledger.limits import KEY_CHECKS_PER_BLOCK_MAX
from ledger.registers.deadlines import Deadline, deadline_key
from ledger.state.store import State

T = TypeVar("T", bound=Canonical)

NOBODY = CreditCode("")
"""Who speaks while a deadline is acted upon."""


class Overlay:
    """Implements `ledger.registers.context.Context`: reads see the block's own changes first, and nobody else does.

    What the current record puts is noted together with what was there, because most records are accepted, and the few
    that are refused can take it back.
    """

    __slots__ = (
        "_deadlines",
        "_key_checks",
        "_record_deadlines",
        "_replaced",
        "_values",
        "calendar",
        "chain",
        "changes",
        "department",
        "height",
        "network",
        "roles",
        "time_ms",
        "validators",
    )

    def __init__(self, state: State, *, height: Height, time_ms: int) -> None:
        self.height, self.time_ms = height, time_ms
        self.chain, self.network, self.calendar = state.chain, state.network, state.calendar
        self.validators = state.validators
        self.department = NOBODY
        self.roles: frozenset[str] = frozenset()
        self._values = state.values
        self.changes: dict[bytes, Canonical] = {}
        """All that was put and kept, by state key, in the order of the first change."""
        self._replaced: dict[bytes, Canonical | None] = {}
        """Keys that the current record has put, with what stood there in `changes` before it."""
        self._key_checks: dict[CreditCode, int] = {}
        """How many each department has taken."""
        self._deadlines: dict[bytes, Deadline] = {}
        self._record_deadlines: dict[bytes, Deadline] = {}

    def get(self, key: bytes, kind: type[T]) -> T | None:
        # A struct is never false, so that `or` passes only over what is missing.
        value = self.changes.get(key) or self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, kind):
            raise InvariantBrokenError(f"state key {key!r} holds a {type(value).__name__}, not a {kind.__name__}")
        return value

    def put(self, key: bytes, value: Canonical) -> None:
        changes = self.changes
        if key not in self._replaced:
            self._replaced[key] = changes.get(key)
        changes[key] = value

    def take_key_check(self) -> bool:
        taken = self._key_checks.get(self.department, 0)
        if taken == KEY_CHECKS_PER_BLOCK_MAX:
            return False
        self._key_checks[self.department] = taken + 1
        return True

    def set_deadline(self, due_ms: int, subject: bytes) -> None:
        deadline = Deadline(
            due_ms=due_ms, subject=subject, status="pending", set_height=int(self.height), settled_height=0
        )
        self._put_deadline(deadline)

    def lift_deadline(self, due_ms: int, subject: bytes) -> None:
        if not self._settle_deadline(due_ms, subject, "lifted"):
            raise InvariantBrokenError(f"no deadline at {due_ms} is pending for {subject!r}")

    def pass_deadline(self, due_ms: int, subject: bytes) -> bool:
        """Take note that a deadline passed; return False if an earlier one of this block has lifted it."""
        return self._settle_deadline(due_ms, subject, "passed")

    def accept_record(self) -> tuple[bytes, ...]:
        """Keep what the current record put; return its keys, in the order of their first change."""
        touched = tuple(self._replaced)
        self._replaced.clear()
        if self._record_deadlines:
            self._deadlines.update(self._record_deadlines)
            self._record_deadlines.clear()
        return touched

    def refuse_record(self) -> None:
        """Undo what the current record put."""
        for key, before in self._replaced.items():
            if before is None:
                del self.changes[key]
            else:
                self.changes[key] = before
        self._replaced.clear()
        self._record_deadlines.clear()

    def deadlines(self) -> tuple[Deadline, ...]:
        """Return the newest value of each deadline that was set or settled."""
        return tuple(self._deadlines.values())

    def _settle_deadline(self, due_ms: int, subject: bytes, status: Literal["passed", "lifted"]) -> bool:
        deadline = self.get(deadline_key(due_ms, subject), Deadline)
        if deadline is None or deadline.status != "pending":
            return False
        self._put_deadline(replace(deadline, status=status, settled_height=int(self.height)))
        return True

    def _put_deadline(self, deadline: Deadline) -> None:
        key = deadline_key(deadline.due_ms, deadline.subject)
        self._record_deadlines[key] = deadline
        self.put(key, deadline)
