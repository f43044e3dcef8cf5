"""What can go wrong, sorted by whose fault it is."""

from __future__ import annotations


class LedgerError(Exception):
    """What this ledger raises on purpose. `code` is stable and appears in logs, problem bodies and exit messages."""

    code = "ledger_error"


class InvalidInputError(LedgerError):
    """The sender is wrong: drop the input, count it, tell the sender (HTTP 422)."""

    code = "invalid_input"


class DecodeError(InvalidInputError):
    """The bytes are not the one byte form of the value asked for."""

    code = "not_canonical"


class OversizeError(DecodeError):
    """The bytes are longer than the bound for their kind."""

    code = "oversize"

    def __init__(self, what: str, *, size: int, size_max: int) -> None:
        super().__init__(f"{what} has {size} bytes; at most {size_max} are allowed")
        self.size, self.size_max = size, size_max


class SignatureError(InvalidInputError):
    """A signature does not verify under the key it names."""

    code = "bad_signature"


class KeyHygieneError(InvalidInputError):
    """A public key must not be registered: not canonical, of small order, or not in the prime-order group."""

    code = "unsafe_key"


class ProofError(InvalidInputError):
    """A proof has the wrong shape or leads to another root."""

    code = "bad_proof"


class CheckCharacterError(InvalidInputError):
    """An identifier ends in the wrong check character, or its shape is so wrong that it can have none."""

    code = "bad_check_character"

    def __init__(self, what: str, *, expected: str, got: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what, self.expected, self.got = what, expected, got


class NotYetError(LedgerError):
    """Nobody is wrong: a block is missing, a queue is full; try again later (HTTP 503)."""

    code = "not_yet"


class NotFoundError(LedgerError):
    """What was asked for is not on this ledger (HTTP 404, exit code 5)."""

    code = "not_found"


class StorageFailedError(LedgerError):
    """The disk refused a write or a sync, or holds what it must not: the process stops and does not try again."""

    code = "storage_failed"


class InvariantBrokenError(BaseException):
    """We are wrong: sign nothing more and stop the node. Not an `Exception`, so that no handler swallows it."""

    code = "invariant_broken"
