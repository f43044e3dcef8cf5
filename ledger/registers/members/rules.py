"""How a department adds and revokes the keys it signs envelopes with."""

from __future__ import annotations

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.errors import InvariantBrokenError
from ledger.limits import ENVELOPE_KEYS_MAX
from ledger.members.departments import (
    Department,
    EnvelopeKey,
    KeyOwner,
    department_key,
    envelope_key_key,
    key_owner_key,
)
from ledger.registers.context import Context
from ledger.registers.members.keys import require_proven, require_unused
from ledger.registers.members.records import AddEnvelopeKey, RevokeEnvelopeKey
from ledger.registers.members.refusals import MembersRefusal


def add_envelope_key(record: AddEnvelopeKey, context: Context) -> None:
    """Register a further key of the signing department, valid from the next block on."""
    key_key = envelope_key_key(context.department, record.key_id)
    if context.get(key_key, EnvelopeKey) is not None:
        raise Refused(MembersRefusal.KEY_NUMBER_USED)
    public, purpose = record.key.public, f"envelope/{record.key_id}"
    require_unused(record.key, context)
    department = _signing_department(context)
    if len(department.current_keys) >= ENVELOPE_KEYS_MAX:
        raise Refused(MembersRefusal.TOO_MANY_KEYS)
    require_proven(record.key, department=context.department, purpose=purpose, context=context)
    current_keys = tuple(sorted((*department.current_keys, record.key_id)))
    context.put(department_key(context.department), replace(department, current_keys=current_keys))
    context.put(key_owner_key(public), KeyOwner(department=context.department, purpose=purpose))
    context.put(
        key_key,
        EnvelopeKey(
            department=context.department,
            key_id=record.key_id,
            public=public,
            valid_from=context.height + 1,
            valid_to=None,
            revocation_reason="",
        ),
    )


def revoke_envelope_key(record: RevokeEnvelopeKey, context: Context) -> None:
    """End one of the signing department's keys with this block."""
    key_key = envelope_key_key(context.department, record.key_id)
    key = context.get(key_key, EnvelopeKey)
    if key is None:
        raise Refused(MembersRefusal.UNKNOWN_ENVELOPE_KEY)
    if key.valid_to is not None:
        raise Refused(MembersRefusal.KEY_REVOKED_BEFORE)
    department = _signing_department(context)
    current_keys = tuple(number for number in department.current_keys if number != record.key_id)
    if not current_keys:
        raise Refused(MembersRefusal.LAST_KEY)
    context.put(department_key(context.department), replace(department, current_keys=current_keys))
    context.put(key_key, replace(key, valid_to=int(context.height), revocation_reason=record.reason))


def _signing_department(context: Context) -> Department:
    department = context.get(department_key(context.department), Department)
    if department is None:
        raise InvariantBrokenError(f"{context.department} signs without being a member")
    return department
