"""The register of members: departments, the keys they sign with, and which sequence numbers those keys have used.

Invariants:
- A key number of a department is used once, and so is a public key over the whole network, whatever becomes of it.
- A department that is a member has at least one current envelope key, so that it can always speak for itself.
- A key signs from the block after the one that registers it, to the block that revokes it, that block included.
- No sequence number of a key is used twice.

Members are those of genesis. Admission and reorganisations (merge, split, rename) are decided by a quorum of
departments and will be records of this register: a department already has the heights between which it is a member,
its predecessors and its successors.
"""

from __future__ import annotations

from ledger.members.departments import Department, EnvelopeKey, KeyOwner
from ledger.registers.members.founding import found
from ledger.registers.members.records import AddEnvelopeKey, RevokeEnvelopeKey
from ledger.registers.members.refusals import MembersRefusal
from ledger.registers.members.replay import ReplayWindow
from ledger.registers.members.rules import add_envelope_key, revoke_envelope_key
from ledger.registers.register import Register

REGISTER = Register(
    name="members",
    description="departments, the keys they sign with, and which sequence numbers those keys have used",
    rules={
        AddEnvelopeKey: add_envelope_key,
        RevokeEnvelopeKey: revoke_envelope_key,
    },
    values=(Department, EnvelopeKey, KeyOwner, ReplayWindow),
    codes=MembersRefusal,
    found=found,
)
