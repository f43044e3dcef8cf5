"""Who owns what, before and after reorganisations: one department for each thing, at every block."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.encoding import Canonical
from ledger.errors import InvariantBrokenError
from ledger.identifiers import CreditCode
from ledger.members.departments import Department
from ledger.registers.catalogue import DataItem, data_item_key
from ledger.registers.certificates.queries import orphaned_types
from ledger.registers.certificates.records import RetireType, RevokeCertificate, SuspendCertificate
from ledger.registers.directories.queries import Orphans, data_items, orphans
from ledger.registers.directories.records import ApproveResponsibility, PublishSystem, WithdrawDataItem, WithdrawTable
from ledger.registers.members.records import ApproveReorganisation, CarryOutReorganisation
from ledger.registers.members.values import Merge, Passing, Plan, Rename, Split, Succession, succession_key
from ledger.registers.ownership import ground, owner_of
from ledger.registers.shared import Responsibility, responsibility_key
from ledger.state.transition import execute_block
from tests.registers.catalogue import TYPE, catalogued, data_item, identifier, issue, responsibility, table
from tests.registers.reorganisations import MERGE, SPLIT, VOTERS, department_of, passing, proposal, reorganise
from tests.state.small_ledger import AUTHORITY, HOUSING, MARKET, REGISTRAR, TAX, SmallLedger, labels, trusting

SYSTEM = PublishSystem(
    id="AN-S1", revision=1, name_zh="许可系统", name_en="", location="municipal cloud", protection_level=3
)


def test_a_data_item_belongs_to_whoever_has_its_leading_responsibility() -> None:
    """Before any reorganisation that is who published it."""
    state = catalogued().state
    item = state.get(data_item_key("AN-01-D1"), DataItem)
    assert item is not None
    assert owner_of(item, state) == item.owner == HOUSING


def test_nothing_rests_on_what_was_never_published() -> None:
    """No rule lets that happen, so that whoever meets it is broken."""
    with pytest.raises(InvariantBrokenError, match="AN-99"):
        ground("AN-99", catalogued().state)


# --- what follows


def test_data_items_and_tables_follow_their_responsibility() -> None:
    """The successor publishes and withdraws them under the same ids; the predecessor does so no more."""
    ledger = catalogued()
    ledger.put(HOUSING, table())
    reorganise(ledger, SPLIT)
    for department, result in ((HOUSING, "not_the_owner"), (MARKET, "accepted")):
        records = (data_item(revision=2), table(revision=2), WithdrawTable(id="AN-01-T1", reason="moved"))
        assert ledger.put(department, *records) == [result] * 3
    assert ledger.put(MARKET, WithdrawDataItem(id="AN-01-D1", reason="moved")) == ["accepted"]


def test_a_data_item_under_two_responsibilities_goes_with_the_first() -> None:
    """It never has two owners, wherever the second goes."""
    ledger = catalogued()
    ledger.put(HOUSING, responsibility("AN-02"))
    ledger.put(REGISTRAR, ApproveResponsibility(id="AN-02", revision=1))
    assert ledger.put(HOUSING, replace(data_item("AN-02-D1"), responsibilities=("AN-02", "AN-01"))) == ["accepted"]
    reorganise(ledger, SPLIT)
    assert owner_of(item_of(ledger, "AN-02-D1"), ledger.state) == HOUSING
    reorganise(ledger, Split(department=HOUSING, ends=False, passings=(passing(TAX, "AN-02"),)), "R2")
    assert owner_of(item_of(ledger, "AN-02-D1"), ledger.state) == TAX


def test_types_and_certificates_follow_their_responsibility() -> None:
    """The successor changes and ends what the predecessor issued, and issues under the same type in its own name."""
    ledger = catalogued()
    old = identifier("1")
    assert ledger.put(HOUSING, issue(old)) == ["accepted"]
    reorganise(ledger, SPLIT)
    suspend = SuspendCertificate(certificate=old, reason="inspection")
    assert ledger.put(HOUSING, suspend, issue(identifier("2")), RetireType(code=TYPE, reason="mine")) == [
        "not_the_issuer",
        "type_not_own",
        "type_not_own",
    ]
    new = identifier("1", issuer=MARKET, version=2)
    assert ledger.put(
        MARKET,
        issue(identifier("3", issuer=MARKET)),
        issue(identifier("4", issuer=HOUSING)),
        issue(new, replaces=old),
        RevokeCertificate(certificate=new, kind="revoked", reason="fraud"),
        RetireType(code=TYPE, reason="another one"),
    ) == ["accepted", "foreign_issuer", "accepted", "accepted", "accepted"]


def test_a_system_of_an_ended_department_goes_to_the_successor_that_publishes_it() -> None:
    """Not while the owner goes on, not to anybody else, and then for good."""
    ledger = catalogued()
    ledger.put(HOUSING, SYSTEM)
    second = replace(SYSTEM, revision=2)
    reorganise(ledger, SPLIT)
    assert ledger.put(MARKET, second) == ["not_the_owner"]
    reorganise(ledger, Merge(predecessors=(HOUSING,), successor=MARKET, responsibilities=()), "R2")
    assert orphans(ledger.state).systems == ("AN-S1",)
    assert ledger.put(TAX, second) == ["not_the_owner"]
    assert ledger.put(MARKET, second) == ["accepted"]
    assert orphans(ledger.state).systems == ()


def test_what_no_plan_names_is_listed_until_a_later_one_does() -> None:
    """A split of the department that has ended gives it a home."""
    ledger = catalogued()
    ledger.put(HOUSING, table())
    assert (orphans(ledger.state), orphaned_types(ledger.state)) == (Orphans((), (), (), ()), ())
    reorganise(ledger, replace(MERGE, responsibilities=()))
    assert orphans(ledger.state) == Orphans(("AN-01",), ("AN-01-D1",), ("AN-01-T1",), ())
    assert orphaned_types(ledger.state) == (TYPE,)
    reorganise(ledger, SPLIT, "R2")
    assert (orphans(ledger.state), orphaned_types(ledger.state)) == (Orphans((), (), (), ()), ())


# --- any history

DEPARTMENTS = (HOUSING, MARKET, AUTHORITY, TAX)
departments = st.sampled_from(DEPARTMENTS)
names = st.sampled_from(("AN-01", "AN-02", "AY-01"))
plans = st.one_of(
    st.builds(Rename, department=departments, name_zh=st.sampled_from(("甲局", "乙局")), name_en=st.just("")),
    st.builds(
        Merge,
        predecessors=st.lists(departments, min_size=1, max_size=2).map(tuple),
        successor=departments,
        responsibilities=st.lists(names, max_size=3).map(tuple),
    ),
    st.builds(
        Split,
        department=departments,
        ends=st.booleans(),
        passings=st.lists(st.builds(Passing, responsibility=names, successor=departments), min_size=1, max_size=3).map(
            tuple
        ),
    ),
)


@settings(max_examples=40)
@given(st.lists(plans, max_size=6))
def test_under_any_reorganisations_each_thing_has_one_owner(history: list[Plan]) -> None:
    """At every block: exactly one department may publish a data item, or none if its owner has ended."""
    ledger = catalogued()
    ledger.put(HOUSING, responsibility("AN-02"))
    ledger.put(REGISTRAR, ApproveResponsibility(id="AN-02", revision=1))
    two = replace(data_item("AN-02-D1", under="AN-02"), responsibilities=("AN-02", "AN-01"))
    assert ledger.put(HOUSING, two, table()) == ["accepted", "accepted"]
    for number, plan in enumerate(history):
        before = dict(ledger.state.items())
        if ledger.put(REGISTRAR, proposal(plan, f"R{number}")) == ["accepted"]:
            for voter in VOTERS:
                ledger.put(voter, ApproveReorganisation(id=f"R{number}"))
            assert ledger.put(REGISTRAR, CarryOutReorganisation(id=f"R{number}")) == ["accepted"]
        check_owners(ledger)
        check_links(ledger)
        check_kept(before, dict(ledger.state.items()))


def check_owners(ledger: SmallLedger) -> None:
    """Ask for every department whether it may withdraw each data item and table, without doing it."""
    listed = orphans(ledger.state)
    for item in data_items(ledger.state):
        owner = owner_of(item, ledger.state)
        may = [d for d in DEPARTMENTS if tried(ledger, d, WithdrawDataItem(id=item.id, reason="tried")) == ["accepted"]]
        ended = department_of(ledger, CreditCode(owner)).valid_to is not None
        assert may == ([] if ended else [owner])
        assert (item.id in listed.data_items) == ended
    may = [d for d in DEPARTMENTS if tried(ledger, d, WithdrawTable(id="AN-01-T1", reason="tried")) == ["accepted"]]
    of_item = owner_of(item_of(ledger, "AN-01-D1"), ledger.state)
    assert may == [d for d in DEPARTMENTS if d == of_item and department_of(ledger, d).valid_to is None]


def check_links(ledger: SmallLedger) -> None:
    """Check that links lead both ways and that succession agrees with the responsibility."""
    for code in DEPARTMENTS:
        for successor in department_of(ledger, code).successors:
            assert code in department_of(ledger, CreditCode(successor)).predecessors
    for name in ("AN-01", "AN-02", "AY-01"):
        moved = ledger.state.get(succession_key(name), Succession)
        held = ledger.state.get(responsibility_key(name), Responsibility)
        assert held is not None
        assert moved is None or moved.department == held.department


def check_kept(before: dict[bytes, Canonical], after: dict[bytes, Canonical]) -> None:
    """Check that nothing was removed, and that no department came back once it had ended."""
    assert before.keys() <= after.keys()
    for key, value in before.items():
        if isinstance(value, Department) and value.valid_to is not None:
            ended = after[key]
            assert isinstance(ended, Department)
            assert ended.valid_to == value.valid_to


def tried(ledger: SmallLedger, department: CreditCode, record: Record) -> list[str]:
    """Return the result that a record would have in the next block."""
    block = ledger.prepare([ledger.envelope(department, record)])
    return labels(execute_block(ledger.state, block, trusting).results[0])


def item_of(ledger: SmallLedger, name: str) -> DataItem:
    """Return a data item."""
    item = ledger.state.get(data_item_key(name), DataItem)
    assert item is not None
    return item
