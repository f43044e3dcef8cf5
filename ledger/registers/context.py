"""What a rule of a register sees while a block is executed: the state as of now, who speaks, and when."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ledger.encoding import Canonical
from ledger.identifiers import ChainId, CreditCode, Height
from ledger.members.calendar import Calendar
from ledger.members.validators import ValidatorSet

T = TypeVar("T", bound=Canonical)


class Context(Protocol):
    """The one way from a rule to the state. There is no way to delete: nothing on this ledger is deleted."""

    @property
    def height(self) -> Height:
        """Height of the block that is being executed."""

    @property
    def time_ms(self) -> int:
        """The block's time; the only time there is."""

    @property
    def department(self) -> CreditCode:
        """Who signed the envelope; empty while a deadline is acted upon, because nobody speaks then."""

    @property
    def roles(self) -> frozenset[str]:
        """The signing department's roles as of the parent block."""

    @property
    def calendar(self) -> Calendar:
        """Working days, as set at genesis."""

    @property
    def validators(self) -> ValidatorSet:
        """Those who vote on blocks in this epoch; a quorum of their departments decides on the members."""

    @property
    def chain(self) -> ChainId:
        """The network's id."""

    @property
    def network(self) -> str:
        """The network's name, which proofs of possession are bound to."""

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """Return the value under `key`, earlier records of this block included, or None.

        Raises:
            InvariantBrokenError: The value there is of another kind: two registers share a key.
        """

    def put(self, key: bytes, value: Canonical) -> None:
        """Set the value under `key`: seen by all later records, undone if this record is refused."""

    def take_key_check(self) -> bool:
        """Take one of the checks of a new key that the signing department has in this block; False if none is left.

        What was taken stays taken if the record is refused: the work was done.
        """

    def set_deadline(self, due_ms: int, subject: bytes) -> None:
        """Ask for the register's deadline rule to run on `subject` once a block's time is beyond `due_ms`.

        Args:
            subject: The state key of what is due. Its first part names the register whose rule will run.
        """

    def lift_deadline(self, due_ms: int, subject: bytes) -> None:
        """Take back what `set_deadline` asked for with the same arguments, because it was done in time.

        Raises:
            InvariantBrokenError: No such deadline is pending.
        """
