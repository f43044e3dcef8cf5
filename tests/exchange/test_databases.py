"""What every department's database does under a grant, whichever product it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nodes.exchange.databases import (
    ColumnNotGrantedError,
    Condition,
    FieldNotHeldError,
    GrantedAccess,
    GrantedQuery,
    SchemaDriftedError,
    TableMissingError,
    columns_of,
    conditions_of,
    drift_between,
)
from tests.exchange.departments_database import PERMITS, Department

HAIDIAN = [row for row in PERMITS if row[3] == "海淀"]


def test_a_granted_query_gives_exactly_the_granted_columns_and_rows(department: Department) -> None:
    """Two of six columns of three of five rows; the condition's own column is not granted and not delivered."""
    access = department.access("permit number", "name", district=("海淀",))
    assert department.read(access) == [(row[1], row[2]) for row in HAIDIAN]


def test_a_selection_narrows_and_never_widens(department: Department) -> None:
    """What a caller asks for beyond the grant's rows is not there."""
    access = department.access("permit number", "name", "district", district=("海淀", "西城"))
    assert department.read(access, "permit_no", district=("海淀", "朝阳")) == [(row[1],) for row in HAIDIAN]
    assert department.read(access, "permit_no", district=("朝阳",)) == []
    assert department.read(access, "permit_no", permit_no=("P-003", "P-004"), district=("西城",)) == [("P-004",)]


def test_conditions_are_read_as_their_columns_type(department: Department) -> None:
    """`6` as text finds the number 6, in the grant's conditions and in a selection; no value is in no condition."""
    access = department.access("permit number", "floors", floors=("6", "12"))
    assert department.read(access, "permit_no") == [("P-001",), ("P-002",), ("P-005",)]
    assert department.read(access, "permit_no", floors=("6",)) == [("P-001",), ("P-005",)]


def test_columns_come_in_the_order_asked_for(department: Department) -> None:
    """The order of the query counts, not that of the table or of the grant."""
    access = department.access("permit number", "floors")
    assert department.read(access, "floors", "permit_no")[:2] == [(6, "P-001"), (12, "P-002")]


def test_a_missing_value_is_none(department: Department) -> None:
    """NULL of any type is delivered as nil."""
    access = department.access("floors", "phone", district=("西城",))
    assert department.read(access) == [(None, None)]


def test_rows_come_in_the_same_order_each_time(department: Department) -> None:
    """Whatever a selection makes the database do, the order is that of the table."""
    department.run("CREATE INDEX by_holder ON permits (holder DESC)")
    access = department.access("name")
    holders = [row[2] for row in PERMITS]
    assert [name for (name,) in department.read(access)] == holders
    assert [name for (name,) in department.read(access, holder=tuple(holders))] == holders


def test_batches_stay_small_however_wide_a_row_is(department: Department) -> None:
    """A batch of rows of 100 kB stays near a mebibyte once the width is known, and nothing is lost between batches."""
    department.run("DELETE FROM permits")
    department.fill("permits", [(n, f"P-{n}", "宽" * 10, "海淀", n, "x" * 100_000) for n in range(200)])
    access = department.access("floors", "phone")
    batches = list(department.database.stream(GrantedQuery(access=access, columns=access.columns)))
    assert [row[0] for batch in batches for row in batch] == list(range(200))
    assert max(len(batch) for batch in batches[1:]) <= 10


def test_all_batches_are_as_of_one_moment(department: Department) -> None:
    """What the department writes while a stream runs is not in it."""
    department.fill("permits", [(n, f"P-{n:03}", "", "海淀", n, "") for n in range(6, 1_000)])
    access = department.access("permit number")
    stream = department.database.stream(GrantedQuery(access=access, columns=access.columns))
    rows = next(stream)
    department.run("UPDATE permits SET permit_no = 'changed'")
    rows += [row for batch in stream for row in batch]
    assert len(rows) == 999
    assert ("changed",) not in rows


def test_a_verification_answers_without_a_row(department: Department) -> None:
    """Yes for what is there and within the grant; no for what is not there, and for what is beyond the grant."""
    access = department.access("permit number", "name", district=("海淀",))

    def holds(permit: str, name: str) -> bool:
        selection = (Condition("permit_no", (permit,)), Condition("holder", (name,)))
        return department.database.exists(GrantedQuery(access=access, columns=("permit_no",), selection=selection))

    assert holds("P-001", "王芳") is True
    assert holds("P-001", "张敏") is False
    assert holds("P-002", "李伟") is False


def test_a_query_cannot_be_phrased_beyond_its_grant(department: Department) -> None:
    """Neither a column to deliver nor one to compare may be one that is not granted."""
    access = department.access("permit number", district=("海淀",))
    with pytest.raises(ColumnNotGrantedError, match="R-1 does not cover 'phone', 'district'"):
        GrantedQuery(access=access, columns=("permit_no", "phone"), selection=(Condition("district", ("海淀",)),))


DRIFTS = {
    "added": ("ALTER TABLE permits ADD COLUMN salary INTEGER", "'salary' INTEGER was added"),
    "dropped": ("ALTER TABLE permits DROP COLUMN phone", "'phone' TEXT was removed"),
    "renamed": (
        "ALTER TABLE permits RENAME COLUMN phone TO mobile",
        "'mobile' TEXT was added; 'phone' TEXT was removed",
    ),
}


@pytest.mark.parametrize(("statement", "said"), DRIFTS.values(), ids=DRIFTS.keys())
def test_a_changed_schema_is_found_and_nothing_is_delivered(department: Department, statement: str, said: str) -> None:
    """Enforcing, streaming and asking refuse with the columns by name, before the first row."""
    entry, access = department.entry(), department.access("permit number")
    department.run(statement)
    drift = drift_between(entry.columns, department.database.describe("permits"))
    assert drift is not None
    assert str(drift).lower() == said.lower()
    assert drift.expected == entry.schema != drift.observed
    query = GrantedQuery(access=access, columns=("permit_no",))
    for use in (
        lambda: department.database.enforce(access),
        lambda: next(department.database.stream(query)),
        lambda: department.database.exists(query),
    ):
        with pytest.raises(SchemaDriftedError) as caught:
            use()
        assert caught.value.drift == drift


def test_an_unchanged_schema_has_the_hash_of_the_catalogue(department: Department) -> None:
    """Rows may come and go, and indexes; the schema is the same."""
    entry = department.entry()
    department.run("CREATE INDEX by_district ON permits (district)")
    department.run("DELETE FROM permits")
    assert drift_between(entry.columns, department.database.describe("permits")) is None


def test_a_table_that_is_not_there_or_is_a_view_is_missing(department: Department) -> None:
    """A view is no table: what stands behind it would not be what was granted."""
    access = department.access("permit number")
    department.run("ALTER TABLE permits RENAME TO moved")
    with pytest.raises(TableMissingError, match="'permits'"):
        department.database.describe("permits")
    department.run("CREATE VIEW permits AS SELECT * FROM moved")
    with pytest.raises(TableMissingError):
        next(department.database.stream(GrantedQuery(access=access, columns=("permit_no",))))


def test_fields_and_conditions_need_columns_that_hold_them(department: Department) -> None:
    """A field in no column and a condition on two are refused; a field in two columns is delivered from both."""
    department.run("ALTER TABLE permits ADD COLUMN old_district TEXT")
    entry = department.entry()
    *columns, old_district = entry.columns
    entry = replace(entry, columns=(*columns, replace(old_district, information_item="district")))
    assert columns_of(entry, ["district", "name"]) == ("district", "old_district", "holder")
    with pytest.raises(FieldNotHeldError, match=r"0 columns of AY-01-D1-T1 hold one .* it holds 'permit") as refused:
        columns_of(entry, ["salary"])
    assert "salary" not in str(refused.value)
    with pytest.raises(FieldNotHeldError, match="0 columns"):
        columns_of(entry, [""])
    with pytest.raises(FieldNotHeldError, match="2 columns"):
        conditions_of(entry, [("district", ("海淀",))])


HOSTILE = st.sampled_from(
    [
        "' OR '1'='1",
        "'; DROP TABLE permits; --",
        '" OR 1=1 --',
        "\\' OR 1=1 --",
        "海淀') OR (1=1",
        "%",
        "{x}",
        "$1",
        "%s",
        "?1",
    ]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(values=st.lists(HOSTILE, min_size=1, max_size=3))
def test_values_of_a_selection_are_values_whatever_they_look_like(
    department: Department, values: Sequence[str]
) -> None:
    """No text finds a row that does not have just this text, in a query or in a verification."""
    access = department.access("name")
    expected = [(row[2],) for row in PERMITS if row[2] in values]
    assert department.read(access, "holder", holder=tuple(values)) == expected
    assert department.database.exists(
        GrantedQuery(access=access, columns=("holder",), selection=(Condition("holder", tuple(values)),))
    ) == bool(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(values=st.lists(HOSTILE, min_size=1, max_size=5))
def test_values_of_a_grant_are_values_whatever_they_look_like(department: Department, values: Sequence[str]) -> None:
    """A grant shows the rows that have just one of its texts, whatever a policy made of them would have to quote."""
    department.run("DELETE FROM permits WHERE id > 5")
    department.fill("permits", [(6, "P-006", values[0], "海淀", None, None)])
    access = department.access("permit number", name=(*values, "刘洋"))
    assert department.read(access) == [("P-004",), ("P-006",)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(name=HOSTILE)
def test_names_are_names_whatever_they_look_like(department: Department, name: str) -> None:
    """A field, a column or a table by any other name than one of the catalogue's never reaches the database."""
    access = department.access("permit number")
    entry = department.entry()
    with pytest.raises(FieldNotHeldError):
        columns_of(entry, [name])
    with pytest.raises(ColumnNotGrantedError):
        GrantedQuery(access=access, columns=(name,))
    with pytest.raises(ValueError, match="has no columns"):
        GrantedAccess(grant="R-1", table="permits", schema=entry.columns, columns=(name,))
    with pytest.raises(TableMissingError):
        department.database.describe(name)


@pytest.mark.parametrize(
    "name", ['say "hi"', "a'b", "select", "单位", "x; DROP TABLE permits", "Upper Case", "%s", "{0}"]
)
def test_odd_names_of_real_columns_are_quoted(department: Department, name: str) -> None:
    """A column may be called anything the database takes, and is granted, compared and delivered under that name."""
    quoted = name.replace('"', '""')
    department.run(f'ALTER TABLE permits RENAME COLUMN phone TO "{quoted}"')
    entry = department.entry()
    access = GrantedAccess(
        grant="R-1",
        table="permits",
        schema=entry.columns,
        columns=(name,),
        conditions=(Condition(name, ("13800000001", "13800000003")),),
    )
    department.database.enforce(access)
    assert department.read(access) == [("13800000001",), ("13800000003",)]
    assert department.read(access, **{name: ("13800000003", "13800000005")}) == [("13800000003",)]
