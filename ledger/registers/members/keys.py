"""What a key must fulfil before it becomes a member's."""

from __future__ import annotations

from ledger.blocks.genesis import ProvenKey, possession_bytes
from ledger.blocks.refusals import Refused
from ledger.crypto.signatures import check_key_hygiene, verify_strict
from ledger.errors import KeyHygieneError, SignatureError
from ledger.members.departments import KeyOwner, key_owner_key
from ledger.registers.context import Context
from ledger.registers.members.refusals import MembersRefusal


def require_unused(key: ProvenKey, context: Context) -> None:
    """Check that nobody has registered the public key for anything.

    Raises:
        Refused: PUBLIC_KEY_USED.
    """
    if context.get(key_owner_key(key.public), KeyOwner) is not None:
        raise Refused(MembersRefusal.PUBLIC_KEY_USED)


def require_proven(key: ProvenKey, *, department: str, purpose: str, context: Context) -> None:
    """Check that `department` holds the private half, and that the public one is safe to register.

    Raises:
        Refused: TOO_MANY_KEY_CHECKS, NO_POSSESSION, UNSAFE_KEY, in this order.
    """
    if not context.take_key_check():
        raise Refused(MembersRefusal.TOO_MANY_KEY_CHECKS)
    # Plain OpenSSL and not ZIP-215: what a generator of keys signs passes both, and a refusal stays cheap. It goes
    # before the check of the key, which can cost milliseconds, so that only who holds a key can cause that cost.
    try:
        verify_strict(
            key.public,
            possession_bytes(context.network, department, purpose, key.public),
            key.possession,
        )
    except SignatureError:
        raise Refused(MembersRefusal.NO_POSSESSION) from None
    try:
        check_key_hygiene(key.public)
    except KeyHygieneError:
        raise Refused(MembersRefusal.UNSAFE_KEY) from None
