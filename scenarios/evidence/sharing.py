"""What was shared, answered and missed, worked out from the journal alone.

This is a second reading of the rules of sharing, in the plainest form: who owes what until when, by a calendar that is
walked from day to day. It shares no code with the register, so that where both find the same breaches, both are right
or both are wrong in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Any, TypeVar

from scenarios.evidence.forms import EvidenceError
from scenarios.evidence.journal import Journal
from scenarios.evidence.records import ACCEPTED, RecordOnLedger, records_of
from scenarios.evidence.working_days import WorkingDays

V = TypeVar("V")

SHARING_TYPES: Mapping[int, str] = {1: "unconditional", 2: "conditional", 3: "not_shared"}
OUTCOMES = ("granted", "refused", "denied", "withdrawn", "open")

ANSWER_DAYS, DECIDE_DAYS, DELIVER_DAYS, ACKNOWLEDGE_DAYS, CORRECT_DAYS = 10, 5, 20, 5, 10
"""Working days, as long as the directory authority has set no others."""
AGAIN_DAYS = 5
"""Until the same thing counts as missed again."""
BREACHES_MAX = 3
"""Of one thing."""
DEADLINES_PER_BLOCK = 1_000
THE_AUTHORITY = "directory_authority"
SHARING_AT = 9
WITHOUT_EFFECT = frozenset({"sharing.report_drift"})
"""Records of sharing that touch no deadline. No city here sets other terms or disputes what became of an objection."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Something that was not done in time."""

    subject: str
    """What waited, for example `request/AY-R1`."""
    kind: str
    """`answer`, `decide`, `deliver`, `acknowledge` or `correct`."""
    holder: str
    """Credit code of who was late, or `directory_authority`."""
    due_ms: int
    height: int
    """Of the block that recorded it."""

    @property
    def request(self) -> str:
        """Id of the request or objection it is about."""
        return self.subject.split("/")[1]


@dataclass(slots=True)
class SharedRequest:
    """A request, and what became of it."""

    id: str
    sharing_type: int
    requester: str
    owner: str
    mode: str
    renews: str | None
    """The grant that ends when this is granted."""
    last_day: date
    """Of its use, as asked for or granted."""
    requested_ms: int
    is_live: bool = False
    """Whether its grant was given, and neither revoked nor renewed."""
    outcome: str = "open"
    answered_ms: int | None = None
    """Of the first answer; None if there was none, or none was needed."""


@dataclass(slots=True)
class Flow:
    """What went from one department to another."""

    provider: str
    requester: str
    """Credit codes."""
    deliveries: int = 0
    rows: int = 0
    """Acknowledged."""


@dataclass(slots=True)
class Sharing:
    """All of it, in the order of the ledger."""

    requests: dict[str, SharedRequest] = field(default_factory=dict)
    flows: dict[tuple[str, str], Flow] = field(default_factory=dict)
    breaches: list[Breach] = field(default_factory=list)
    size_bytes: int = 0
    """Of the ciphertext that was acknowledged."""
    rejected: int = 0
    """Deliveries that a requester did not take."""
    objections: Counter[str] = field(default_factory=Counter)
    """By outcome."""


@dataclass(slots=True)
class _Duty:
    kind: str
    holder: str
    due_ms: int
    missed: int = 0


def sharing_of(journal: Journal, calendar: WorkingDays) -> Sharing:
    """Return what the accepted records of a journal come to.

    Raises:
        EvidenceError: A record was accepted that refers to nothing.
    """
    return _Reader(calendar).read(journal)


def check_deadlines(journal: Journal, sharing: Sharing) -> None:
    """Check that each block acted upon exactly those deadlines of sharing that had passed by then.

    Raises:
        EvidenceError: One was acted upon too early, too late or not at all.
    """
    expected: dict[int, list[str]] = {}
    for breach in sharing.breaches:
        expected.setdefault(breach.height, []).append(breach.subject)
    for height in range(1, journal.height + 1):
        recorded = [_name_of(subject) for subject in journal.executed[height].deadlines]
        if recorded != expected.get(height, []):
            raise EvidenceError(
                f"height {height} acted upon {recorded[:3]}, by the calendar it had to act upon "
                f"{expected.get(height, [])[:3]}"
            )


def _name_of(subject: bytes) -> str:
    """Return `request/AY-R1` for its state key; a delivery's number stands there with leading zeros."""
    return subject.decode().removeprefix("sharing/")


class _Reader:
    def __init__(self, calendar: WorkingDays) -> None:
        self._calendar = calendar
        self._sharing = Sharing()
        self._duties: dict[str, _Duty] = {}
        self._items: dict[str, tuple[int, str]] = {}
        """Sharing type and owner of each data item, as approved."""
        self._published: dict[str, tuple[int, str]] = {}
        """The same of its newest revision; an approval is always of that one."""
        self._deliveries: dict[str, tuple[int, int]] = {}
        """Rows and bytes of each delivery."""
        self._rules: Mapping[str, Callable[[RecordOnLedger], None]] = {
            "directories.publish_data_item": self._publish,
            "directories.approve_data_item": self._approve,
            "sharing.request": self._request,
            "sharing.grant": self._grant,
            "sharing.refuse": self._refuse,
            "sharing.withdraw_request": self._withdraw,
            "sharing.dispute": self._dispute,
            "sharing.revoke_grant": self._revoke,
            "sharing.deliver": self._deliver,
            "sharing.acknowledge": self._acknowledge,
            "sharing.reject_delivery": self._reject,
            "sharing.object": self._object,
            "sharing.correct": self._correct,
        }

    def read(self, journal: Journal) -> Sharing:
        """Return what the journal comes to. Call it once."""
        by_height = {
            height: list(records) for height, records in groupby(records_of(journal), key=lambda record: record.height)
        }
        for height in range(1, journal.height + 1):
            self._pass_deadlines(height, journal.block_at(height).time_ms)
            for record in by_height.get(height, ()):
                if record.code != ACCEPTED or record.kind in WITHOUT_EFFECT:
                    continue
                if (rule := self._rules.get(record.kind)) is not None:
                    rule(record)
                elif record.kind.startswith("sharing."):
                    raise EvidenceError(f"height {height}: what {record.kind} does to deadlines is not known here")
        return self._sharing

    # ------------------------------------------------------------------------------------------- deadlines

    def _pass_deadlines(self, height: int, time_ms: int) -> None:
        passed = sorted((duty.due_ms, subject) for subject, duty in self._duties.items() if 0 < duty.due_ms < time_ms)
        for due_ms, subject in passed[:DEADLINES_PER_BLOCK]:
            duty = self._duties[subject]
            self._sharing.breaches.append(Breach(subject, duty.kind, duty.holder, due_ms, height))
            duty.missed += 1
            if duty.kind in ("answer", "correct"):
                duty.kind, duty.holder = "decide", THE_AUTHORITY
            goes_on = duty.missed < BREACHES_MAX and not (duty.kind == "deliver" and self._is_over(subject, time_ms))
            duty.due_ms = self._calendar.due_ms(time_ms, AGAIN_DAYS) if goes_on else 0

    def _is_over(self, subject: str, time_ms: int) -> bool:
        """Return whether the last day of a grant is past."""
        request = _known(self._sharing.requests, subject.split("/")[1])
        return request.last_day < self._calendar.day_of(time_ms)

    # --------------------------------------------------------------------------------------------- records

    def _publish(self, record: RecordOnLedger) -> None:
        name, _, _, metadata = _fields(record, 4)
        # In the attributes of sharing the type follows tag and version.
        self._published[name] = (metadata[SHARING_AT][2], record.department)

    def _approve(self, record: RecordOnLedger) -> None:
        name, _ = _fields(record, 2)
        self._items[name] = _known(self._published, name)

    def _request(self, record: RecordOnLedger) -> None:
        name, item, _, _, _, _, mode, _, last_day, _, renews = _fields(record, 11)
        sharing_type, owner = _known(self._items, item)
        request = SharedRequest(
            name,
            sharing_type,
            record.department,
            owner,
            mode,
            renews,
            date.fromisoformat(last_day),
            record.time_ms,
        )
        self._sharing.requests[name] = request
        if sharing_type == 1:
            self._become_granted(request, record)
        elif sharing_type == 2:
            self._owe(f"request/{name}", "answer", owner, ANSWER_DAYS, record)
        else:
            self._owe(f"request/{name}", "decide", THE_AUTHORITY, DECIDE_DAYS, record)

    def _grant(self, record: RecordOnLedger) -> None:
        name, _, _, last_day, _ = _fields(record, 5)
        request = self._answered(name, record)
        request.last_day = date.fromisoformat(last_day)
        self._become_granted(request, record)

    def _refuse(self, record: RecordOnLedger) -> None:
        request = self._answered(_fields(record, 2)[0], record)
        request.outcome = "refused" if record.department == request.owner else "denied"

    def _withdraw(self, record: RecordOnLedger) -> None:
        request = _known(self._sharing.requests, _fields(record, 2)[0])
        request.outcome = "withdrawn"
        self._done(f"request/{request.id}")

    def _dispute(self, record: RecordOnLedger) -> None:
        request = _known(self._sharing.requests, _fields(record, 2)[0])
        request.outcome = "open"
        self._owe(f"request/{request.id}", "decide", THE_AUTHORITY, DECIDE_DAYS, record)

    def _revoke(self, record: RecordOnLedger) -> None:
        self._end(_fields(record, 2)[0])

    def _deliver(self, record: RecordOnLedger) -> None:
        grant, number, _, rows, size_bytes, *_ = _fields(record, 9)
        request = _known(self._sharing.requests, grant)
        self._done(f"grant/{grant}")
        subject = _delivery(grant, number)
        self._deliveries[subject] = (rows, size_bytes)
        self._owe(subject, "acknowledge", request.requester, ACKNOWLEDGE_DAYS, record)

    def _acknowledge(self, record: RecordOnLedger) -> None:
        grant, number, _, _ = _fields(record, 4)
        request, subject = _known(self._sharing.requests, grant), _delivery(grant, number)
        self._done(subject)
        rows, size_bytes = _known(self._deliveries, subject)
        route = (request.owner, request.requester)
        flow = self._sharing.flows.setdefault(route, Flow(*route))
        flow.deliveries += 1
        flow.rows += rows
        self._sharing.size_bytes += size_bytes

    def _reject(self, record: RecordOnLedger) -> None:
        grant, number, _ = _fields(record, 3)
        self._done(_delivery(grant, number))
        self._owe_delivery(_known(self._sharing.requests, grant), record)
        self._sharing.rejected += 1

    def _object(self, record: RecordOnLedger) -> None:
        name, item, _, _ = _fields(record, 4)
        _, owner = _known(self._items, item)
        self._owe(f"objection/{name}", "correct", owner, CORRECT_DAYS, record)
        self._sharing.objections["open"] += 1

    def _correct(self, record: RecordOnLedger) -> None:
        name, outcome, _ = _fields(record, 3)
        self._done(f"objection/{name}")
        self._sharing.objections["open"] -= 1
        self._sharing.objections[outcome] += 1

    def _answered(self, name: str, record: RecordOnLedger) -> SharedRequest:
        request = _known(self._sharing.requests, name)
        if request.answered_ms is None:
            request.answered_ms = record.time_ms
        self._done(f"request/{name}")
        return request

    def _become_granted(self, request: SharedRequest, record: RecordOnLedger) -> None:
        request.outcome, request.is_live = "granted", True
        if request.renews is not None:
            self._end(request.renews)
        self._owe_delivery(request, record)

    def _owe_delivery(self, request: SharedRequest, record: RecordOnLedger) -> None:
        subject = f"grant/{request.id}"
        if request.mode in ("database", "file") and request.is_live and not self._is_over(subject, record.time_ms):
            self._owe(subject, "deliver", request.owner, DELIVER_DAYS, record)
            duty = self._duties[subject]
            duty.due_ms = min(duty.due_ms, self._calendar.end_ms(request.last_day))

    def _end(self, grant: str) -> None:
        _known(self._sharing.requests, grant).is_live = False
        self._done(f"grant/{grant}")

    def _owe(self, subject: str, kind: str, holder: str, working_days: int, record: RecordOnLedger) -> None:
        self._duties[subject] = _Duty(kind, holder, self._calendar.due_ms(record.time_ms, working_days))

    def _done(self, subject: str) -> None:
        self._duties.pop(subject, None)


def _fields(record: RecordOnLedger, count: int) -> Sequence[Any]:
    """Return the fields of a record, which follow tag and version."""
    if len(record.parts) != count + 2:
        raise EvidenceError(f"height {record.height}: an accepted {record.kind} has {len(record.parts) - 2} fields")
    return record.parts[2:]


def _known(values: Mapping[str, V], name: str) -> V:
    if name not in values:
        raise EvidenceError(f"an accepted record refers to {name!r}, which is nothing")
    return values[name]


def _delivery(grant: str, number: int) -> str:
    return f"delivery/{grant}/{number:010}"
