"""Why a record was refused: a documented code, what causes it, and what to do next.

A code is one byte in the log and never changes its meaning. Each register numbers its own codes in a range of its own
(`ledger.registers`); the codes of whole envelopes and of any record are here.
"""

from __future__ import annotations

from enum import Enum

ACCEPTED = 0
"""The one code that is not a refusal."""


class RefusalCode(Enum):
    """Base of all enums of codes; a member's value is `(number, cause, next step)`."""

    def __init__(self, number: int, cause: str, next_step: str) -> None:
        self.number = number
        """1 to 255, unique over all registers."""
        self.cause = cause
        self.next_step = next_step

    @property
    def label(self) -> str:
        """The stable name used in reports, problem bodies and documents, for example `replayed_envelope`."""
        return self.name.lower()


class Refused(Exception):
    """A rule of a register says no. Not an error of the ledger: it becomes the record's result."""

    def __init__(self, code: RefusalCode) -> None:
        super().__init__(code.label)
        self.code = code


class EnvelopeRefusal(RefusalCode):
    """Codes 1 to 15: the whole envelope fails, and all its records get the code."""

    UNKNOWN_DEPARTMENT = (
        1,
        "the signing department is not a member, or has ended",
        "let its successor speak, or ask the registrar to propose it as a newcomer",
    )
    UNKNOWN_KEY = (
        2,
        "the department has no envelope key with this number",
        "register the key, or use a registered one",
    )
    REVOKED_KEY = (3, "the key was revoked before this block", "sign with a current key")
    BAD_SIGNATURE = (4, "the signature does not verify under the registered key", "sign the header again")
    REPLAYED_ENVELOPE = (5, "the sequence number was used before or is outside the key's window", "use the next number")
    EXPIRED_ENVELOPE = (6, "the block's height is beyond the envelope's valid-until", "sign again with a later height")
    VALID_UNTIL_TOO_FAR = (7, "valid-until is more than 10,000 blocks ahead", "sign again with a nearer height")
    WRONG_CHAIN = (8, "the envelope was signed for another network", "sign for this network's chain id")


class RecordRefusal(RefusalCode):
    """Codes 16 to 31: any record, whatever its register."""

    MALFORMED_RECORD = (16, "the record is not the canonical form of any known kind", "encode it as documented")
    NOT_AUTHORISED = (17, "the department does not hold the role that this record needs", "ask a department that does")
