"""The register of directories: each rule with its code, and the invariants under random records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.identifiers import CreditCode
from ledger.members.departments import Department, department_key
from ledger.registers.catalogue import Column, DataItem, Sharing, Table, data_item_key, schema_hash, table_key
from ledger.registers.directories.queries import data_items, orphans, tables
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishSystem,
    WithdrawDataItem,
    WithdrawResponsibility,
    WithdrawTable,
)
from ledger.registers.directories.refusals import DirectoriesRefusal
from ledger.registers.shared import ReferenceRefusal, Responsibility, responsibility_key
from tests.registers.catalogue import COLUMNS, METADATA, catalogued, data_item, responsibility, table
from tests.state.small_ledger import AUTHORITY, HOUSING, MARKET, REGISTRAR, TAX, SmallLedger

SYSTEM = PublishSystem(
    id="AN-S1", revision=1, name_zh="许可系统", name_en="", location="municipal cloud", protection_level=3
)


def with_columns(*columns: Column) -> Record:
    """Return a table with these columns and their right hash."""
    return replace(table(), columns=columns, schema=schema_hash(columns))


def with_sharing(type_: int, condition: str) -> Record:
    """Return a data item with these sharing attributes."""
    sharing = Sharing(type=type_, condition=condition, mode="database")  # type: ignore[arg-type]
    return replace(data_item(revision=2), metadata=replace(METADATA, sharing=sharing))


REFUSED: list[tuple[str, CreditCode, Record]] = [
    ("not_the_owner", MARKET, responsibility("AN-01", 2)),
    ("not_the_owner", MARKET, data_item("AN-01-D1", 2, under="AY-01")),
    ("not_the_owner", MARKET, table(of="AN-01-D1")),
    ("not_the_owner", MARKET, WithdrawDataItem(id="AN-01-D1", reason="no")),
    ("not_the_owner", MARKET, WithdrawResponsibility(id="AN-01", reason="no")),
    ("revision_not_next", HOUSING, responsibility("AN-01", 1)),
    ("revision_not_next", HOUSING, responsibility("AN-01", 3)),
    ("revision_not_next", HOUSING, responsibility("AN-02", 2)),
    ("revision_not_newest", REGISTRAR, ApproveResponsibility(id="AN-01", revision=2)),
    ("approved_before", REGISTRAR, ApproveResponsibility(id="AN-01", revision=1)),
    ("approved_before", AUTHORITY, ApproveDataItem(id="AN-01-D1", revision=1)),
    ("unknown_responsibility", REGISTRAR, ApproveResponsibility(id="AN-09", revision=1)),
    ("unknown_responsibility", HOUSING, data_item("AN-09-D1", under="AN-09")),
    ("unknown_responsibility", HOUSING, WithdrawResponsibility(id="AN-09", reason="no")),
    ("not_own_responsibility", HOUSING, data_item("AN-01-D2", under="AY-01")),
    ("unknown_data_item", HOUSING, table(of="AN-01-D9")),
    ("unknown_data_item", AUTHORITY, ApproveDataItem(id="AN-01-D9", revision=1)),
    ("unknown_system", HOUSING, replace(table(), system="AN-S9")),
    ("unknown_table", HOUSING, WithdrawTable(id="AN-01-T9", reason="no")),
    ("schema_hash", HOUSING, replace(table(), schema=schema_hash(COLUMNS[::-1]))),
    ("unknown_information_item", HOUSING, with_columns(replace(COLUMNS[0], information_item="colour"))),
    ("repeated_name", HOUSING, with_columns(COLUMNS[0], COLUMNS[0])),
    ("repeated_name", HOUSING, replace(data_item("AN-01-D2"), responsibilities=("AN-01", "AN-01"))),
    ("condition_missing", HOUSING, with_sharing(2, "")),
    ("condition_missing", HOUSING, with_sharing(3, "")),
    ("condition_not_allowed", HOUSING, with_sharing(1, "if you must")),
    ("not_authorised", AUTHORITY, ApproveResponsibility(id="AN-01", revision=1)),
    ("not_authorised", REGISTRAR, ApproveDataItem(id="AN-01-D1", revision=1)),
]


@pytest.mark.parametrize(("label", "department", "record"), REFUSED)
def test_a_broken_rule_has_its_code(label: str, department: CreditCode, record: Record) -> None:
    """On a ledger where all else is in order."""
    assert catalogued().put(department, record) == [label]


def test_what_is_not_approved_carries_nothing() -> None:
    """A data item needs an approved responsibility, a table an approved data item."""
    ledger = SmallLedger()
    assert ledger.put(HOUSING, responsibility(), data_item()) == ["accepted", "responsibility_not_approved"]
    ledger.put(REGISTRAR, ApproveResponsibility(id="AN-01", revision=1))
    assert ledger.put(HOUSING, data_item(), table()) == ["accepted", "data_item_not_approved"]
    ledger.put(AUTHORITY, ApproveDataItem(id="AN-01-D1", revision=1))
    assert ledger.put(HOUSING, SYSTEM, replace(table(), system="AN-S1")) == ["accepted", "accepted"]


def test_what_is_withdrawn_stays_withdrawn() -> None:
    """No revision, no approval, no second withdrawal, and nothing new may rest on it."""
    ledger = catalogued()
    assert ledger.put(HOUSING, table(), WithdrawTable(id="AN-01-T1", reason="moved")) == ["accepted", "accepted"]
    ledger.put(HOUSING, WithdrawDataItem(id="AN-01-D1", reason="moved"))
    ledger.put(HOUSING, responsibility("AN-01", 2))
    ledger.put(REGISTRAR, WithdrawResponsibility(id="AN-01", reason="reform"))
    assert (
        ledger.put(
            HOUSING,
            table(revision=2),
            data_item(revision=2),
            WithdrawDataItem(id="AN-01-D1", reason="again"),
            responsibility("AN-01", 3),
            WithdrawResponsibility(id="AN-01", reason="again"),
        )
        == ["withdrawn"] * 5
    )
    assert ledger.put(REGISTRAR, ApproveResponsibility(id="AN-01", revision=2)) == ["withdrawn"]
    assert ledger.put(HOUSING, data_item("AN-01-D3"), table("AN-01-T3")) == [
        "responsibility_not_approved",
        "data_item_not_approved",
    ]


def test_a_new_revision_waits_without_taking_the_approved_one_away() -> None:
    """Until the registrar signs for revision 2, revision 1 goes on counting."""
    ledger = catalogued()
    assert ledger.put(HOUSING, responsibility("AN-01", 2), data_item("AN-01-D2")) == ["accepted", "accepted"]
    before = ledger.state.get(responsibility_key("AN-01"), Responsibility)
    assert before is not None
    assert (before.revision, before.approved_revision, before.counts) == (2, 1, True)
    assert ledger.put(REGISTRAR, ApproveResponsibility(id="AN-01", revision=1)) == ["revision_not_newest"]
    assert ledger.put(REGISTRAR, ApproveResponsibility(id="AN-01", revision=2)) == ["accepted"]


def test_a_withdrawn_responsibility_leaves_orphans_until_they_find_another() -> None:
    """They are listed, still readable, and leave the list when they are published under one that counts."""
    ledger = catalogued()
    ledger.put(HOUSING, responsibility("AN-02"), table())
    ledger.put(REGISTRAR, ApproveResponsibility(id="AN-02", revision=1))
    assert orphans(ledger.state).data_items == ()
    ledger.put(HOUSING, WithdrawResponsibility(id="AN-01", reason="reform"))
    assert orphans(ledger.state).data_items == ("AN-01-D1",)
    assert ledger.put(HOUSING, data_item(revision=2, under="AN-02")) == ["accepted"]
    assert orphans(ledger.state).data_items == ()
    ledger.put(HOUSING, WithdrawDataItem(id="AN-01-D1", reason="no longer kept"))
    assert orphans(ledger.state).tables == ("AN-01-T1",)
    assert ledger.state.get(table_key("AN-01-T1"), Table) is not None


def test_publishing_needs_functions_of_its_own() -> None:
    """A provider may publish; a member that only supervises may not."""
    assert SmallLedger().put(TAX, responsibility("X2-01")) == ["accepted"]
    ledger = SmallLedger()
    ledger.state.values.update(_only_an_auditor(ledger))
    assert ledger.put(TAX, responsibility("X2-01"), data_item(), table(), SYSTEM) == ["not_authorised"] * 4


def _only_an_auditor(ledger: SmallLedger) -> dict[bytes, object]:
    department = ledger.state.get(department_key(TAX), Department)
    assert department is not None
    return {department_key(TAX): replace(department, roles=("auditor",))}


def test_every_code_of_the_register_is_reached() -> None:
    """No code is documented that no record can get; the rest is in the other tests of this file."""
    in_table = {label for label, _, _ in REFUSED}
    elsewhere = {"withdrawn", "responsibility_not_approved", "data_item_not_approved"}
    assert {code.label for code in (*DirectoriesRefusal, *ReferenceRefusal)} == (in_table | elsewhere) - {
        "not_authorised"
    }


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "approve", "approve", "withdraw"]),
        st.sampled_from(["responsibility", "data item", "data item", "table"]),
        st.sampled_from(["AN-01", "AN-02", "AY-01"]),
        st.sampled_from(["AN-01", "AN-02", "AY-01"]),
        st.sampled_from([0, 0, 0, 0, 1, -1]),
        st.sampled_from([None, None, None, None, HOUSING, MARKET, AUTHORITY, REGISTRAR]),
    ),
    min_size=10,
    max_size=40,
)
"""What happens, to what, its id, what it rests on, how far its revision is off, and by whom if not by the right one."""

OWNERS = {"AN": HOUSING, "AY": MARKET}


def _statement(
    ledger: SmallLedger, verb: str, what: str, name: str, ground: str, slip: int
) -> tuple[CreditCode, Record]:
    """Return who rightly says it, and the record, which is right but for `slip` and for what the state allows."""
    owner = OWNERS[name[:2]]
    value: Any
    match what:
        case "responsibility":
            value = ledger.state.get(responsibility_key(name), Responsibility)
        case "data item":
            value = ledger.state.get(data_item_key(f"{name}-D1"), DataItem)
        case _:
            value = ledger.state.get(table_key(f"{name}-T1"), Table)
    newest = (value.revision if value else 0) + slip
    match verb, what:
        case "publish", "responsibility":
            return owner, responsibility(name, max(newest + 1, 1))
        case "publish", "data item":
            return owner, data_item(f"{name}-D1", max(newest + 1, 1), under=ground)
        case "publish", _:
            return owner, table(f"{name}-T1", max(newest + 1, 1), of=f"{ground}-D1")
        case "approve", "responsibility":
            return REGISTRAR, ApproveResponsibility(id=name, revision=max(newest, 1))
        case "approve", _:
            return AUTHORITY, ApproveDataItem(id=f"{name}-D1", revision=max(newest, 1))
        case _, "responsibility":
            return REGISTRAR, WithdrawResponsibility(id=name, reason="reform")
        case _, "data item":
            return owner, WithdrawDataItem(id=f"{name}-D1", reason="reform")
    return owner, WithdrawTable(id=f"{name}-T1", reason="reform")


@settings(max_examples=150)
@given(STEPS)
def test_the_directories_keep_their_invariants(
    steps: list[tuple[str, str, str, str, int, CreditCode | None]],
) -> None:
    """Under any records of any departments: one owner, whole chains, revisions in order, nothing lost."""
    ledger = catalogued()
    for *what, stranger in steps:
        rightly, record = _statement(ledger, *what)  # type: ignore[arg-type]
        department = stranger or rightly
        before = dict(ledger.state.items(b"directories/"))
        ledger.put(department, record)
        after = dict(ledger.state.items(b"directories/"))
        assert before.keys() <= after.keys()
        for key, value in after.items():
            if value != before.get(key):
                _check_step(department, before.get(key), value)
    _check_chains(ledger)
    _check_orphans(ledger)


def _check_step(department: CreditCode, old: Any, new: Any) -> None:
    owner = new.department if isinstance(new, Responsibility) else new.owner
    if old is None:
        assert (department, new.revision, getattr(new, "approved_revision", 0)) == (owner, 1, 0)
        return
    assert owner == (old.department if isinstance(old, Responsibility) else old.owner)
    assert not old.withdrawn_height
    if new.revision != old.revision:
        assert (department, new.revision) == (owner, old.revision + 1)
    elif new.withdrawn_height:
        assert department == owner or (department == REGISTRAR and isinstance(new, Responsibility))
    else:
        assert department == (REGISTRAR if isinstance(new, Responsibility) else AUTHORITY)
        assert old.approved_revision < new.approved_revision == new.revision


def _check_chains(ledger: SmallLedger) -> None:
    for item in data_items(ledger.state):
        for name in item.responsibilities:
            ground = ledger.state.get(responsibility_key(name), Responsibility)
            assert ground is not None
            assert ground.department == item.owner
            assert ground.approved_revision > 0
    for found in tables(ledger.state):
        held = ledger.state.get(data_item_key(found.data_item), DataItem)
        assert held is not None
        assert (held.owner, found.schema) == (found.owner, schema_hash(found.columns))
        assert held.approved_revision > 0


def _check_orphans(ledger: SmallLedger) -> None:
    listed = orphans(ledger.state)
    for item in data_items(ledger.state):
        grounds = [ledger.state.get(responsibility_key(name), Responsibility) for name in item.responsibilities]
        lost = all(ground is None or ground.withdrawn_height for ground in grounds)
        assert (item.id in listed.data_items) == (lost and not item.withdrawn_height)
