"""Power is lost at every single step of either side, and every byte of every stream may be the last before a cut.

Afterwards both sides start again on what is on the disk, and the same question is asked again. Whatever was the last
step: the rows are there once, the ledger counts them once, and they are those of one delivery.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ledger.blocks.record import Record
from ledger.crypto import sealing
from ledger.identifiers import ChainId, CreditCode
from ledger.registers.sharing.records import RejectDelivery, RevokeGrant
from ledger.registers.sharing.values import DeliveryStatus
from ledger.state.store import State
from nodes.exchange import chunk_files
from nodes.exchange.errors import ConnectionCutError, DeliveryBusyError, OutcomeUnknownError
from nodes.exchange.messages import Question
from nodes.exchange.requester import Progress
from nodes.exchange.store import ExchangeStore, ReceivedStep
from tests.exchange.departments_database import ITEMS, PERMITS, Department
from tests.exchange.test_deliveries import GRANTED, lines
from tests.exchange.two_departments import (
    DirectConnection,
    LedgerOf,
    TwoDepartments,
    asking,
    two_departments,
)
from tests.state.small_ledger import HOUSING, MARKET, SmallLedger

T = TypeVar("T")

CHUNK = 16


class PowerLostError(BaseException):
    """Nothing more happens in this process."""


@dataclass
class Power:
    """Counts steps that leave something behind, and fails before one of them. Once it has, no step succeeds."""

    steps: int = 0
    lost_before: int = -1

    def step(self) -> None:
        """Stand before a step."""
        if 0 <= self.lost_before <= self.steps:
            raise PowerLostError
        self.steps += 1

    def around(self, function: Callable[..., T]) -> Callable[..., T]:
        """Return `function` as a step, with one behind it."""

        def stepped(*arguments: Any, **named: Any) -> T:
            self.step()
            result = function(*arguments, **named)
            self.step()
            return result

        return stepped


@dataclass
class PoweredLedger:
    """Loses power before or after a record is executed."""

    inner: LedgerOf
    power: Power

    @property
    def me(self) -> CreditCode:
        return self.inner.me

    @property
    def chain(self) -> ChainId:
        return self.inner.chain

    def ask(self, question: Callable[[State], T]) -> T:
        return self.inner.ask(question)

    def tell(self, record: Record) -> None:
        self.power.around(self.inner.tell)(record)

    def wait_until(self, condition: Callable[[State], bool]) -> bool:
        return self.inner.wait_until(condition)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 16 bytes, so that five rows are many of them."""
    monkeypatch.setattr(sealing, "CHUNK_BYTES_MAX", CHUNK)
    monkeypatch.setattr(chunk_files, "SEALED_CHUNK_BYTES", CHUNK + sealing.TAG_BYTES)


@pytest.fixture
def two(sqlite_department: Department, tmp_path: Path, small_chunks: None) -> Iterator[TwoDepartments]:
    """Two departments with a grant between them."""
    both = two_departments(sqlite_department.database, sqlite_department.table, ITEMS, tmp_path)
    both.grant()
    yield both
    both.close()


def check_delivered_once(two: TwoDepartments, path: Path) -> None:
    """Check that the rows are there once, and the ledger knows of one delivery, acknowledged."""
    assert lines(path) == GRANTED
    grant = two.grant_now()
    assert (grant.deliveries, grant.used, grant.pending) == (1, len(PERMITS), 0)
    assert two.delivery().status is DeliveryStatus.ACKNOWLEDGED


def with_power(two: TwoDepartments, power: Power, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each write to the disk and each record a step of `power`."""
    for owner, name in (
        (os, "fsync"),
        (os, "fdatasync"),
        (os, "link"),
        (os, "pwrite"),
        (Path, "replace"),
        (Path, "unlink"),
        (ExchangeStore, "_change"),
    ):
        monkeypatch.setattr(owner, name, power.around(getattr(owner, name)))
    two.wrap = lambda ledger: PoweredLedger(ledger, power)


def steps_of_a_delivery(two: TwoDepartments, path: Path) -> int:
    """Return how many steps a delivery has that meets with no accident."""
    power = Power()
    with pytest.MonkeyPatch.context() as patch:
        with_power(two, power, patch)
        two.restart()
        power.steps = 0
        deliver(two, path)
    two.wrap = lambda ledger: ledger
    return power.steps


def deliver(two: TwoDepartments, path: Path) -> None:
    """Fetch, and have the provider clear up."""
    two.fetch(path)
    two.provider.settle()


def test_power_lost_at_any_step_delivers_once(
    sqlite_department: Department, tmp_path: Path, small_chunks: None
) -> None:
    """At each of the steps, of provider, requester and ledger alike."""

    def fresh(name: str) -> TwoDepartments:
        folder = tmp_path / name
        folder.mkdir()
        both = two_departments(sqlite_department.database, sqlite_department.table, ITEMS, folder)
        both.grant()
        return both

    whole = fresh("whole")
    steps = steps_of_a_delivery(whole, tmp_path / "whole.jsonl")
    check_delivered_once(whole, tmp_path / "whole.jsonl")
    whole.close()
    assert steps > 40
    for step in range(steps):
        two, path = fresh(str(step)), tmp_path / f"{step}.jsonl"
        power = Power()
        with pytest.MonkeyPatch.context() as patch:
            with_power(two, power, patch)
            two.restart()
            power.lost_before = power.steps + step
            with pytest.raises(PowerLostError):
                deliver(two, path)
        two.wrap = lambda ledger: ledger
        two.restart()
        if two.requester_store.receiving("AY-R1") is not None or not two.grant_now().used:
            two.fetch(path)
        two.provider.settle()
        check_delivered_once(two, path)
        assert not list((two.folder / "requester" / "inbox").iterdir())
        assert not list(tmp_path.glob(f".{path.name}*"))
        two.close()


class CutConnection(DirectConnection):
    """Breaks after a number of chunks; how many were asked for in all is counted."""

    allowed = 0
    sent = 0

    def chunks(self, first: int, count: int) -> Iterator[bytes]:
        for number, chunk in enumerate(super().chunks(first, count)):
            if number == self.allowed:
                raise ConnectionCutError("cut")
            type(self).sent += 1
            yield chunk


class CutForGood(CutConnection):
    """Breaks after four chunks, and gives none behind them."""

    allowed = 4

    def chunks(self, first: int, count: int) -> Iterator[bytes]:
        if first:
            raise ConnectionCutError("cut for good")
        return super().chunks(first, count)


def test_a_cut_after_any_chunk_is_mended(two: TwoDepartments, tmp_path: Path) -> None:
    """Each attempt goes on behind the last chunk that came; none comes twice, and the bytes are the same."""

    class Cut(CutConnection):
        allowed = 1

    two.connection = Cut
    fetched = two.fetch(tmp_path / "rows.jsonl")
    check_delivered_once(two, tmp_path / "rows.jsonl")
    assert Cut.sent == two.delivery(fetched.number).chunks > 3


def test_a_connection_that_brings_nothing_is_not_tried_for_ever(two: TwoDepartments, tmp_path: Path) -> None:
    """The cut is reported; later the same question goes on, after a start of either side too."""

    class Cut(CutConnection):
        allowed = 0

    two.connection = Cut
    with pytest.raises(ConnectionCutError):
        two.fetch(tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists()
    two.connection = DirectConnection
    two.restart()
    two.fetch(tmp_path / "rows.jsonl")
    check_delivered_once(two, tmp_path / "rows.jsonl")


@pytest.mark.parametrize("kept", range(0, 130, 13))
def test_a_received_file_cut_anywhere_is_completed(two: TwoDepartments, tmp_path: Path, kept: int) -> None:
    """In the middle of a chunk too, or with bytes that a power loss has left instead of those written."""
    two.connection = CutForGood
    with pytest.raises(ConnectionCutError):
        two.fetch(tmp_path / "rows.jsonl")
    inbox = tmp_path / "requester" / "inbox" / "AY-R1-1.sealed"
    content = inbox.read_bytes()
    assert len(content) == 4 * (CHUNK + sealing.TAG_BYTES)
    inbox.write_bytes(content[:kept] + bytes(len(content) - kept) if kept % 2 else content[:kept])
    two.connection = DirectConnection
    two.restart()
    two.fetch(tmp_path / "rows.jsonl")
    check_delivered_once(two, tmp_path / "rows.jsonl")


@dataclass
class UnsureLedger(PoweredLedger):
    """Executes a record and does not hear of it, once."""

    unsure: bool = True

    def tell(self, record: Record) -> None:
        self.inner.tell(record)
        if self.unsure:
            self.unsure = False
            raise OutcomeUnknownError("no receipt in time")


def test_a_statement_of_which_nothing_was_heard_is_not_made_twice(two: TwoDepartments, tmp_path: Path) -> None:
    """The provider's and the requester's alike: the next attempt finds them on the ledger."""
    two.wrap = lambda ledger: UnsureLedger(ledger, Power())
    two.restart()
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            two.fetch(tmp_path / "rows.jsonl")
    two.fetch(tmp_path / "rows.jsonl")
    check_delivered_once(two, tmp_path / "rows.jsonl")


def test_a_delivery_whose_bytes_are_gone_is_called_lost(two: TwoDepartments) -> None:
    """It was stated, so it cannot be made again; the requester may reject it."""
    two.provider.offer(MARKET, asking(), lambda _: None)
    two.provider.forget("AY-R1", 1)
    two.provider_store.drop_sent("AY-R1", 1)
    with pytest.raises(Exception, match="no longer kept") as lost:
        two.provider.offer(MARKET, asking(), lambda _: None)
    assert getattr(lost.value, "code", "") == "delivery_lost"


class _Busy(DirectConnection):
    """Asks again while the provider is still reading."""

    def ask(self, question: Question, working: Callable[[int], None]) -> Any:
        return self._provider.offer(self._requester, question, lambda _: self._again(question))

    def _again(self, question: Question) -> None:
        self._provider.offer(self._requester, question, lambda _: None)


def test_one_connection_at_a_time_prepares_a_delivery(two: TwoDepartments, tmp_path: Path) -> None:
    """Two of them would seal two sets of rows under one number."""
    two.connection = _Busy
    with pytest.raises(Exception, match="under way already") as busy:
        two.fetch(tmp_path / "rows.jsonl")
    assert getattr(busy.value, "code", "") == "delivery_busy"
    assert two.grant_now().deliveries == 0
    two.connection = DirectConnection
    two.fetch(tmp_path / "rows.jsonl")
    check_delivered_once(two, tmp_path / "rows.jsonl")


@pytest.mark.parametrize("lost_at", ["link", "unlink"])
def test_rows_are_forgotten_by_whichever_name_a_crash_has_left_them(
    two: TwoDepartments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost_at: str
) -> None:
    """Before they got their own, and when they had both."""
    path, owner = tmp_path / "rows.jsonl", {"link": os, "unlink": Path}[lost_at]
    partial, removed = tmp_path / ".rows.jsonl.partial", getattr(owner, lost_at)

    def lose_power(name: Path, *arguments: Any, **named: Any) -> None:
        if name == partial and partial.exists():
            raise PowerLostError
        removed(name, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, lost_at, lose_power)
        with pytest.raises(PowerLostError):
            two.fetch(path)
    assert GRANTED[0]["holder"] in partial.read_text(encoding="utf-8")
    two.restart()
    two.requester.forget("AY-R1", 1)
    assert not list(tmp_path.glob("*rows.jsonl*"))


def test_what_was_forgotten_before_it_was_there_is_fetched_anew(two: TwoDepartments, tmp_path: Path) -> None:
    """From the first chunk on, and also if all was checked and had only to get its name."""
    path = tmp_path / "rows.jsonl"
    two.connection = CutForGood
    with pytest.raises(ConnectionCutError):
        two.fetch(path)
    two.requester.forget("AY-R1", 1)
    two.connection = DirectConnection
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", Power(lost_before=0).around(os.link))
        with pytest.raises(PowerLostError):
            two.fetch(path)
    two.restart()
    two.requester.forget("AY-R1", 1)
    two.fetch(path)
    check_delivered_once(two, path)
    kept = two.requester_store.received("AY-R1", 1)
    assert kept is not None
    assert kept.question is None


def test_what_is_being_fetched_is_not_forgotten(two: TwoDepartments, tmp_path: Path) -> None:
    """Its rows would be written all the same; who forgets is told to do it again."""
    refused = []

    def forget(progress: Progress) -> None:
        if progress.stage == "writing":
            with pytest.raises(DeliveryBusyError):
                two.requester.forget("AY-R1", 1)
            refused.append(progress)

    two.fetch(tmp_path / "rows.jsonl", report=forget)
    assert refused
    two.requester.forget("AY-R1", 1)
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.parametrize("ended_by", ["revocation", "rejection"])
def test_what_can_be_fetched_no_more_is_cleared(two: TwoDepartments, tmp_path: Path, ended_by: str) -> None:
    """Sealed bytes and the question, which may name persons, once the grant has ended or somebody has rejected it."""
    two.connection = CutForGood
    with pytest.raises(ConnectionCutError):
        two.fetch(tmp_path / "rows.jsonl")
    inbox = tmp_path / "requester" / "inbox"
    two.requester.settle()
    assert [file.name for file in inbox.iterdir()] == ["AY-R1-1.sealed"]
    if ended_by == "revocation":
        two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused"))
    else:
        two.small.put(MARKET, RejectDelivery(grant="AY-R1", number=1, reason="truncated"))
    two.requester.settle()
    assert not list(inbox.iterdir())
    kept = two.requester_store.received("AY-R1", 1)
    assert kept is not None
    assert (kept.step, kept.question) == (ReceivedStep.SETTLED, None)


def test_rows_that_are_there_are_acknowledged_though_the_grant_has_ended(two: TwoDepartments, tmp_path: Path) -> None:
    """Power was lost in between: they count, and are not cleared as what never came."""
    path = tmp_path / "rows.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two.requester, "_finish", Power(lost_before=0).around(two.requester._finish))
        with pytest.raises(PowerLostError):
            two.fetch(path)
    two.restart()
    two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused"))
    two.requester.settle()
    two.fetch(path)
    check_delivered_once(two, path)


def test_what_is_being_fetched_is_not_cleared(two: TwoDepartments, tmp_path: Path) -> None:
    """The grant may end in the middle; what came before it is acknowledged all the same."""

    def end(progress: Progress) -> None:
        if progress.stage == "writing":
            two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused"))
            two.requester.settle()

    two.fetch(tmp_path / "rows.jsonl", report=end)
    check_delivered_once(two, tmp_path / "rows.jsonl")


@pytest.mark.parametrize("then", ["forgotten", "fetched elsewhere", "ended", "rejected"])
def test_rows_half_written_do_not_outlive_their_delivery(two: TwoDepartments, tmp_path: Path, then: str) -> None:
    """Power was lost while they were written: they go with the delivery, wherever it went in the end."""
    path, store = tmp_path / "rows.jsonl", two.requester_store
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "mark_written", Power(lost_before=0).around(store.mark_written))
        with pytest.raises(PowerLostError):
            two.fetch(path)
    assert GRANTED[0]["holder"] in (tmp_path / ".rows.jsonl.partial").read_text(encoding="utf-8")
    two.restart()
    path.write_text("somebody else's")
    if then == "forgotten":
        two.requester.forget("AY-R1", 1)
    elif then == "ended":
        two.small.put(HOUSING, RevokeGrant(grant="AY-R1", reason="misused"))
        two.requester.settle()
    elif then == "rejected":
        two.small.put(MARKET, RejectDelivery(grant="AY-R1", number=1, reason="truncated"))
        assert two.fetch(tmp_path / "elsewhere.jsonl").number == 2
    else:
        two.fetch(tmp_path / "elsewhere.jsonl")
        check_delivered_once(two, tmp_path / "elsewhere.jsonl")
    assert not (tmp_path / ".rows.jsonl.partial").exists()
    assert path.read_text() == "somebody else's"


class LedgerBehind(LedgerOf):
    """A member that has lost its journal, and has executed nothing yet of what it will hear from others."""

    def ask(self, question: Callable[[State], T]) -> T:
        return question(SmallLedger().state)


def test_a_node_that_is_behind_clears_nothing(two: TwoDepartments, tmp_path: Path) -> None:
    """What its ledger does not know yet has not ended: neither side loses a delivery that is on its way."""
    two.connection = CutForGood
    with pytest.raises(ConnectionCutError):
        two.fetch(tmp_path / "rows.jsonl")
    two.wrap = lambda ledger: LedgerBehind(ledger.small, ledger.me)
    two.restart()
    two.provider.settle()
    two.requester.settle()
    two.wrap, two.connection = lambda ledger: ledger, DirectConnection
    two.restart()
    assert two.fetch(tmp_path / "rows.jsonl").number == 1
    check_delivered_once(two, tmp_path / "rows.jsonl")
