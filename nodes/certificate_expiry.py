"""Reminders that this node's transport certificate is about to end. They are all that happens.

A date that cuts connections takes networks down on a day nobody had in mind; here a key counts until the ledger says
otherwise. Those who look after certificates still want to know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nodes.transport.tls import days_left

logger = logging.getLogger(__name__)

WARN_AT_DAYS = (30, 7, 1, -1)
"""Whole days left; -1 is the first day after the end."""

DAY_S = 86_400


async def remind_of_expiry(
    certificate_pem: bytes,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Look now and then once a day, until cancelled; warn whenever one more of `WARN_AT_DAYS` has been reached.

    So a node warns at its start if the end is near, and once at each of the days while it runs, also if its clock leaps
    over one.
    """
    warned = 0
    while True:
        days = days_left(certificate_pem, now())
        reached = sum(days <= at for at in WARN_AT_DAYS)
        if reached > warned:
            logger.warning("days left of the transport certificate: %d; its end cuts no connection", days)
        warned = reached
        await sleep(DAY_S)
