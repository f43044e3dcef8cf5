"""Which envelopes get into the pool. Cheap questions first, the signature last.

What is refused here never reaches a block by way of this member, and nothing is recorded of it. That is a courtesy to
the sender, not a rule of the ledger: execution alone decides, with the keys as of the parent block (P9a).
"""

from __future__ import annotations

from ledger.blocks.envelope import EnvelopeHeader
from ledger.blocks.refusals import EnvelopeRefusal, RefusalCode
from ledger.errors import InvalidInputError
from ledger.limits import VALID_UNTIL_AHEAD_MAX
from ledger.members.departments import Department, EnvelopeKey, department_key, envelope_key_key, holds_at
from ledger.registers.members.replay import NOTHING_USED, ReplayWindow, is_fresh, replay_window_key
from ledger.state.store import State


class NotAdmittedError(InvalidInputError):
    """An envelope would be refused as a whole; `code` is the label of the refusal code that it would get."""

    def __init__(self, refusal: RefusalCode) -> None:
        super().__init__(refusal.cause)
        self.code = refusal.label
        self.refusal = refusal


def signing_key(header: EnvelopeHeader, state: State) -> bytes:
    """Return the 32-byte public key that the envelope must be signed with to be accepted in the next block.

    Raises:
        NotAdmittedError: The department, its key, the sequence number or the expiry would refuse it there.
    """
    height = state.height + 1
    department = state.get(department_key(header.department), Department)
    if department is None or not holds_at(height, department.valid_from, department.valid_to):
        raise NotAdmittedError(EnvelopeRefusal.UNKNOWN_DEPARTMENT)
    key = state.get(envelope_key_key(header.department, header.key_id), EnvelopeKey)
    if key is None:
        raise NotAdmittedError(EnvelopeRefusal.UNKNOWN_KEY)
    if not holds_at(height, key.valid_from, key.valid_to):
        raise NotAdmittedError(EnvelopeRefusal.REVOKED_KEY)
    if header.valid_until < height:
        raise NotAdmittedError(EnvelopeRefusal.EXPIRED_ENVELOPE)
    if header.valid_until > height + VALID_UNTIL_AHEAD_MAX:
        raise NotAdmittedError(EnvelopeRefusal.VALID_UNTIL_TOO_FAR)
    if not is_unused(header, state):
        raise NotAdmittedError(EnvelopeRefusal.REPLAYED_ENVELOPE)
    return key.public


def is_unused(header: EnvelopeHeader, state: State) -> bool:
    """Return whether the sequence number lies in the key's window and was not used."""
    window = state.get(replay_window_key(header.department, header.key_id), ReplayWindow) or NOTHING_USED
    return is_fresh(window, header.sequence)


def known_key(header: EnvelopeHeader, state: State) -> bytes | None:
    """Return the key's public half if it was ever registered, current or not: key ids are never used again (P9a)."""
    key = state.get(envelope_key_key(header.department, header.key_id), EnvelopeKey)
    return None if key is None else key.public
