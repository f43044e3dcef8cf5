"""How long each step of sharing may take. The directory authority may set other figures; until then these hold."""

from __future__ import annotations

from ledger.encoding import Canonical, UInt63
from ledger.registers.context import Context
from ledger.registers.sharing.permissions import require_authority
from ledger.registers.sharing.records import SetTerms
from ledger.registers.sharing.values import IdleDays, Months, WorkingDays


class Terms(Canonical, tag="sharing/terms", kw_only=True):
    """Working days within which each step is due, and what limits a grant."""

    answer_working_days: WorkingDays
    """For the owner to answer a request for a conditional data item."""
    authority_working_days: WorkingDays
    """For the directory authority to decide, and for whoever is late with anything before it counts again."""
    delivery_working_days: WorkingDays
    """From a grant to the first delivery."""
    acknowledge_working_days: WorkingDays
    """For the requester to acknowledge or reject a delivery."""
    correction_working_days: WorkingDays
    """For the owner to answer an objection."""
    idle_days: IdleDays
    """Calendar days without a request or a delivery after which a data item is idle."""
    grant_months_max: Months
    """Months from a request, or an answer to it, to the last day of a grant."""
    set_height: UInt63
    """Height at which the directory authority has set them; 0 for those of the beginning."""


DEFAULT_TERMS = Terms(
    # State Council 国发〔2016〕51号 and the interim rules of Beijing: an answer within ten working days. The draft of
    # Regulation 809 is recalled to say the same, twenty for the data, ten for a correction.
    answer_working_days=10,
    delivery_working_days=20,
    correction_working_days=10,
    # No rule states these four: half of an owner's time for who decides and for who has only to check; half a year
    # without use; a year, so that each purpose is looked at once a year.
    authority_working_days=5,
    acknowledge_working_days=5,
    idle_days=180,
    grant_months_max=12,
    set_height=0,
)
"""What holds while the state has no terms."""

TERMS_KEY = b"sharing/terms"


def terms_of(context: Context) -> Terms:
    """Return the terms that hold now."""
    return context.get(TERMS_KEY, Terms) or DEFAULT_TERMS


def set_terms(record: SetTerms, context: Context) -> None:
    """Set all figures; deadlines that run keep theirs."""
    require_authority(SetTerms, context)
    context.put(
        TERMS_KEY,
        Terms(
            answer_working_days=record.answer_working_days,
            authority_working_days=record.authority_working_days,
            delivery_working_days=record.delivery_working_days,
            acknowledge_working_days=record.acknowledge_working_days,
            correction_working_days=record.correction_working_days,
            idle_days=record.idle_days,
            grant_months_max=record.grant_months_max,
            set_height=int(context.height),
        ),
    )
