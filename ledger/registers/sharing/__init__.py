"""The register of sharing: who asked for which data and why, what was granted and delivered, and who was late.

    request  ->  grant  ->  delivery  ->  acknowledgement
       |
    refusal  ->  dispute

Invariants:
- A grant comes of a request of the same id, and has no field, row or day that was not asked for.
- A delivery is made by the owner of the data item under a grant that is live and not expired, of a data item that
  counts and is still shared, from a table of it whose schema is the published one. One delivery of a grant is open at a
  time, and none is passed on: who is not the owner delivers nothing.
- The rows of a grant's acknowledged deliveries are together what is used of it; with those of its open delivery they
  are never more than it allows.
- Who asked is answered or can see who is late: a duty that is not done by its deadline is a breach, recorded by the
  first block whose time is later, at most three times, and cured when it is done after all.
- The directory authority decides upon what is not shared, escalated or disputed, never upon its own request; its
  decision is final.
- Data, and what tells persons apart, are never here: commitments, digests and numbers of rows are.
"""

from __future__ import annotations

from ledger.registers.register import Register
from ledger.registers.sharing.deliveries import acknowledge, deliver, reject_delivery, report_drift
from ledger.registers.sharing.duties import Breach, pass_deadline
from ledger.registers.sharing.figures import ItemUse, Score
from ledger.registers.sharing.grants import revoke_grant
from ledger.registers.sharing.objections import answer_objection, dispute_rejection, raise_objection
from ledger.registers.sharing.records import (
    Acknowledge,
    AnswerObjection,
    Deliver,
    DisputeRefusal,
    DisputeRejection,
    GrantRequest,
    RaiseObjection,
    RefuseRequest,
    RejectDelivery,
    ReportDrift,
    RequestSharing,
    RevokeGrant,
    SetTerms,
    WithdrawRequest,
)
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.requests import (
    dispute_refusal,
    grant_request,
    refuse_request,
    request_sharing,
    withdraw_request,
)
from ledger.registers.sharing.terms import Terms, set_terms
from ledger.registers.sharing.values import Delivery, Drift, Grant, Objection, Request

REGISTER = Register(
    name="sharing",
    description="who asked for which data and why, what was granted and delivered, and who was late",
    rules={
        RequestSharing: request_sharing,
        GrantRequest: grant_request,
        RefuseRequest: refuse_request,
        WithdrawRequest: withdraw_request,
        DisputeRefusal: dispute_refusal,
        RevokeGrant: revoke_grant,
        Deliver: deliver,
        Acknowledge: acknowledge,
        RejectDelivery: reject_delivery,
        RaiseObjection: raise_objection,
        AnswerObjection: answer_objection,
        DisputeRejection: dispute_rejection,
        ReportDrift: report_drift,
        SetTerms: set_terms,
    },
    values=(Request, Grant, Delivery, Objection, Drift, Breach, ItemUse, Score, Terms),
    codes=SharingRefusal,
    deadline_rule=pass_deadline,
)
