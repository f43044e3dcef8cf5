"""The register of members: departments, the keys they sign with, and how a quorum reorganises them.

Invariants:
- A key number of a department is used once, and so is a public key over the whole network, whatever becomes of it.
- A department that is a member has at least one current envelope key, so that it can always speak for itself.
- A key signs from the block after the one that registers it, to the block that revokes it, that block included.
- No sequence number of a key is used twice.
- Departments are renamed, merged and split as a plan says that the registrar proposed and a quorum of the departments
  with a vote approved; nothing else changes a name, a role, an end or the department of a responsibility.
- A reorganisation is carried out once and whole. None is removed by it: a department that ends keeps its value, its
  keys stay readable, and predecessors and successors point to each other.
- What a record costs is bounded by the plan's length: data items, tables and types follow their responsibility.

Members are those of genesis and the newcomers of reorganisations. Validators are those of genesis: who has a vote
changes with the epoch, not with a reorganisation.
"""

from __future__ import annotations

from ledger.members.departments import Department, EnvelopeKey, KeyOwner
from ledger.registers.members.founding import found
from ledger.registers.members.records import (
    AddEnvelopeKey,
    ApproveReorganisation,
    CarryOutReorganisation,
    ProposeReorganisation,
    RevokeEnvelopeKey,
    WithdrawReorganisation,
)
from ledger.registers.members.refusals import MembersRefusal
from ledger.registers.members.reorganising import (
    approve_reorganisation,
    carry_out_reorganisation,
    propose_reorganisation,
    withdraw_reorganisation,
)
from ledger.registers.members.replay import ReplayWindow
from ledger.registers.members.rules import add_envelope_key, revoke_envelope_key
from ledger.registers.members.values import Reorganisation, Succession
from ledger.registers.register import Register

REGISTER = Register(
    name="members",
    description="departments, their keys and which sequence numbers those have used, and reorganisations",
    rules={
        AddEnvelopeKey: add_envelope_key,
        RevokeEnvelopeKey: revoke_envelope_key,
        ProposeReorganisation: propose_reorganisation,
        ApproveReorganisation: approve_reorganisation,
        WithdrawReorganisation: withdraw_reorganisation,
        CarryOutReorganisation: carry_out_reorganisation,
    },
    values=(Department, EnvelopeKey, KeyOwner, ReplayWindow, Reorganisation, Succession),
    codes=MembersRefusal,
    found=found,
)
