"""What the departments state about sharing, half-day by half-day.

Each request has a life of its own: answered at once, in days, too late or never, then delivered, acknowledged, objected
to. Its next step is put on the agenda when the one before is written, so that nothing in one half-day builds on what
happens in the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace

from ledger.crypto.sealing import Scope
from ledger.identifiers import ChainId, Digest
from ledger.members.calendar import add_term, format_day, parse_day
from ledger.members.departments import PROVIDER, REGISTRAR
from ledger.registers.sharing.records import (
    Acknowledge,
    AnswerObjection,
    Deliver,
    DisputeRefusal,
    GrantRequest,
    RaiseObjection,
    RefuseRequest,
    RejectDelivery,
    RequestSharing,
    RevokeGrant,
    WithdrawRequest,
)
from ledger.registers.sharing.values import Condition
from scenarios.beijing.city import City, DataItemRow, DepartmentRow
from scenarios.beijing.drafts import Draft
from scenarios.beijing.sharing import habits
from scenarios.beijing.sharing.deliveries import KEY_BYTES, SealedDelivery, receive_delivery, seal_delivery
from scenarios.beijing.sharing.mishaps import Mishaps
from scenarios.beijing.sharing.rows import MadeUpData, Row
from scenarios.beijing.zipf import Zipf
from scenarios.simulator.streams import Streams

PURPOSES = (
    "不动产登记审核 checking a property registration",
    "民生服务减材料 sparing applicants a document",
    "企业开办联审 opening a business in one visit",
    "执法检查对象核对 preparing an inspection",
    "政策评估统计 evaluating a policy",
    "公共信用核查 checking public credit",
)
BASES = ("部门三定规定 functions of the department", "政务数据共享条例 regulation on sharing government data")
DIGEST_BYTES = 32
REFUSALS = ("用途与条件不符 the purpose does not fulfil the condition", "申请字段超出必要范围 more fields than needed")

Step = Callable[[int, Draft], None]


@dataclass(slots=True)
class Case:
    """A request and what became of it."""

    request: RequestSharing
    requester: DepartmentRow
    owner: DepartmentRow
    item: DataItemRow
    fields: tuple[str, ...] = ()
    """What was granted."""
    left: int = 0
    """Deliveries to come."""
    made: int = 0
    """Number of the newest delivery."""

    @property
    def id(self) -> str:
        """Of the request, and of the grant that comes of it."""
        return self.request.id


class SharingDesk:
    """Writes the sharing of one half-day after the other, from number 0 on.

    Args:
        chain: The network's id, which deliveries are bound to.
        requests: How many to make in each half-day.
    """

    def __init__(self, city: City, chain: ChainId, requests: Sequence[int], mishaps: Mishaps, streams: Streams) -> None:
        self.planted: Counter[str] = Counter()
        """Refusals that follow from what goes wrong, by code."""
        self._city = city
        self._chain = chain
        self._requests = requests
        self._mishaps = mishaps
        self._long = len(requests) >= habits.LONG_RUN
        self._draws = streams.named("sharing")
        self._sealing = streams.named("sealing")
        self._data = MadeUpData(city, streams)
        self._keys = {
            row.code: X25519PrivateKey.from_private_bytes(streams.named("exchange key", row.code).bytes(KEY_BYTES))
            for row in city.departments
        }
        self._agenda: defaultdict[int, list[tuple[str, Step]]] = defaultdict(list)
        self._items = {
            kind: Zipf(city, [row for row in city.data_items if row.sharing_type == kind]) for kind in (1, 2, 3)
        }
        self._numbers: Counter[str] = Counter()

    def write(self, number: int, draft: Draft) -> None:
        """Write everything of half-day `number` into its draft."""
        for actor, step in self._agenda.pop(number, ()):
            if self._mishaps.is_absent(actor, number):
                self._agenda[number + 1].append((actor, step))
            else:
                step(number, draft)
        self._mishaps.write(number, draft)
        for _ in range(self._requests[number]):
            self._request(number, draft)

    # ------------------------------------------------------------------------------------ requests and answers

    def _request(self, number: int, draft: Draft) -> None:
        if (item := self._draw_item()) is None:
            return
        owner = self._city.owner_of(item.responsibility)
        able = [row for row in self._requesters(item, owner) if not self._mishaps.is_absent(row.code, number)]
        if able:
            self._ask(self._draws.choice(able), owner, item, None, number, draft)

    def _draw_item(self) -> DataItemRow | None:
        """Return what somebody wants; None if a small city has nothing of that kind."""
        ticket = self._draws.below(1_000)
        kind = 1 if ticket < habits.UNCONDITIONAL else 3 if ticket >= 1_000 - habits.NOT_SHARED else 2
        return self._items[kind].draw(self._draws)

    def _requesters(self, item: DataItemRow, owner: DepartmentRow) -> list[DepartmentRow]:
        public = {"department", PROVIDER, REGISTRAR}
        return [
            row
            for row in self._city.departments
            # The directory authority decides upon what is refused or not shared, and never for itself.
            if row is not owner and row.roles & public and (item.sharing_type == 1 or row is not self._authority)
        ]

    @property
    def _authority(self) -> DepartmentRow:
        return self._city.with_role("directory_authority")[0]

    def _ask(
        self,
        requester: DepartmentRow,
        owner: DepartmentRow,
        item: DataItemRow,
        renews: str | None,
        number: int,
        draft: Draft,
    ) -> None:
        draws = self._draws
        columns = self._data.columns(item.id)
        # Whoever asks for nothing that tells the rows apart could not use them.
        fields = (columns[0], *(name for name in columns[1:] if draws.chance(700)))
        case = Case(
            RequestSharing(
                id=self._new_id(requester, "R"),
                data_item=item.id,
                fields=fields,
                selection=self._draw_selection(columns),
                purpose=draws.choice(PURPOSES),
                legal_basis=draws.choice(BASES),
                mode=item.mode,
                volume_max=10_000 * draws.between(1, 10),
                last_day=self._last_day(draft.day),
                recipient_key=self._keys[requester.code].public_key().public_bytes_raw(),
                renews=renews,
            ),
            requester,
            owner,
            item,
        )
        draft.add(requester.code, case.request)
        match item.sharing_type:
            case 1:
                self._granted(case, fields, number)
            case 2:
                self._await_owner(case, number)
            case _:
                self._await_authority(case, number)

    def _draw_selection(self, columns: Sequence[str]) -> tuple[Condition, ...]:
        if not self._draws.chance(habits.SELECTED):
            return ()
        districts = self._draws.shuffled(self._city.districts)[: self._draws.between(1, 4)]
        column = next(name for name in columns if name.endswith("district code"))
        return (Condition(information_item=column, values=tuple(sorted(row.code for row in districts))),)

    def _last_day(self, day: str) -> str:
        term = "P1M" if self._draws.chance(habits.SHORT_TERM) else "P6M"
        last = add_term(parse_day(day), term)
        assert last is not None
        return format_day(last)

    def _await_owner(self, case: Case, number: int) -> None:
        ticket = self._draws.below(1_000)
        if ticket < habits.WITHDRAWN:
            self._later(1, number, case.requester, lambda _, draft: self._withdraw(case, draft))
            return
        late = self._draws.chance(self._mishaps.late_permille(case.owner.code))
        wait = habits.answer_wait(self._draws, late=late, long=self._long)
        if ticket < habits.WITHDRAWN + habits.REFUSED:
            self._later(wait, number, case.owner, lambda now, draft: self._refuse(case, now, draft))
        else:
            self._later(wait, number, case.owner, lambda now, draft: self._grant(case, case.owner, now, draft))

    def _await_authority(self, case: Case, number: int) -> None:
        authority = self._authority
        wait = habits.decision_wait(self._draws, long=self._long)
        if self._draws.chance(habits.DENIED):
            self._later(wait, number, authority, lambda _, draft: self._deny(case, authority, draft))
        else:
            self._later(wait, number, authority, lambda now, draft: self._grant(case, authority, now, draft))

    def _withdraw(self, case: Case, draft: Draft) -> None:
        draft.add(case.requester.code, WithdrawRequest(request=case.id, reason="不再需要 no longer needed"))

    def _refuse(self, case: Case, number: int, draft: Draft) -> None:
        self._deny(case, case.owner, draft)
        if self._draws.chance(habits.DISPUTED):
            self._later(1, number, case.requester, lambda now, draft: self._dispute(case, now, draft))

    def _deny(self, case: Case, speaker: DepartmentRow, draft: Draft) -> None:
        draft.add(speaker.code, RefuseRequest(request=case.id, reason=self._draws.choice(REFUSALS)))

    def _dispute(self, case: Case, number: int, draft: Draft) -> None:
        reason = "履职必需，请予协调 needed for a duty; please decide"
        draft.add(case.requester.code, DisputeRefusal(request=case.id, reason=reason))
        self._await_authority(case, number)

    def _grant(self, case: Case, speaker: DepartmentRow, number: int, draft: Draft) -> None:
        asked = case.request
        narrowed = len(asked.fields) > 1 and self._draws.chance(habits.NARROWED)
        fields = asked.fields[:-1] if narrowed else asked.fields
        record = GrantRequest(
            request=case.id,
            fields=fields,
            volume_max=asked.volume_max,
            last_day=asked.last_day,
            conditions="仅限所述用途，不得转供 for the stated purpose alone, not to be passed on",
        )
        draft.add(speaker.code, record)
        self._granted(case, fields, number)

    def _granted(self, case: Case, fields: tuple[str, ...], number: int) -> None:
        case.fields = fields
        case.left = habits.deliveries_under(case.request.mode, self._draws)
        self._await_delivery(case, number)

    # -------------------------------------------------------------------------------- deliveries and after

    def _await_delivery(self, case: Case, number: int) -> None:
        self._later(
            self._draws.between(1, 3) if self._long else 1,
            number,
            case.owner,
            lambda now, draft: self._deliver(case, now, draft),
        )

    def _deliver(self, case: Case, number: int, draft: Draft) -> None:
        mishaps, owner = self._mishaps, case.owner.code
        if mishaps.blocks_delivery(case.item, number):
            if mishaps.tries_in_vain(number):
                self._fail(case, self._seal(case, case.fields, number).record, "schema_drifted", draft)
            self._later(1, number, case.owner, lambda now, draft: self._deliver(case, now, draft))
            return
        if mishaps.overdraws(owner):
            excessive = replace(self._seal(case, case.fields, number).record, rows=case.request.volume_max + 1)
            self._fail(case, excessive, "volume_exceeded", draft)
            self._await_delivery(case, number)
            return
        further = [name for name in self._data.columns(case.item.id) if name not in case.fields]
        beyond = further[:1] if further and mishaps.serves_beyond(owner) else []
        delivery = self._seal(case, (*case.fields, *beyond), number)
        draft.add(owner, delivery.record)
        case.made += 1
        word = receive_delivery(delivery, self._scope(case, case.made), case.fields, self._keys[case.requester.code])
        late = self._long and self._draws.chance(habits.UNACKNOWLEDGED)
        wait = habits.late_acknowledgement_wait(self._draws) if late else 1
        self._later(wait, number, case.requester, lambda now, draft: self._settle(case, word, now, draft))

    def _fail(self, case: Case, record: Deliver, code: str, draft: Draft) -> None:
        draft.add(case.owner.code, record, expected=code)
        self.planted[code] += 1

    def _seal(self, case: Case, columns: Sequence[str], number: int) -> SealedDelivery:
        """Return the case's next delivery as its provider seals it in this half-day, with these columns."""
        all_columns = self._data.columns(case.item.id)
        places = [all_columns.index(name) for name in columns]
        return seal_delivery(
            self._scope(case, case.made + 1),
            self._mishaps.table_of(case.item, number),
            columns,
            [tuple(row[place] for place in places) for row in self._selected(case)],
            self._keys[case.requester.code],
            self._sealing,
        )

    def _selected(self, case: Case) -> Sequence[Row]:
        rows = self._data.rows(case.item.id)
        columns = self._data.columns(case.item.id)
        for condition in case.request.selection:
            place = columns.index(condition.information_item)
            rows = tuple(row for row in rows if row[place] in condition.values)
        return rows

    def _scope(self, case: Case, delivery: int) -> Scope:
        return Scope(chain=Digest(self._chain), grant=case.id, number=delivery)

    def _settle(self, case: Case, word: Acknowledge | RejectDelivery, number: int, draft: Draft) -> None:
        draft.add(case.requester.code, word)
        if isinstance(word, Acknowledge):
            case.left -= 1
            if self._draws.chance(habits.OBJECTED):
                self._object(case, number, draft)
        if case.left:
            self._await_delivery(case, number)
        elif self._draws.chance(habits.REVOKED):
            self._later(1, number, case.owner, lambda now, draft: self._revoke(case, now, draft))
        elif self._draws.chance(habits.RENEWED):
            self._later(
                1,
                number,
                case.requester,
                lambda now, draft: self._ask(case.requester, case.owner, case.item, case.id, now, draft),
            )

    def _revoke(self, case: Case, number: int, draft: Draft) -> None:
        draft.add(case.owner.code, RevokeGrant(grant=case.id, reason="用途已终止 the purpose has ended"))
        if self._long:
            late = self._seal(case, case.fields, number).record
            self._later(1, number, case.owner, lambda _, draft: self._fail(case, late, "grant_ended", draft))

    def _object(self, case: Case, number: int, draft: Draft) -> None:
        objection = RaiseObjection(
            id=self._new_id(case.requester, "O"),
            data_item=case.item.id,
            kind=self._draws.choice(("wrong", "incomplete", "outdated")),
            details=Digest(self._draws.bytes(DIGEST_BYTES)),
        )
        draft.add(case.requester.code, objection)
        late = self._draws.chance(self._mishaps.late_permille(case.owner.code))
        answer = AnswerObjection(
            objection=objection.id,
            outcome="corrected" if self._draws.chance(habits.CORRECTED) else "rejected",
            reason="已核查 checked against the files",
        )
        wait = habits.answer_wait(self._draws, late=late, long=self._long)
        self._later(wait, number, case.owner, lambda _, draft: draft.add(case.owner.code, answer))

    def _later(self, wait: int, number: int, actor: DepartmentRow, step: Step) -> None:
        self._agenda[number + wait].append((actor.code, step))

    def _new_id(self, requester: DepartmentRow, letter: str) -> str:
        self._numbers[requester.code + letter] += 1
        return f"{requester.code}-{letter}{self._numbers[requester.code + letter]}"
