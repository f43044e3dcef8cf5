"""What two nodes say to each other about a delivery. Each is one frame; chunks travel between them as frames too.

requester                                provider
Question ──────────────────────────────►
                                      ◄─ Working, Working ...      while the rows are read and sealed
                                      ◄─ Offer                     once the delivery is on the ledger
Get(first) ────────────────────────────►
                                      ◄─ sealed chunks, from `first` to the last, bare
... and the next Question, or the end.   Problem, at any time in the place of an answer
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ledger.crypto.sealing import CHUNKS_MAX
from ledger.encoding import Canonical, Decoder, UInt63
from ledger.errors import LedgerError, NotYetError
from ledger.identifiers import Digest
from ledger.limits import FRAME_BYTES_MAX
from ledger.registers.catalogue import Name
from ledger.registers.sharing.records import Deliver
from ledger.registers.sharing.values import Selection, SharingId

_LEAF_BYTES = 32
_MESSAGE_CHARACTERS = 2_000


class Question(Canonical, tag="exchange-question", kw_only=True):
    """What the requester wants of a grant now. It names persons where a verification does, so it is never logged."""

    size_max: ClassVar[int] = 1 << 20

    grant: SharingId
    table: Annotated[str, Meta(max_length=80)]
    """Id of the table, or empty if the provider has bound only one that holds the data item."""
    fields: Annotated[tuple[Name, ...], Meta(max_length=500)]
    """Some of the granted fields; all of them if there is none."""
    selection: Selection
    """Conditions on granted fields, beside those of the grant."""


class Working(Canonical, tag="exchange-working", kw_only=True):
    """The provider is at it."""

    rows: UInt63
    """Read and sealed so far."""


class Offer(Canonical, tag="exchange-offer", kw_only=True):
    """A delivery that is on the ledger and can be fetched."""

    size_max: ClassVar[int] = FRAME_BYTES_MAX

    delivery: Deliver
    """As the provider has stated it."""
    sealed_keys: Annotated[bytes, Meta(max_length=512)]
    leaves: Annotated[bytes, Meta(min_length=_LEAF_BYTES, max_length=_LEAF_BYTES * CHUNKS_MAX)]
    """The 32-byte leaf hashes of the sealed chunks, one after the other."""

    def leaf_list(self) -> list[Digest]:
        """Return the leaves one by one. What is left over at the end makes a last, shorter one."""
        return [Digest(self.leaves[start : start + _LEAF_BYTES]) for start in range(0, len(self.leaves), _LEAF_BYTES)]


class Get(Canonical, tag="exchange-get", kw_only=True):
    """The chunks of the offer are wanted."""

    first: UInt63
    """The first that is wanted, from 0: what came before a cut is not asked for again."""


class Problem(Canonical, tag="exchange-problem", kw_only=True):
    """Why there is no answer."""

    code: Annotated[str, Meta(max_length=80)]
    message: Annotated[str, Meta(max_length=_MESSAGE_CHARACTERS)]
    retry: bool
    """Whether the same may succeed later."""


def problem_of(error: LedgerError) -> Problem:
    """Return what the other end is told of an error."""
    return Problem(code=error.code, message=str(error)[:_MESSAGE_CHARACTERS], retry=isinstance(error, NotYetError))


questions: Decoder = Decoder(Question)
gets: Decoder = Decoder(Get)
answers: Decoder = Decoder(Working | Offer | Problem)
"""What may come at each place."""
