"""Reorganisations: who decides, what each plan changes, what follows, what is refused, and what nobody took over."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.members.departments import (
    EnvelopeKey,
    KeyOwner,
    department_key,
    envelope_key_key,
    key_owner_key,
)
from ledger.registers.directories.queries import data_items
from ledger.registers.members.records import ApproveReorganisation, CarryOutReorganisation, WithdrawReorganisation
from ledger.registers.members.refusals import MembersRefusal
from ledger.registers.members.values import (
    LINKS_MAX,
    PASSINGS_MAX,
    Merge,
    Plan,
    Rename,
    Reorganisation,
    Split,
    Succession,
    reorganisation_key,
    succession_key,
)
from ledger.registers.ownership import owner_of
from ledger.registers.shared import responsibility_key
from tests.registers.catalogue import catalogued, data_item, responsibility
from tests.registers.reorganisations import (
    MERGE,
    RENAME,
    SPLIT,
    VOTERS,
    WORKS,
    department_of,
    newcomer,
    passing,
    proposal,
    propose_and_approve,
    reorganise,
)
from tests.state.small_ledger import (
    AUTHORITY,
    HOUSING,
    MARKET,
    NETWORK,
    REGISTRAR,
    STRANGER,
    TAX,
    key_of,
    proven,
)

CARRY_OUT = CarryOutReorganisation(id="R1")


# --- who decides


def test_a_quorum_of_the_departments_with_a_vote_decides() -> None:
    """Three of three here: with two approvals nothing can be carried out, not even by the registrar."""
    ledger = catalogued()
    assert ledger.put(REGISTRAR, proposal(RENAME)) == ["accepted"]
    for voter in VOTERS:
        assert ledger.put(REGISTRAR, CARRY_OUT) == ["no_quorum"]
        assert ledger.put(voter, ApproveReorganisation(id="R1")) == ["accepted"]
    assert department_of(ledger, HOUSING).name_zh == "部门"
    assert ledger.put(TAX, CARRY_OUT) == ["accepted"]
    assert department_of(ledger, HOUSING).name_zh == "住房局"


def test_the_registrar_alone_proposes_and_withdraws() -> None:
    """Who could propose to end another department is one office, and it cannot carry it out by itself."""
    ledger = catalogued()
    for department in (HOUSING, AUTHORITY, TAX):
        assert ledger.put(department, proposal(MERGE)) == ["not_authorised"]
    ledger.put(REGISTRAR, proposal(MERGE))
    assert ledger.put(HOUSING, WithdrawReorganisation(id="R1", reason="mine")) == ["not_authorised"]
    assert ledger.put(REGISTRAR, WithdrawReorganisation(id="R1", reason="postponed")) == ["accepted"]
    for record in (ApproveReorganisation(id="R1"), CARRY_OUT):
        assert ledger.put(HOUSING, record) == ["reorganisation_settled"]


def test_departments_without_a_vote_do_not_approve() -> None:
    """Nor does anybody twice, nor anything that was not proposed."""
    ledger = catalogued()
    ledger.put(REGISTRAR, proposal(MERGE))
    approve = ApproveReorganisation(id="R1")
    assert ledger.put(TAX, approve) == ["no_vote"]
    assert ledger.put(REGISTRAR, approve) == ["no_vote"]
    assert ledger.put(HOUSING, approve, approve) == ["accepted", "approved_by_it_before"]
    assert ledger.put(HOUSING, ApproveReorganisation(id="R2")) == ["unknown_reorganisation"]


def test_a_plan_waits_for_its_height() -> None:
    """However many have approved it; then it is carried out once."""
    ledger = catalogued()
    from_height = ledger.state.height + 7
    propose_and_approve(ledger, proposal(RENAME, from_height=from_height))
    while ledger.state.height + 1 < from_height:
        assert ledger.put(TAX, CARRY_OUT) == ["too_early"]
    assert ledger.put(TAX, CARRY_OUT) == ["accepted"]
    settled = ledger.state.get(reorganisation_key("R1"), Reorganisation)
    assert settled is not None
    assert (settled.status, settled.settled_height) == ("carried_out", from_height)
    assert ledger.put(TAX, CARRY_OUT) == ["reorganisation_settled"]


def test_a_department_that_has_ended_neither_approves_nor_counts() -> None:
    """Two voters are left of three, and two approvals are their quorum."""
    ledger = catalogued()
    reorganise(ledger, MERGE)
    assert ledger.put(HOUSING, ApproveReorganisation(id="R2")) == ["unknown_department"]
    reorganise(ledger, Rename(department=MARKET, name_zh="市场局", name_en=""), "R2")
    second = ledger.state.get(reorganisation_key("R2"), Reorganisation)
    assert second is not None
    assert second.approvals == tuple(sorted((MARKET, AUTHORITY)))


def test_what_a_department_approved_before_it_ended_counts_no_more() -> None:
    """The others decide without it."""
    ledger = catalogued()
    propose_and_approve(ledger, proposal(MERGE))
    ledger.put(REGISTRAR, proposal(Rename(department=MARKET, name_zh="市场局", name_en=""), "R2"))
    for voter in (HOUSING, MARKET):
        ledger.put(voter, ApproveReorganisation(id="R2"))
    assert ledger.put(TAX, CARRY_OUT, CarryOutReorganisation(id="R2")) == ["accepted", "no_quorum"]


# --- what changes


def test_a_rename_changes_names_alone() -> None:
    """Code, keys, roles and everything owned stay; the former name is kept."""
    ledger = catalogued()
    before = department_of(ledger, HOUSING)
    reorganise(ledger, RENAME)
    after = department_of(ledger, HOUSING)
    assert (after.name_zh, after.name_en, after.name_before) == ("住房局", "Housing Bureau", before.name_zh)
    assert replace(after, name_zh=before.name_zh, name_en=before.name_en, name_before="") == before
    assert ledger.put(HOUSING, responsibility(revision=2)) == ["accepted"]
    english = Rename(department=HOUSING, name_zh="住房局", name_en="Bureau of Housing")
    reorganise(ledger, english, "R2")
    assert department_of(ledger, HOUSING).name_before == before.name_zh


def test_a_merge_ends_the_predecessor_and_links_both() -> None:
    """It signs up to the block that ends it, and its successor has its roles from then on."""
    ledger = catalogued()
    reorganise(ledger, Merge(predecessors=(AUTHORITY, HOUSING), successor=MARKET, responsibilities=("AN-01",)))
    height = ledger.state.height
    for code in (AUTHORITY, HOUSING):
        ended = department_of(ledger, code)
        assert (ended.valid_to, ended.successors) == (height, (MARKET,))
        assert ledger.put(code, data_item("AN-01-D5")) == ["unknown_department"]
    successor = department_of(ledger, MARKET)
    assert (successor.valid_to, successor.predecessors) == (None, tuple(sorted((AUTHORITY, HOUSING))))
    assert successor.roles == ("department", "directory_authority")
    moved = ledger.state.get(succession_key("AN-01"), Succession)
    assert moved == Succession(
        responsibility="AN-01", predecessor=HOUSING, department=MARKET, height=height, reorganisation="R1"
    )


def test_a_newcomer_speaks_from_the_next_block_on() -> None:
    """With the key that came with the plan, and everything that passed to it."""
    ledger = catalogued()
    reorganise(
        ledger, replace(SPLIT, passings=(passing(WORKS),)), newcomers=[newcomer(roles=("provider", "department"))]
    )
    founded = department_of(ledger, WORKS)
    assert (founded.valid_from, founded.roles) == (ledger.state.height + 1, ("department", "provider"))
    assert (founded.predecessors, department_of(ledger, HOUSING).successors) == ((HOUSING,), (WORKS,))
    key = ledger.state.get(envelope_key_key(WORKS, 1), EnvelopeKey)
    assert key is not None
    assert ledger.state.get(key_owner_key(key.public), KeyOwner) == KeyOwner(department=WORKS, purpose="envelope/1")
    assert ledger.put(WORKS, responsibility(revision=2)) == ["accepted"]


def test_a_department_split_again_and_again_goes_on_with_the_rest() -> None:
    """And ends with the last part, whose successors are all that got something."""
    ledger = catalogued()
    assert ledger.put(HOUSING, responsibility("AN-02")) == ["accepted"]
    reorganise(ledger, SPLIT)
    assert ledger.put(HOUSING, responsibility("AN-02", 2)) == ["accepted"]
    reorganise(ledger, Split(department=HOUSING, ends=True, passings=(passing(TAX, "AN-02"),)), "R2")
    assert department_of(ledger, HOUSING).successors == tuple(sorted((MARKET, TAX)))
    assert department_of(ledger, HOUSING).valid_to == ledger.state.height


def test_predecessors_are_known_over_several_reorganisations() -> None:
    """A successor's successor stands in the place of the first."""
    ledger = catalogued()
    reorganise(ledger, MERGE)
    reorganise(ledger, Merge(predecessors=(MARKET,), successor=TAX, responsibilities=()), "R2")
    assert department_of(ledger, TAX).predecessors == tuple(sorted((HOUSING, MARKET)))


# --- what is refused

REFUSED: list[tuple[str, Record]] = [
    ("not_a_member", proposal(replace(RENAME, department=STRANGER))),
    ("nothing_changes", proposal(Rename(department=HOUSING, name_zh="部门", name_en="Department"))),
    ("newcomer_unused", proposal(RENAME, newcomers=[newcomer()])),
    ("newcomer_unused", proposal(SPLIT, newcomers=[newcomer()])),
    ("not_a_member", proposal(replace(MERGE, successor=STRANGER))),
    ("not_a_member", proposal(replace(MERGE, predecessors=(STRANGER,)))),
    ("not_a_member", proposal(replace(MERGE, predecessors=(WORKS,)), newcomers=[newcomer()])),
    ("named_twice", proposal(replace(MERGE, predecessors=(HOUSING, HOUSING)))),
    ("named_twice", proposal(replace(MERGE, responsibilities=("AN-01", "AN-01")))),
    ("own_successor", proposal(replace(MERGE, successor=HOUSING))),
    ("unknown_responsibility", proposal(replace(MERGE, responsibilities=("AN-09",)))),
    ("not_a_predecessors", proposal(replace(MERGE, responsibilities=("AY-01",)))),
    ("last_vote", proposal(Merge(predecessors=VOTERS, successor=TAX, responsibilities=()))),
    ("not_a_member", proposal(replace(SPLIT, department=STRANGER))),
    ("not_a_member", proposal(replace(SPLIT, passings=(passing(STRANGER),)))),
    ("own_successor", proposal(replace(SPLIT, passings=(passing(HOUSING),)))),
    ("named_twice", proposal(replace(SPLIT, passings=(passing(MARKET), passing(TAX))))),
    ("not_a_predecessors", proposal(replace(SPLIT, passings=(passing(TAX, "AY-01"),)))),
    ("office_would_end", proposal(Split(department=AUTHORITY, ends=True, passings=(passing(TAX, "BM-01"),)))),
    ("bad_credit_code", proposal(MERGE, newcomers=[replace(newcomer(), credit_code="11110000A00000433C")])),
    ("member_before", proposal(MERGE, newcomers=[newcomer(TAX)])),
    ("named_twice", proposal(replace(MERGE, successor=WORKS), newcomers=[newcomer(), newcomer()])),
    ("named_twice", proposal(MERGE, newcomers=[newcomer(roles=("provider", "provider"))])),
    (
        "public_key_used",
        proposal(
            replace(MERGE, successor=WORKS),
            newcomers=[
                replace(newcomer(), envelope_key=proven(NETWORK, WORKS, "envelope/1", key_of(HOUSING, "envelope/1")))
            ],
        ),
    ),
    (
        "no_possession",
        proposal(
            replace(MERGE, successor=WORKS),
            newcomers=[replace(newcomer(), envelope_key=proven(NETWORK, WORKS, "envelope/2", key_of(WORKS)))],
        ),
    ),
]


@pytest.mark.parametrize(("label", "record"), REFUSED)
def test_a_plan_that_cannot_be_is_refused_with_its_code(label: str, record: Record) -> None:
    """When it is proposed, on a ledger where all else is in order."""
    assert catalogued().put(REGISTRAR, record) == [label]


def test_an_id_is_used_once() -> None:
    """So that an approval can only mean one plan."""
    ledger = catalogued()
    assert ledger.put(REGISTRAR, proposal(RENAME), proposal(MERGE)) == ["accepted", "reorganisation_id_used"]


def test_a_department_has_at_most_256_links() -> None:
    """They stand in its value, which every signature of it reads."""
    ledger = catalogued()
    many = tuple(f"{number:018}" for number in range(LINKS_MAX))
    crowded = replace(department_of(ledger, MARKET), predecessors=many)
    ledger.state.values[department_key(MARKET)] = crowded
    assert ledger.put(REGISTRAR, proposal(MERGE)) == ["too_many_links"]


def test_every_refusal_of_a_reorganisation_is_shown_here() -> None:
    """Codes 40 to 57."""
    shown = {label for label, _ in REFUSED} | {
        "reorganisation_id_used",
        "unknown_reorganisation",
        "reorganisation_settled",
        "no_vote",
        "approved_by_it_before",
        "no_quorum",
        "too_early",
        "too_many_links",
    }
    assert {code.label for code in MembersRefusal if 40 <= code.number <= 57} <= shown


@pytest.mark.parametrize("plan", [RENAME, MERGE, SPLIT], ids=["rename", "merge", "split"])
def test_a_plan_overtaken_by_another_is_refused_whole(plan: Plan) -> None:
    """What could be when it was proposed cannot be now, and nothing of it happens."""
    ledger = catalogued()
    away = Merge(predecessors=(HOUSING,), successor=TAX, responsibilities=("AN-01",))
    propose_and_approve(ledger, proposal(plan, "R2"))
    reorganise(ledger, away)
    before = ledger.state.root
    state = dict(ledger.state.items(b"members/department/"))
    assert ledger.put(TAX, CarryOutReorganisation(id="R2"))[0] in ("not_a_member", "not_a_predecessors")
    assert dict(ledger.state.items(b"members/department/")) == state
    assert ledger.state.root != before, "the sequence number is used up"


# --- bounds


def test_what_carrying_out_costs_is_bounded_by_the_plan_alone() -> None:
    """Two hundred data items move with two values, beside the departments and the plan."""
    ledger = catalogued()
    for start in range(0, 200, 50):
        ledger.put(HOUSING, *(data_item(f"AN-01-E{start + number}") for number in range(50)))
    propose_and_approve(ledger, proposal(MERGE))
    execution = ledger.execute(ledger.envelope(TAX, CARRY_OUT))
    assert sorted(execution.touched[0][0]) == sorted(
        [
            department_key(HOUSING),
            department_key(MARKET),
            responsibility_key("AN-01"),
            succession_key("AN-01"),
            reorganisation_key("R1"),
        ]
    )
    assert {owner_of(item, ledger.state) for item in data_items(ledger.state)} == {MARKET}


def test_the_largest_plan_is_a_record() -> None:
    """256 responsibilities with the longest ids, four newcomers: within 64 KiB."""
    longest = [f"{number:040}" for number in range(PASSINGS_MAX)]
    plan = Split(department=HOUSING, ends=False, passings=tuple(passing(TAX, name) for name in longest))
    large = proposal(plan, newcomers=[replace(newcomer(), name_zh="局" * 200, name_en="局" * 200)] * 4)
    assert catalogued().put(REGISTRAR, large) == ["named_twice"], "it was decoded, and refused for what it says"
