"""Sharing under any records of anybody at any times: what its package docstring promises holds at every block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.encoding import Canonical
from ledger.identifiers import CreditCode
from ledger.members.calendar import format_day, parse_day
from ledger.registers.catalogue import DataItem, data_item_key, schema_hash
from ledger.registers.directories.records import ApproveDataItem, WithdrawDataItem
from ledger.registers.sharing.duties import Breach, breach_key
from ledger.registers.sharing.figures import THE_AUTHORITY, ItemUse, Score
from ledger.registers.sharing.queries import breaches, receipts_of, terms
from ledger.registers.sharing.values import (
    Delivery,
    DeliveryStatus,
    Drift,
    Duty,
    Grant,
    GrantStatus,
    Objection,
    Request,
    RequestStatus,
    drift_key,
    grant_key,
    objection_key,
    request_key,
)
from tests.registers import governed
from tests.registers.catalogue import COLUMNS
from tests.registers.governed import CLOSED, CONDITIONAL, OPEN
from tests.registers.test_sharing_deadlines import due_ms, in_beijing
from tests.state.small_ledger import AUTHORITY, HOUSING, MARKET, TAX, SmallLedger

REQUESTS = ["AY-R1", "AY-R2", "AY-R3"]
OBJECTIONS = ["AY-O1", "AY-O2"]
SPEAKERS = st.sampled_from([HOUSING, HOUSING, MARKET, MARKET, TAX, AUTHORITY])
HOURS = st.sampled_from([0, 0, 0, 0, 1, 6, 24, 48, 120, 240])
ITEMS = st.sampled_from([OPEN, OPEN, CONDITIONAL, CONDITIONAL, CLOSED])
NAMES = st.sampled_from(REQUESTS)
STEPS = st.tuples(
    st.sampled_from([True, True, True, False]),
    st.integers(1, 9),
    st.sampled_from([False, False, False, False, True]),
    st.sampled_from([None, None, None, None, None, TAX, AUTHORITY]),
    HOURS,
)
"""Whether it is a yes, how many rows, whether to ask for too much, a stranger who speaks instead, and when."""


class SharingMachine(RuleBasedStateMachine):
    """A ledger, and what its state was before the newest block."""

    ledger: SmallLedger
    before: Mapping[bytes, Canonical]
    approved: dict[str, int]
    """How each data item is shared by the revision that was approved last."""

    @initialize()
    def found(self) -> None:
        """Begin with three data items, one of which was requested."""
        self.ledger = in_beijing()
        self.before = dict(self.ledger.state.values)
        self.approved = {name: sharing.type for name, sharing in governed.SHARINGS.items()}
        self.put(MARKET, governed.request(REQUESTS[0]), 0)

    def put(self, department: CreditCode, record: Record, hours: int) -> None:
        """Execute a block with one record some hours later, and compare what it did with the rules."""
        state = self.ledger.state
        self.before = dict(state.values)
        time_ms = state.time_ms + max(1_000, hours * 3_600_000)
        (label,) = self.ledger.put(department, record, time_ms=time_ms)
        execution = self.ledger.executions[-1]
        self._check_breaches(time_ms)
        if label != "accepted":
            # A refused record has its code in the log's entry, and what changed was done by deadlines.
            assert execution.results[0] != b"\0"
            assert execution.touched == (((),),)
        for key, value in self.changed(Request):
            assert key in self.before or value.sharing_type == self.approved[value.data_item]
        for key, value in self.changed(Delivery):
            if key not in self.before:
                self._check_delivery(value, department)
        for key, value in self.changed(Grant):
            if key not in self.before:
                self._check_grant(value, department)

    def changed(self, kind: type[Any]) -> list[tuple[bytes, Any]]:
        """Return keys and values of `kind` that the newest block has set."""
        found = self.ledger.state.values
        return [(key, v) for key, v in found.items() if isinstance(v, kind) and self.before.get(key) is not v]

    def _check_breaches(self, time_ms: int) -> None:
        """Exactly the deadlines that were waiting and are past now are breaches now, of this block."""
        late = {
            breach_key(duty.due_ms, subject)
            for subject, value in self.before.items()
            if (duty := getattr(value, "duty", None)) and 0 < duty.due_ms < time_ms
        }
        new = {key: value for key, value in self.changed(Breach) if key not in self.before}
        assert new.keys() == late
        for breach in new.values():
            assert (breach.passed_ms, breach.passed_height) == (time_ms, self.ledger.state.height)
            asker = getattr(self.before.get(request_key(breach.id)), "requester", None)
            assert breach.holder == {"decide": THE_AUTHORITY, "acknowledge": asker}.get(breach.kind, HOUSING)

    def _check_delivery(self, delivery: Delivery, department: CreditCode) -> None:
        """It was made by the owner, under a grant that was live and not over, of an item and a table that stood."""
        given = self.before[grant_key(delivery.grant)]
        assert isinstance(given, Grant)
        today = format_day(self.ledger.state.calendar.day_at(self.ledger.state.time_ms))
        assert (given.status, given.open_delivery) == (GrantStatus.LIVE, 0)
        assert today <= given.last_day
        item = self.before[data_item_key(given.data_item)]
        assert isinstance(item, DataItem)
        assert (department, delivery.number) == (item.owner, given.deliveries + 1)
        assert item.counts
        assert given.basis == "authority" or self.approved[given.data_item] != 3
        drift = self.before.get(drift_key(delivery.table))
        assert not isinstance(drift, Drift) or drift.observed == delivery.schema

    def _check_grant(self, given: Grant, department: CreditCode) -> None:
        """It was asked for, and given by nobody but who may give it."""
        asked = self.ledger.state.get(request_key(given.id), Request)
        assert asked is not None
        assert asked.status is RequestStatus.GRANTED
        assert set(given.fields) <= set(asked.fields)
        assert given.volume_max <= asked.volume_max
        assert given.last_day <= asked.last_day
        assert (given.requester, given.data_item) == (asked.requester, asked.data_item)
        match given.basis:
            case "unconditional":
                assert (department, asked.sharing_type) == (asked.requester, 1)
            case "provider":
                assert (department, asked.sharing_type) == (HOUSING, 2)
            case "authority":
                assert department == AUTHORITY != asked.requester

    @rule(name=NAMES, of=ITEMS, steps=st.lists(STEPS, min_size=1, max_size=8))
    def go_on(self, name: str, of: str, steps: list[tuple[bool, int, bool, CreditCode | None, int]]) -> None:
        """Take the next steps of a request."""
        for step in steps:
            self._next_step(name, of, *step)

    def _next_step(
        self, name: str, of: str, yes: bool, rows: int, slip: bool, stranger: CreditCode | None, hours: int
    ) -> None:
        state = self.ledger.state
        asked, given = state.get(request_key(name), Request), state.get(grant_key(name), Grant)
        who: str
        record: Record
        if asked is None:
            who, record = MARKET, governed.request(name, of, volume_max=rows + 6)
        elif given is not None and given.open_delivery and not slip:
            say = governed.acknowledge if yes else governed.reject
            who, record = given.requester, say(name, given.open_delivery)
        elif given is not None:
            most = given.volume_max - given.used - given.pending
            # Too many rows, or one more delivery before the last was answered.
            rows = most + 1 if slip and rows < 5 else 1 if given.mode == "verification" else min(rows, most)
            who, record = HOUSING, governed.deliver(name, given.deliveries + 1, of=given.data_item, rows=rows)
        elif asked.status is RequestStatus.REFUSED:
            who, record = asked.requester, governed.dispute(name)
        else:
            who = AUTHORITY if asked.status is RequestStatus.AWAITING_AUTHORITY else HOUSING
            volume = asked.volume_max + (slip and rows < 5)
            last_day = governed.day_after(asked.last_day, int(slip and rows >= 5))
            record = governed.grant(name, volume_max=volume, last_day=last_day) if yes else governed.refuse(name)
        self.put(stranger or CreditCode(who), record, hours)

    @rule(
        what=st.sampled_from(
            ["ask", "renew", "grant", "refuse", "withdraw", "dispute", "revoke", "deliver", "receive"]
        ),
        name=NAMES,
        of=ITEMS,
        volume=st.integers(0, 12),
        more=st.integers(-3, 3),
        who=SPEAKERS,
        hours=HOURS,
    )
    def meddle(self, what: str, name: str, of: str, volume: int, more: int, who: CreditCode, hours: int) -> None:
        """Say something about a request, whether it is the time for it or not."""
        state = self.ledger.state
        asked, given = state.get(request_key(name), Request), state.get(grant_key(name), Grant)
        last_day = governed.day_after(asked.last_day if asked else "2025-11-30", more)
        number = given.deliveries if given else 0
        record: Record
        match what:
            case "ask":
                mode = "verification" if volume % 3 else "database"
                record = governed.request(name, of, volume_max=volume, last_day=last_day, mode=mode)
            case "renew":
                record = governed.request(name, of, renews=REQUESTS[0])
            case "grant":
                record = governed.grant(name, volume_max=volume, last_day=last_day)
            case "deliver":
                record = governed.deliver(
                    name, number + 1 + max(more - 1, 0), of=given.data_item if given else of, rows=volume
                )
            case "receive":
                record = (governed.acknowledge if more < 2 else governed.reject)(name, max(number, 1))
            case _:
                record = getattr(governed, what)(name)
        self.put(who, record, hours)

    @rule(
        name=st.sampled_from(OBJECTIONS),
        of=ITEMS,
        which=st.sampled_from(["correct", "reject", "dispute"]),
        who=SPEAKERS,
        hours=HOURS,
    )
    def object_to_it(self, name: str, of: str, which: str, who: CreditCode, hours: int) -> None:
        """Object, answer or dispute."""
        if self.ledger.state.get(objection_key(name), Objection) is None:
            self.put(who, governed.objection(name, of), hours)
        elif which == "dispute":
            self.put(MARKET, governed.dispute_rejection(name), hours)
        else:
            self.put(who, governed.correct(name, "corrected" if which == "correct" else "rejected"), hours)

    @rule(
        of=st.sampled_from([OPEN, CONDITIONAL]),
        what=st.sampled_from(["share", "share", "drift", "mend", "terms", "withdraw"]),
        number=st.integers(1, 12),
        approve=st.booleans(),
        hours=HOURS,
    )
    def change_the_ground(self, of: str, what: str, number: int, approve: bool, hours: int) -> None:
        """Share an item otherwise, approved or not yet; withdraw what is not shared; let a table drift; set terms."""
        match what:
            case "share" if number <= 9:
                found = self.ledger.state.get(data_item_key(of), DataItem)
                assert found is not None
                record = governed.item(of, found.revision + 1)
                sharing_type = number % 3 + 1
                condition = "" if sharing_type == 1 else "a law"
                sharing = replace(record.metadata.sharing, type=sharing_type, condition=condition)
                self.put(HOUSING, replace(record, metadata=replace(record.metadata, sharing=sharing)), hours)
                if approve:
                    self.approved[of] = sharing_type
                    self.put(AUTHORITY, ApproveDataItem(id=of, revision=found.revision + 1), 0)
                else:
                    # Who would profit from what only the owner says asks at once.
                    self.put(MARKET, governed.request(f"AY-S{found.revision}", of), 0)
            case "drift" | "mend":
                observed = schema_hash(COLUMNS) if what == "mend" else governed.drift().observed
                self.put(HOUSING, replace(governed.drift(of), observed=observed), hours)
            case "withdraw" if number <= 4:
                self.put(HOUSING, WithdrawDataItem(id=CLOSED, reason="moved"), hours)
            case _:
                self.put(AUTHORITY, governed.terms(answer_working_days=number, grant_months_max=number + 3), hours)

    @rule(name=NAMES, days=st.sampled_from([7, 30]))
    def wait(self, name: str, days: int) -> None:
        """Let days go by, and say something that changes nothing."""
        self.put(TAX, governed.withdraw(name), days * 24)

    @invariant()
    def the_volume_is_that_of_the_receipts(self) -> None:
        """What is used of a grant are the rows of its acknowledged deliveries; the open one's are reserved."""
        used: Counter[str] = Counter()
        open_rows: Counter[str] = Counter()
        served: Counter[str] = Counter()
        for delivery in self.values(Delivery):
            if delivery.status is DeliveryStatus.ACKNOWLEDGED:
                used[delivery.grant] += delivery.rows
            elif delivery.status is not DeliveryStatus.REJECTED:
                open_rows[delivery.grant] += delivery.rows
        for given in self.values(Grant):
            assert (given.used, given.pending) == (used[given.id], open_rows[given.id])
            assert given.used + given.pending <= given.volume_max
            served[given.data_item] += given.used
        for use in self.values(ItemUse):
            assert use.rows == served[use.data_item]
        assert used.keys() | open_rows.keys() <= {given.id for given in self.values(Grant)}

    @invariant()
    def who_waits_has_a_deadline_and_nobody_else(self) -> None:
        """The pending deadlines are those of the duties; each new one is due when the calendar says."""
        state, running = self.ledger.state, set()
        for subject, value in state.values.items():
            duty: Duty | None = getattr(value, "duty", None)
            if duty is None:
                continue
            assert len(duty.passed) <= 3
            assert (duty.due_ms == 0) <= (len(duty.passed) == 3 or isinstance(value, Grant))
            if duty.due_ms:
                running.add((duty.due_ms, subject))
                if duty != getattr(self.before.get(subject), "duty", None):
                    self._check_due(value, duty)
        waiting = state.pending_deadlines.before(1 << 62, limit=1_000)
        assert set(waiting) == running
        assert len(waiting) == len(running)

    def _check_due(self, value: Canonical, duty: Duty) -> None:
        state = self.ledger.state
        now = terms(state)
        days = {
            "answer": now.answer_working_days,
            "decide": now.authority_working_days,
            "deliver": now.delivery_working_days,
            "acknowledge": now.acknowledge_working_days,
            "correct": now.correction_working_days,
        }[duty.kind]
        due = due_ms(state.time_ms, now.authority_working_days if duty.passed else days)
        if isinstance(value, Grant) and not duty.passed:
            due = min(due, state.calendar.end_of_day_ms(parse_day(value.last_day)))
        assert duty.due_ms == due

    @invariant()
    def breaches_are_counted_and_cured(self) -> None:
        """Open while somebody waits for it, cured afterwards, and counted with whoever was late."""
        counts: Counter[str] = Counter()
        cured: Counter[str] = Counter()
        for breach in breaches(self.ledger.state):
            counts[breach.holder] += 1
            cured[breach.holder] += breach.cured_height > 0
            duty = getattr(self.ledger.state.values[breach.subject], "duty", None)
            assert (duty is not None and breach.due_ms in duty.passed) == (breach.cured_height == 0)
        for score in self.values(Score):
            assert (score.breaches, score.breaches_cured) == (counts.pop(score.holder, 0), cured[score.holder])
        assert not counts

    @invariant()
    def every_request_leads_somewhere(self) -> None:
        """To a grant exactly if it was granted, and a refusal has a reason, an author and a receipt."""
        state = self.ledger.state
        for asked in self.values(Request):
            given = state.get(grant_key(asked.id), Grant)
            assert (given is not None) == (asked.status is RequestStatus.GRANTED)
            refused = asked.status in (RequestStatus.REFUSED, RequestStatus.DENIED)
            assert refused == any(receipt.delivery is None for receipt in receipts_of(asked, state))
            assert not refused or (asked.answered_by in (HOUSING, AUTHORITY) and asked.answer_reason)
            # An answer was given, or is waited for.
            open_ = RequestStatus.AWAITING_PROVIDER, RequestStatus.ESCALATED, RequestStatus.AWAITING_AUTHORITY
            assert (asked.status in open_) == (asked.duty is not None)
        for found in self.values(Objection):
            assert (found.answered_by is None) <= (found.duty is not None)

    @invariant()
    def nothing_is_lost_and_nothing_changes_hands(self) -> None:
        """What was there is there; requester, data item and owner stay."""
        for key, old in self.before.items():
            new = self.ledger.state.values[key]
            for name in ("requester", "objector", "data_item", "owner", "recipient_key", "commitment", "sealed"):
                assert getattr(old, name, None) == getattr(new, name, None)

    def values(self, kind: type[Any]) -> list[Any]:
        """Return all values of a kind."""
        return [value for value in self.ledger.state.values.values() if isinstance(value, kind)]


TestSharing = SharingMachine.TestCase
TestSharing.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
