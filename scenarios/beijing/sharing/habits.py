"""How departments behave when they share: chances in permille, and waits in half-days. All figures are assumptions,
but for the share of unconditional items, which stands in the workload.
"""

from __future__ import annotations

from scenarios.simulator.streams import Stream

DAY = 2
"""Half-days of a working day."""

LONG_RUN = 12 * DAY
"""From so many half-days on there is time to be late, and what takes days takes place."""

UNCONDITIONAL = 700
NOT_SHARED = 40
"""Of all requests; the rest is for conditional items."""

REFUSED, WITHDRAWN = 150, 40
"""Of requests for conditional items."""
DISPUTED = 500
"""Of refusals."""
DENIED = 500
"""Of what the directory authority decides."""
NARROWED = 300
"""Of grants: fewer fields than were asked for."""

LATE = 20
LATE_OF_LATE_PROVIDERS = 450
"""Of answers, and of corrections."""
LATE_PROVIDERS = 2

UNACKNOWLEDGED = 10
"""Of deliveries: the requester says nothing in time."""
OBJECTED = 40
"""Of deliveries that were taken."""
CORRECTED = 700
"""Of objections; in the others the owner finds that it was right."""
REVOKED = 15
RENEWED = 40
"""Of grants that were used up."""

SELECTED = 350
"""Of requests: for some districts alone."""
SHORT_TERM = 100
"""Of requests: for a month instead of half a year."""

ANSWER_WORKING_DAYS = 10
ACKNOWLEDGE_WORKING_DAYS = 5
"""Within which a provider answers and a requester acknowledges, if they are not late."""


def answer_wait(draws: Stream, *, late: bool, long: bool) -> int:
    """Return after how many half-days a provider answers. Most are quick; whoever is late is so by up to four days."""
    if not long:
        return 1
    if late:
        return (ANSWER_WORKING_DAYS + 1) * DAY + draws.between(0, 3 * DAY)
    longest = (ANSWER_WORKING_DAYS - 1) * DAY
    return min(draws.between(1, longest), draws.between(1, longest))


def late_acknowledgement_wait(draws: Stream) -> int:
    """Return after how many half-days a requester says something who is late with it."""
    return (ACKNOWLEDGE_WORKING_DAYS + 1) * DAY + draws.between(0, 2 * DAY)


def decision_wait(draws: Stream, *, long: bool) -> int:
    """Return after how many half-days the directory authority decides: within four of its five days."""
    return draws.between(1, 4 * DAY) if long else 1


def deliveries_under(mode: str, draws: Stream) -> int:
    """Return how often data are handed over under a grant: a service is called again, a file is fetched once."""
    return draws.between(1, 3) if mode == "service" else 1
