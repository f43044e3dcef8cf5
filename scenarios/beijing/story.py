"""The city's plot: its directories are set up, then its departments work for some half-days.

    publish responsibilities             every member; those without a node through the directory authority's gateway
    approve responsibilities             the registrar
    publish data items
    approve data items                   the directory authority
    publish systems, define certificate types
    publish tables
    work, half-day 1, 2, ...             certificates, verifications, new versions of data items, planted errors;
                                         requests for data, answers, deliveries

Everything follows from the seed and the start, so that the same arguments give the same records, envelopes and times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from typing import Literal

from ledger.identifiers import ChainId
from scenarios.beijing.amounts import Amounts, spread
from scenarios.beijing.certificates import Files, KeptCertificate
from scenarios.beijing.city import City
from scenarios.beijing.city_files import load_city
from scenarios.beijing.drafts import Draft
from scenarios.beijing.set_up import SET_UP, set_up_records
from scenarios.beijing.sharing.desk import SharingDesk
from scenarios.beijing.sharing.mishaps import Mishaps
from scenarios.beijing.shifts import Shifts
from scenarios.beijing.timetable import HOUR_MS, Slot, compressed, end_of_days_ms, half_days_within, office_hours
from scenarios.simulator.streams import Stream, Streams
from scenarios.story import IssuedCertificate, Outage, Phase

ENVELOPE_RECORDS_SET_UP = 16
"""Records in an envelope of a bulk upload."""
ENVELOPE_RECORDS_WORK_MAX = 8
"""Offices at work send 1 to so many together."""


class BeijingStory:
    """A `scenarios.story.Story`.

    Args:
        city: The departments that take part, with what they answer for.
        seed: 0 or more.
        start_ms: Unix time at which the run begins.
        span: `live` compresses the half-days into `duration_ms` and does set-up at once, all on the day of the start.
            `virtual` keeps office hours and working days.
        duration_ms: Length of all half-days together; for live runs.
        records: How many records to submit in all, about; None for what suits the city's size.
        chain: The network's id, which deliveries of data are bound to.
        days: Calendar days from the start, in which data are shared at the city's full pace and there is time for
            deadlines to pass; None for the fewest half-days that hold everything. For virtual runs.
    """

    planted_expected: Mapping[str, int]
    issued: Mapping[str, IssuedCertificate]
    outages: Sequence[Outage]
    ends_ms: int | None

    def __init__(
        self,
        city: City,
        *,
        seed: int,
        start_ms: int,
        span: Literal["live", "virtual"],
        chain: ChainId,
        duration_ms: int = 60_000,
        records: int | None = None,
        days: int | None = None,
    ) -> None:
        streams = Streams(seed)
        half_days = None if days is None else half_days_within(city, start_ms, days)
        amounts = Amounts.of(city, load_city(), records, set_up_records(city), half_days)
        if span == "live":
            slots = compressed(city, start_ms, len(SET_UP), amounts.shifts, duration_ms)
        else:
            slots = office_hours(city, start_ms, len(SET_UP), amounts.shifts)
        files = Files(city, streams)
        shifts = Shifts(city, files, amounts, streams)
        mishaps = Mishaps(city, amounts.shifts, streams)
        sharing = SharingDesk(city, chain, spread(amounts.share_requests, amounts.shifts), mishaps, streams)

        def write_set_up(number: int, slot: Slot) -> Phase:
            name, write = SET_UP[number]
            draft = Draft(city, name, slot, streams.named("set-up", number), _bulk_size)
            write(city, draft)
            return draft.finish()

        def write_shift(number: int, slot: Slot) -> Phase:
            name = f"work, half-day {number + 1} of {amounts.shifts}"
            absent = mishaps.absent_in(number)
            draft = Draft(city, name, slot, streams.named("work", number), _office_size, absent)
            shifts.write(number, draft)
            sharing.write(number, draft)
            return draft.finish()

        set_up = starmap(write_set_up, enumerate(slots[: len(SET_UP)]))
        work = starmap(write_shift, enumerate(slots[len(SET_UP) :]))
        self._phases = (*set_up, *work)
        self.issued = {identifier: _issued(kept) for identifier, kept in files.certificates.items()}
        planted = Counter({error.code: error.count for error in city.workload.planted if error.count})
        self.planted_expected = planted + sharing.planted
        self.outages = _outages(mishaps, slots[len(SET_UP) :])
        self.ends_ms = None if days is None else end_of_days_ms(city, start_ms, days)

    def phases(self) -> Iterator[Phase]:
        """Yield the phases in order."""
        return iter(self._phases)


def _outages(mishaps: Mishaps, slots: Sequence[Slot]) -> list[Outage]:
    """Return when the absent department's node is down: it goes before the half-days of its absence, and comes back
    before the next.
    """
    if mishaps.absent is None:
        return []
    first, back = slots[mishaps.absence.first], slots[mishaps.absence.last + 1]
    return [Outage(mishaps.absent.code, first.starts_ms - HOUR_MS, back.starts_ms - HOUR_MS)]


def _bulk_size(draws: Stream) -> int:
    return ENVELOPE_RECORDS_SET_UP


def _office_size(draws: Stream) -> int:
    return draws.between(1, ENVELOPE_RECORDS_WORK_MAX)


def _issued(kept: KeptCertificate) -> IssuedCertificate:
    return IssuedCertificate(
        identifier=kept.identifier,
        type_code=kept.kind.code,
        opening=kept.opening,
        valid_at_end=kept.standing == "valid",
    )
