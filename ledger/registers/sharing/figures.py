"""What is counted of sharing: the use of each data item, and what each department did and failed to do.

Counts only grow, up to the largest number that has a byte form; what is open is the difference of two.
"""

from __future__ import annotations

from msgspec.structs import replace

from ledger.encoding import Canonical, ShortText, UInt63
from ledger.members.departments import DIRECTORY_AUTHORITY
from ledger.registers.catalogue import DirectoryId
from ledger.registers.context import Context

THE_AUTHORITY = DIRECTORY_AUTHORITY
"""Stands for whoever has this role where a duty is the role's, not one department's."""


class ItemUse(Canonical, tag="sharing/use", kw_only=True):
    """How often a data item was asked for, granted and delivered."""

    data_item: DirectoryId
    requests: UInt63
    grants: UInt63
    deliveries: UInt63
    rows: UInt63
    """Of acknowledged deliveries."""
    last_used_ms: UInt63
    """Time of the last of any of these."""


class Score(Canonical, tag="sharing/score", kw_only=True):
    """What a department did and failed to do, as provider and as requester."""

    holder: ShortText
    """Credit code of the department, or `THE_AUTHORITY`."""
    requests_sent: UInt63
    requests_received: UInt63
    answered_at_once: UInt63
    """Requests for unconditional data items, which need no answer."""
    answered_in_time: UInt63
    answered_late: UInt63
    refused: UInt63
    """Among those answered."""
    corrections_in_time: UInt63
    corrections_late: UInt63
    """Objections answered, whatever the outcome."""
    rows_served: UInt63
    rows_obtained: UInt63
    """Of acknowledged deliveries."""
    deliveries_rejected: UInt63
    """Of its own as a provider."""
    breaches: UInt63
    breaches_cured: UInt63
    """Those after which it was done nevertheless, or was not wanted any more."""


UINT63_MAX = (1 << 63) - 1
"""At which a count stays. Ten million deliveries of as many rows as one may have come to it, and no block may fail."""

USES = b"sharing/use/"
SCORES = b"sharing/score/"


def use_key(data_item: str) -> bytes:
    """Return the state key of a data item's use."""
    return USES + data_item.encode()


def score_key(holder: str) -> bytes:
    """Return the state key of a department's score."""
    return SCORES + holder.encode()


def count_use(data_item: str, context: Context, **more: int) -> None:
    """Add to the counts of a data item's use, by their names."""
    key = use_key(data_item)
    use = context.get(key, ItemUse) or _unused(data_item)
    context.put(key, replace(use, **_sums(use, more), last_used_ms=context.time_ms))


def count_score(holder: str, context: Context, **more: int) -> None:
    """Add to the counts of a department's score, by their names."""
    key = score_key(holder)
    score = context.get(key, Score) or no_score(holder)
    context.put(key, replace(score, **_sums(score, more)))


def no_score(holder: str) -> Score:
    """Return the score of a department of which nothing was counted yet."""
    return Score(
        holder=holder,
        requests_sent=0,
        requests_received=0,
        answered_at_once=0,
        answered_in_time=0,
        answered_late=0,
        refused=0,
        corrections_in_time=0,
        corrections_late=0,
        rows_served=0,
        rows_obtained=0,
        deliveries_rejected=0,
        breaches=0,
        breaches_cured=0,
    )


def _unused(data_item: str) -> ItemUse:
    return ItemUse(data_item=data_item, requests=0, grants=0, deliveries=0, rows=0, last_used_ms=0)


def _sums(value: Canonical, more: dict[str, int]) -> dict[str, int]:
    return {name: min(getattr(value, name) + count, UINT63_MAX) for name, count in more.items()}
