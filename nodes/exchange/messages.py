"""What two nodes say to each other about a delivery. Each is one frame; chunks travel between them as frames too.

requester                                provider
                                      ◄─ Greeting                  once, with a key made for this connection
SealedQuestion ────────────────────────►
                                      ◄─ Working, Working ...      while the rows are read and sealed
                                      ◄─ Offer                     once the delivery is on the ledger
Get(first) ────────────────────────────►
                                      ◄─ sealed chunks, from `first` to the last, bare
... and the next question, or the end.   Problem, at any time in the place of an answer

TLS keeps all of this from strangers. The question is sealed once more, so that whoever it is about stands in no frame
and no buffer of the connection either; and no problem repeats what was asked.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Meta

from ledger.crypto.sealing import CHUNKS_MAX, SUITE
from ledger.encoding import Canonical, Decoder, Key32, UInt63, decode
from ledger.errors import DecodeError, InvalidInputError, LedgerError, NotYetError
from ledger.identifiers import Digest
from ledger.limits import FRAME_BYTES_MAX
from ledger.registers.catalogue import Name
from ledger.registers.sharing.records import Deliver
from ledger.registers.sharing.values import Selection, SharingId

_LEAF_BYTES = 32
_MESSAGE_CHARACTERS = 2_000


_QUESTION_BYTES = 1 << 20
_QUESTION_INFO = b"mulu-exchange/1 question"


class Greeting(Canonical, tag="exchange-greeting", kw_only=True):
    """The provider is there."""

    question_key: Key32
    """X25519, for the questions of this connection alone; its private half never leaves memory."""


class Question(Canonical, tag="exchange-question", kw_only=True):
    """What the requester wants of a grant now. It names persons where a verification does, so it is never logged."""

    size_max: ClassVar[int] = _QUESTION_BYTES

    grant: SharingId
    table: Annotated[str, Meta(max_length=80)]
    """Id of the table, or empty if the provider has bound only one that holds the data item."""
    fields: Annotated[tuple[Name, ...], Meta(max_length=500)]
    """Some of the granted fields; all of them if there is none."""
    selection: Selection
    """Conditions on granted fields, beside those of the grant."""


class SealedQuestion(Canonical, tag="exchange-sealed-question", kw_only=True):
    """A question that only the provider reads, by HPKE in base mode to the key of its greeting."""

    size_max: ClassVar[int] = _QUESTION_BYTES + 1_024

    sealed: bytes

    @classmethod
    def of(cls, question: Question, greeting: Greeting) -> SealedQuestion:
        """Seal a question. Who asks, and whom, is known from the connection.

        Raises:
            ValueError: The key of the greeting is of small order.
        """
        public = X25519PublicKey.from_public_bytes(greeting.question_key)
        return cls(sealed=SUITE.encrypt(question.encode(), public, info=_QUESTION_INFO))

    def open(self, private: X25519PrivateKey) -> Question:
        """Return the question.

        Raises:
            UnreadableQuestionError: It was sealed to another key, or what was sealed is none.
        """
        try:
            return decode(Question, SUITE.decrypt(self.sealed, private, info=_QUESTION_INFO))
        except (InvalidTag, ValueError, DecodeError):
            # What was sealed is not spoken of, not even where it is wrong.
            raise UnreadableQuestionError("the question cannot be opened, or is not of its form") from None


class UnreadableQuestionError(InvalidInputError):
    """What came is no question for this connection."""

    code = "unreadable_question"


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

    code: Annotated[str, Meta(max_length=80, pattern=r"\A[a-z0-9_]+\Z")]
    message: Annotated[str, Meta(max_length=_MESSAGE_CHARACTERS)]
    retry: bool
    """Whether the same may succeed later."""


def problem_of(error: LedgerError) -> Problem:
    """Return what the other end is told of an error."""
    return Problem(code=error.code, message=str(error)[:_MESSAGE_CHARACTERS], retry=isinstance(error, NotYetError))


greetings: Decoder = Decoder(Greeting)
sealed_questions: Decoder = Decoder(SealedQuestion)
gets: Decoder = Decoder(Get)
answers: Decoder = Decoder(Working | Offer | Problem)
"""What may come at each place."""
