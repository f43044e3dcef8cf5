"""A delivery from the provider's database to the requester's file, and every way in which it must not happen."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.blocks.record import Record
from ledger.errors import LedgerError, NotYetError
from ledger.registers.sharing.records import RevokeGrant
from ledger.registers.sharing.values import DeliveryStatus
from nodes.exchange.databases import DatabaseBusyError
from nodes.exchange.errors import NoRoomError
from nodes.exchange.messages import Offer, Question
from nodes.exchange.outputs import OutputError
from nodes.exchange.provider import RELEASE_LOOKS_MAX
from tests.exchange.departments_database import ITEMS, PERMITS, Department
from tests.exchange.two_departments import (
    ITEM,
    TABLE,
    DirectConnection,
    TwoDepartments,
    asking,
    published,
    two_departments,
)
from tests.state.small_ledger import DAY_MS, HOUSING, MARKET

GRANTED = [{"permit_no": row[1], "holder": row[2], "floors": row[4]} for row in PERMITS]


@pytest.fixture
def two(department: Department, tmp_path: Path) -> Iterator[TwoDepartments]:
    """Two departments, and the permits of one of them."""
    both = two_departments(department.database, department.table, ITEMS, tmp_path, subjects={TABLE: "name"})
    yield both
    both.close()


def lines(path: Path) -> list[object]:
    """Return the rows of an output of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_granted_columns_and_rows_arrive_and_are_acknowledged(two: TwoDepartments, tmp_path: Path) -> None:
    """Exactly those of the grant; its use is what was acknowledged; nothing of it stays in a box."""
    two.grant(selection=asking(district=("海淀", "西城")).selection)
    fetched = two.fetch(tmp_path / "rows.jsonl")
    assert lines(tmp_path / "rows.jsonl") == [
        row for row, whole in zip(GRANTED, PERMITS, strict=True) if whole[3] != "朝阳"
    ]
    assert (fetched.number, fetched.rows) == (1, 4)
    assert two.delivery().status is DeliveryStatus.ACKNOWLEDGED
    grant = two.grant_now()
    assert (grant.used, grant.pending, grant.deliveries) == (4, 0, 1)
    two.provider.settle()
    assert not list((tmp_path / "requester" / "inbox").iterdir())
    assert [path.suffix for path in (tmp_path / "provider" / "outbox").iterdir()] == [".tags"]


def test_a_question_takes_some_of_what_was_granted(two: TwoDepartments, tmp_path: Path) -> None:
    """Fewer fields in an order of its own, and a condition on a granted one."""
    two.grant()
    two.fetch(tmp_path / "rows.jsonl", fields=("floors", "permit number"), floors=("6",))
    assert lines(tmp_path / "rows.jsonl") == [
        {"floors": 6, "permit_no": "P-001"},
        {"floors": 6, "permit_no": "P-005"},
    ]


def test_a_delivery_may_have_no_rows(two: TwoDepartments, tmp_path: Path) -> None:
    """That there is nothing is an answer too, with its columns, and is acknowledged."""
    two.grant()
    assert two.fetch(tmp_path / "rows.csv", floors=("99",)).rows == 0
    assert (tmp_path / "rows.csv").read_bytes() == b"permit_no,holder,floors\r\n"


def test_each_fetch_is_a_delivery_of_its_own(two: TwoDepartments, tmp_path: Path) -> None:
    """Numbered in their order; volumes add up."""
    two.grant()
    for number in (1, 2, 3):
        assert two.fetch(tmp_path / f"{number}.jsonl").number == number
    assert two.grant_now().used == 15


@pytest.mark.parametrize(("floors", "holds"), [("12", True), ("13", False)])
def test_a_verification_answers_yes_or_no(two: TwoDepartments, tmp_path: Path, floors: str, holds: bool) -> None:
    """One row with the answer; no row of the database leaves it."""
    two.grant(mode="verification", volume_max=1)
    assert two.fetch(tmp_path / "answer.jsonl", floors=(floors,)).rows == 1
    assert lines(tmp_path / "answer.jsonl") == [{"holds": holds}]
    with pytest.raises(LedgerError) as refused:
        two.fetch(tmp_path / "again.jsonl", floors=(floors,))
    assert refused.value.code == "volume_exceeded"


def test_a_verification_needs_a_condition(two: TwoDepartments, tmp_path: Path) -> None:
    """Whether there is any row at all is nobody's question."""
    two.grant(mode="verification", volume_max=1)
    with pytest.raises(LedgerError) as refused:
        two.fetch(tmp_path / "answer.jsonl")
    assert refused.value.code == "bad_question"


def expect_refusal(two: TwoDepartments, path: Path, code: str, **question: object) -> None:
    """Check that a fetch fails with `code` and leaves nothing anywhere, on the ledger neither."""
    deliveries = two.grant_now().deliveries
    with pytest.raises(LedgerError) as refused:
        two.fetch(path, **question)
    assert refused.value.code == code
    assert two.grant_now().deliveries == deliveries
    assert not path.exists()
    assert not list((two.folder / "provider" / "outbox").iterdir())


@pytest.mark.parametrize(
    ("code", "question"),
    [
        ("column_not_granted", {"fields": ("phone",)}),
        ("column_not_granted", {"district": ("海淀",)}),
        ("field_not_held", {"fields": ("colour",)}),
        ("bad_question", {"table": "AN-01-D1-T9"}),
        ("bad_question", {"name": ("\x00",)}),
    ],
)
def test_a_question_beyond_the_grant_is_refused(
    two: TwoDepartments, tmp_path: Path, code: str, question: dict[str, object]
) -> None:
    """A column that was not granted is neither delivered nor compared."""
    two.grant()
    expect_refusal(two, tmp_path / "rows.jsonl", code, **question)


def test_more_rows_than_the_grant_has_left_are_not_sealed(two: TwoDepartments, tmp_path: Path) -> None:
    """Counted while they are read; the ledger hears nothing of it."""
    two.grant(volume_max=4)
    expect_refusal(two, tmp_path / "rows.jsonl", "volume_exceeded")
    two.fetch(tmp_path / "some.jsonl", floors=("6",))
    with pytest.raises(LedgerError) as refused:
        two.fetch(tmp_path / "more.jsonl")
    assert refused.value.code == "volume_exceeded"
    assert two.grant_now().used == 2


def test_a_revoked_grant_delivers_nothing(two: TwoDepartments, tmp_path: Path) -> None:
    """From the block on that revokes it."""
    two.grant()
    assert two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused")) == ["accepted"]
    expect_refusal(two, tmp_path / "rows.jsonl", "grant_ended")


def test_an_expired_grant_delivers_nothing(two: TwoDepartments, tmp_path: Path) -> None:
    """The whole last day belongs to it, the next does not."""
    two.grant(last_day="2025-09-20", mode="database")
    two.small.execute(time_ms=two.small.genesis.created_ms + 5 * DAY_MS)
    two.fetch(tmp_path / "last.jsonl")
    two.provider.settle()
    (tmp_path / "provider" / "outbox" / "AY-R1-1.tags").unlink()
    two.small.execute(time_ms=two.small.genesis.created_ms + 6 * DAY_MS)
    expect_refusal(two, tmp_path / "rows.jsonl", "grant_expired")


def test_the_database_is_closed_to_a_grant_that_has_ended(
    two: TwoDepartments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, also after a restart; not before the end; and what stands in the way now is tried again."""
    release, released = two.database.release, list[str]()
    busy = [DatabaseBusyError("a session reads the table")]

    def recorded(grant: str) -> None:
        if busy:
            raise busy.pop()
        release(grant)
        released.append(grant)

    monkeypatch.setattr(two.database, "release", recorded)
    two.grant()
    two.grant("AY-R2", last_day="2025-09-20")
    for name in ("AY-R1", "AY-R2"):
        two.fetch(tmp_path / f"{name}.jsonl", grant=name)
    two.provider.release()
    assert busy
    assert not released
    assert two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused")) == ["accepted"]
    two.provider.release()
    two.restart()
    two.provider.release()
    assert released == ["AY-R1"]
    two.small.execute(time_ms=two.small.genesis.created_ms + 6 * DAY_MS)
    for _ in range(2):
        two.provider.release()
    assert released == ["AY-R1", "AY-R2"]


def test_what_cannot_be_closed_is_tried_ever_less_often(
    two: TwoDepartments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database without a steward never can; it is asked at every hour's look at last, and complained of once."""
    looks = 0
    tried: list[int] = []

    def release(_: str) -> None:
        tried.append(looks)
        raise DatabaseBusyError("nobody may change the role")

    monkeypatch.setattr(two.database, "release", release)
    two.grant()
    two.fetch(tmp_path / "rows.jsonl")
    assert two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused")) == ["accepted"]
    for _ in range(4 * RELEASE_LOOKS_MAX):
        two.provider.release()
        looks += 1
    assert tried[:6] == [0, 1, 3, 7, 15, 31]
    assert tried[-1] - tried[-2] == RELEASE_LOOKS_MAX
    assert len([record for record in caplog.records if "still open" in record.message]) == 1


def test_an_unknown_grant_and_one_of_another_department_deliver_nothing(two: TwoDepartments, tmp_path: Path) -> None:
    """Neither at the requester, nor at a provider that is asked nevertheless."""
    two.grant()
    with pytest.raises(LedgerError) as unknown:
        two.fetch(tmp_path / "rows.jsonl", grant="AY-R9")
    assert unknown.value.code == "unknown_grant"
    with pytest.raises(LedgerError) as foreign:
        two.provider.offer(HOUSING, asking(), lambda _: None)
    assert foreign.value.code == "not_the_requester"


def test_drift_is_found_and_recorded(two: TwoDepartments, department: Department, tmp_path: Path) -> None:
    """A table that silently changed delivers nothing; the ledger has its schema; once published anew all is well."""
    two.grant()
    department.run("ALTER TABLE permits ADD COLUMN colour TEXT")
    expect_refusal(two, tmp_path / "rows.jsonl", "schema_drifted")
    expect_refusal(two, tmp_path / "rows.jsonl", "schema_drifted")
    reports = [
        execution for execution in two.small.executions if b"sharing/drift/" + TABLE.encode() in execution.changes
    ]
    assert len(reports) == 1
    columns = department.entry().columns
    assert two.small.put(HOUSING, published(columns, revision=2)) == ["accepted"]
    assert two.fetch(tmp_path / "rows.jsonl").rows == 5


def test_a_table_that_was_changed_back_is_reported_so(
    two: TwoDepartments, department: Department, tmp_path: Path
) -> None:
    """The report that it drifted is taken back by the next delivery."""
    two.grant()
    department.run("ALTER TABLE permits ADD COLUMN colour TEXT")
    expect_refusal(two, tmp_path / "rows.jsonl", "schema_drifted")
    department.run("ALTER TABLE permits DROP COLUMN colour")
    assert two.fetch(tmp_path / "rows.jsonl").rows == 5


def test_a_database_that_is_down_delivers_nothing(two: TwoDepartments, department: Department, tmp_path: Path) -> None:
    """With a code of its own, and the next attempt goes through."""
    two.grant()
    department.run("ALTER TABLE permits RENAME TO elsewhere")
    expect_refusal(two, tmp_path / "rows.jsonl", "table_missing")
    department.run("ALTER TABLE elsewhere RENAME TO permits")
    assert two.fetch(tmp_path / "rows.jsonl").rows == 5


def test_who_read_about_a_subject_is_known_from_the_tags(two: TwoDepartments, tmp_path: Path) -> None:
    """However the name is written; deliveries that were about others are not found."""
    two.grant()
    two.fetch(tmp_path / "1.jsonl", floors=("6",))
    two.fetch(tmp_path / "2.jsonl", floors=("12",))
    assert [(one.grant, one.number) for one in two.provider.served("王芳")] == [("AY-R1", 1)]
    assert [(one.grant, one.number) for one in two.provider.served(" 李 伟")] == [("AY-R1", 2)]
    assert two.provider.served("张敏") == []
    assert two.provider_store.untraceable() == 0


def test_a_verification_is_traced_by_what_was_asked(two: TwoDepartments, tmp_path: Path) -> None:
    """Whom the question names, also if the answer was no."""
    two.grant(mode="verification", volume_max=5)
    two.fetch(tmp_path / "answer.jsonl", name=("赵六",))
    assert len(two.provider.served("赵六")) == 1


def test_what_was_asked_is_gone_once_it_is_answered(two: TwoDepartments, tmp_path: Path) -> None:
    """A question names a person; neither side keeps it beyond the answer, not even where its database wrote over it."""
    two.grant(mode="verification", volume_max=5)
    two.fetch(tmp_path / "answer.jsonl", name=("赵六",))
    two.provider.settle()
    kept = [path for side in ("provider", "requester") for path in (tmp_path / side).rglob("*") if path.is_file()]
    assert {"exchange.db", "exchange.db-wal"} <= {path.name for path in kept}
    assert [path for path in kept if "赵六".encode() in path.read_bytes()] == []


@pytest.mark.parametrize("stated", [False, True], ids=["never stated", "stated"])
def test_what_nobody_can_fetch_any_more_is_gone_once_its_grant_has_ended(
    two: TwoDepartments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stated: bool
) -> None:
    """Bytes and question, of one that was stated and of one that was only sealed; not a moment before."""

    def tell(_: Record) -> None:
        raise NotYetError("the pool is full")

    two.grant(mode="verification", volume_max=5)
    with monkeypatch.context() as patched, contextlib.suppress(NotYetError):
        if not stated:
            patched.setattr(two.provider._ledger, "tell", tell)
        two.provider.offer(MARKET, asking(name=("赵六",)), lambda _: None)
    outbox = tmp_path / "provider" / "outbox"
    two.provider.settle()
    assert (outbox / "AY-R1-1.sealed").exists()
    assert two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused")) == ["accepted"]
    two.provider.settle()
    assert [path.suffix for path in outbox.iterdir()] == ([".tags"] if stated else [])
    assert len(two.provider.served("赵六")) == stated
    assert not two.provider_store.unsettled()
    kept = [path for path in (tmp_path / "provider").rglob("*") if path.is_file()]
    assert [path for path in kept if "赵六".encode() in path.read_bytes()] == []


def test_deliveries_that_say_not_whom_they_are_about_are_counted(two: TwoDepartments, tmp_path: Path) -> None:
    """An answer to who read what must say what it does not cover."""
    two.grant()
    two.fetch(tmp_path / "rows.jsonl", fields=("floors",))
    assert two.provider.served("王芳") == []
    assert two.provider_store.untraceable() == 1


def test_what_was_forgotten_is_gone(two: TwoDepartments, tmp_path: Path) -> None:
    """Keys, tags and the output; what the ledger has stays as it is."""
    two.grant()
    two.fetch(tmp_path / "rows.jsonl")
    before = two.delivery()
    two.provider.settle()
    kept = two.provider_store.sent("AY-R1", 1)
    assert kept is not None
    assert kept.commitment_key is not None
    two.provider.forget("AY-R1", 1)
    two.requester.forget("AY-R1", 1)
    assert two.provider.served("王芳") == []
    assert two.provider_store.untraceable() == 1
    assert not (tmp_path / "rows.jsonl").exists()
    assert two.delivery() == before
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert kept.commitment_key not in file.read_bytes(), file


def test_an_open_delivery_that_was_forgotten_is_lost(two: TwoDepartments, tmp_path: Path) -> None:
    """No question gets it any more, the same one neither: the requester is told to reject it."""
    two.grant()
    two.provider.offer(two.requester._ledger.me, asking(), lambda _: None)
    two.provider.forget("AY-R1", 1)
    with pytest.raises(LedgerError) as refused:
        two.fetch(tmp_path / "rows.jsonl")
    assert refused.value.code == "delivery_lost"


def test_a_file_in_the_place_of_the_output_is_not_forgotten(two: TwoDepartments, tmp_path: Path) -> None:
    """It may be anything; who forgets hears of it, and the keys are gone in any case."""
    two.grant()
    path = tmp_path / "rows.jsonl"
    two.fetch(path)
    path.unlink()
    path.write_text("something else")
    with pytest.raises(OutputError, match="is not what was written"):
        two.requester.forget("AY-R1", 1)
    assert path.read_text() == "something else"
    kept = two.requester_store.received("AY-R1", 1)
    assert kept is not None
    assert kept.commitment_key is None


def test_keys_are_not_called_gone_while_a_reader_keeps_where_they_stood(two: TwoDepartments, tmp_path: Path) -> None:
    """A backup, for one: who forgets is told to do it again, and then they are."""
    two.grant()
    two.fetch(tmp_path / "rows.jsonl")
    store, kept = two.provider_store, two.provider_store.sent("AY-R1", 1)
    assert kept is not None
    assert kept.commitment_key is not None
    store._connection.execute("PRAGMA busy_timeout = 0")
    with contextlib.closing(sqlite3.connect(tmp_path / "provider" / "exchange.db", isolation_level=None)) as backup:
        backup.execute("BEGIN")
        backup.execute("SELECT count(*) FROM sent").fetchall()
        with pytest.raises(NotYetError, match="is being read by another program") as refused:
            two.provider.forget("AY-R1", 1)
        assert refused.value.code == "exchange_busy"
    two.provider.forget("AY-R1", 1)
    for file in (tmp_path / "provider").glob("exchange.db*"):
        assert kept.commitment_key not in file.read_bytes()


@pytest.mark.parametrize("side", ["provider", "requester"])
def test_a_store_without_room_is_said_so(two: TwoDepartments, tmp_path: Path, side: str) -> None:
    """Nothing is stated or written; once there is room, the same question goes through."""
    two.grant()
    store = two.provider_store if side == "provider" else two.requester_store
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    # More than the pages that are there can hold.
    many = tuple(f"{number:0200d}" for number in range(100))
    with pytest.raises(NoRoomError, match=r"exchange\.db cannot be written"):
        two.fetch(tmp_path / "rows.jsonl", name=("王芳", *many[1:]))
    assert not (tmp_path / "rows.jsonl").exists()
    box = {"provider": "outbox", "requester": "inbox"}[side]
    assert not list((tmp_path / side / box).iterdir())
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert two.fetch(tmp_path / "rows.jsonl", name=("王芳", *many[1:])).rows == 1


class Repeating(DirectConnection):
    """A provider that offers once more what was delivered before."""

    def ask(self, question: Question, working: Callable[[int], None]) -> Offer:
        kept = self._provider._store.sent(question.grant, 1)
        assert kept is not None
        self.offer = kept.offer
        return self.offer


@pytest.mark.parametrize("known", [True, False], ids=["kept here", "lost here"])
def test_a_delivery_that_was_settled_is_not_taken_again(two: TwoDepartments, tmp_path: Path, known: bool) -> None:
    """Whether the requester still knows of it or not, nothing is written and nothing is stated."""
    two.grant()
    two.fetch(tmp_path / "rows.jsonl")
    if not known:
        (tmp_path / "requester" / "exchange.db").unlink()
        two.restart()
    two.connection = Repeating
    before = two.small.state.height
    with pytest.raises(LedgerError) as refused:
        two.fetch(tmp_path / "again.jsonl")
    assert refused.value.code == "connection_cut"
    assert two.small.state.height == before
    assert not (tmp_path / "again.jsonl").exists()


def test_an_open_delivery_is_finished_before_another_question_is_answered(two: TwoDepartments, tmp_path: Path) -> None:
    """Rows are reserved for it on the ledger; asking the same again gets the same bytes."""
    two.grant()
    offer = two.provider.offer(two.requester._ledger.me, asking(), lambda _: None)
    with pytest.raises(LedgerError) as refused:
        two.fetch(tmp_path / "other.jsonl", floors=("6",))
    assert refused.value.code == "delivery_open"
    assert two.provider.offer(two.requester._ledger.me, asking(), lambda _: None) == offer
    assert two.fetch(tmp_path / "rows.jsonl").number == 1


def test_the_item_of_the_grant_is_the_one_delivered(two: TwoDepartments, tmp_path: Path) -> None:
    """What the delivery says of itself is what the catalogue says of the table."""
    two.grant()
    two.fetch(tmp_path / "rows.jsonl")
    delivery = two.delivery()
    assert (delivery.table, delivery.schema) == (TABLE, two.entry().schema)
    assert two.entry().data_item == ITEM == two.grant_now().data_item
