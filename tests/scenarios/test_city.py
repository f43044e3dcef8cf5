"""The data of the city fits together, any part of it does too, and a wrong cell is found by name."""

from __future__ import annotations

import csv
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from ledger.check_characters import check_credit_code
from ledger.members.calendar import parse_day
from ledger.registers.certificates.identifier import check_type_code
from scenarios.beijing.city import City
from scenarios.beijing.city_files import CityDataError, load_city

SOURCE = Path(str(files("scenarios.beijing") / "data"))
CITY = load_city()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the city's data, to be spoilt."""
    return Path(shutil.copytree(SOURCE, tmp_path / "data"))


def spoil(data: Path, file: str, old: str, new: str) -> None:
    path = data / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def assert_fits_together(city: City) -> None:
    codes = {row.code for row in city.departments}
    responsibilities = {row.id: row.department for row in city.responsibilities}
    assert set(responsibilities.values()) == codes
    assert {row.responsibility for row in city.data_items} == set(responsibilities)
    assert all(responsibilities[row.responsibility] == row.department for row in city.certificate_types)


def test_the_city_has_its_published_size() -> None:
    """53 departments with a vote and 4 members without, and every row of the other files."""
    assert (len(CITY.validators), len(CITY.members)) == (53, 4)
    assert (len(CITY.responsibilities), len(CITY.data_items), len(CITY.certificate_types)) == (78, 78, 56)
    assert (len(CITY.districts), len(CITY.calendar_days)) == (16, 48)
    assert sum(row.data_sets for row in CITY.departments) == 10_659


def test_no_line_of_a_file_is_lost() -> None:
    """Every file has as many rows as it has lines below the header."""
    for file, rows in {
        "departments.csv": CITY.departments,
        "responsibilities.csv": CITY.responsibilities,
        "data_items.csv": CITY.data_items,
        "certificate_types.csv": CITY.certificate_types,
        "districts.csv": CITY.districts,
        "calendar.csv": CITY.calendar_days,
    }.items():
        assert len((SOURCE / file).read_text(encoding="utf-8").splitlines()) == len(rows) + 1, file


def test_every_reference_leads_somewhere() -> None:
    """Each member has a responsibility, each responsibility a data item, each type a responsibility of its issuer."""
    assert_fits_together(CITY)
    assert CITY.owner_of("AY-01") == CITY.department("AY")


def test_all_codes_check_out() -> None:
    """The fictional credit codes satisfy both standards, alone and inside type codes."""
    for department in CITY.departments:
        check_credit_code(department.uscc)
    for certificate_type in CITY.certificate_types:
        check_type_code(certificate_type.code)


def test_each_office_is_held_once() -> None:
    """One registrar, one directory authority and one auditor; the providers are the other members without a vote."""
    assert [row.code for row in CITY.with_role("registrar")] == ["X1"]
    assert [row.code for row in CITY.with_role("directory_authority")] == ["BM"]
    assert [row.code for row in CITY.with_role("auditor")] == ["AJ"]
    assert [row.code for row in CITY.with_role("provider")] == ["X2", "X3", "X4"]


@pytest.mark.parametrize("n", [1, 4, 8, 9, 52, 53])
def test_a_part_of_the_city_fits_together_too(n: int) -> None:
    """The first by rank and all members without a vote, with what they answer for and nothing else."""
    part = CITY.first(n)
    assert part.validators == CITY.validators[:n]
    assert part.members == CITY.members
    assert_fits_together(part)
    kept = {row.code for row in part.departments}
    assert [row for row in CITY.certificate_types if row.department in kept] == list(part.certificate_types)
    assert bool(part.with_role("auditor")) is (n >= 9)


def test_the_whole_is_a_part_of_itself() -> None:
    """All validators give the whole city."""
    assert CITY.first(53) == CITY


@pytest.mark.parametrize("n", [-1, 0, 54])
def test_there_is_no_part_of_another_size(n: int) -> None:
    """The refusal names the sizes that exist."""
    with pytest.raises(ValueError, match="1 to 53"):
        CITY.first(n)


def test_the_calendar_gives_the_worked_examples() -> None:
    """The loaded calendar, at the workload's offset, ends every example on its last day."""
    with (SOURCE / "deadlines.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            last = CITY.calendar.due_day(parse_day(row["received"]), int(row["working_days"]))
            assert last == parse_day(row["last_day"])


def test_the_workload_is_a_whole_day() -> None:
    """Percents sum to 100, runs start on a Monday at eight, and fifty errors are planted at two places."""
    workload = CITY.workload
    assert sum(workload.hours.values()) == 100
    assert workload.start_ms == 1_757_894_400_000
    assert workload.start.isoformat() == "2025-09-15T08:00:00+08:00"
    assert workload.per_working_day.certificate_issues == 4_000
    assert sum(error.count for error in workload.planted) == 50
    assert {error.code for error in workload.planted if error.place == "gateway"} == {
        "replayed_envelope",
        "wrong_chain",
        "bad_signature",
        "expired_envelope",
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "column"),
    [
        ("departments.csv", "\n3,AF,", "\n4,AF,", 4, "rank"),
        ("departments.csv", "\n2,AY,", "\n2,BM,", 3, "code"),
        ("departments.csv", "\n2,AY,validator", "\n2,AY,voter", 3, "kind"),
        # The member is allowed where it stands; the validator behind it is not.
        ("departments.csv", "\n52,DF,validator", "\n52,DF,member", 54, "kind"),
        ("departments.csv", ",11110000A00000230N,", ",11110000A00000230M,", 3, "uscc"),
        ("departments.csv", ",department;auditor,", ",department;judge,", 10, "roles"),
        ("departments.csv", "11110000A00000230N,department,356", "11110000A00000230N,department,-356", 3, "data_sets"),
        ("departments.csv", ",Public Security Bureau,", ",,", 4, "name_en"),
        ("responsibilities.csv", "\nAA-02,AA,", "\nAA-02,ZZ,", 3, "department"),
        ("responsibilities.csv", "\nAA-02,", "\nAA-01,", 3, "id"),
        ("data_items.csv", "\nAA-02-D1,AA-02,", "\nAA-02-D1,AA-99,", 3, "responsibility"),
        ("data_items.csv", "Teacher qualifications,2,", "Teacher qualifications,4,", 5, "sharing_type"),
        ("data_items.csv", "Teacher qualifications,2,", "Teacher qualifications,1,", 5, "condition"),
        ("certificate_types.csv", "16E002,AB,AB-01,", "16E002,AB,AA-01,", 3, "responsibility"),
        ("certificate_types.csv", "11100000C00000016E002", "11100000C00000016F002", 3, "code"),
        ("certificate_types.csv", "Felling permit,thing,P6M", "Felling permit,thing,6M", 48, "term"),
        ("districts.csv", "\n110102,", "\n11010,", 3, "code"),
        ("calendar.csv", "2025-01-26,", "2025-02-29,", 3, "date"),
        ("calendar.csv", "2025-01-26,working", "2025-01-26,half", 3, "kind"),
    ],
)
def test_a_wrong_cell_is_named_by_file_line_and_column(
    data: Path, file: str, old: str, new: str, line: int, column: str
) -> None:
    """Whoever edits the data learns where to look, from the fields and from the sentence."""
    spoil(data, file, old, new)
    with pytest.raises(CityDataError) as caught:
        load_city(data)
    assert (caught.value.file, caught.value.line, caught.value.column) == (file, line, column)
    assert str(caught.value).startswith(f"{file}, line {line}, column {column}: ")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("rank,code,kind", "rank,kind,code", 1),
        ("\n3,AF,validator,", "\n3,AF,", 4),
        ("\n3,AF,", "\n\n3,AF,", 4),
        (",公安局,", ',"公安局,', 4),
    ],
)
def test_a_line_of_the_wrong_shape_is_named(data: Path, old: str, new: str, line: int) -> None:
    """Another header, a missing cell, a blank line, an open quote: the line is known, the column is not."""
    spoil(data, "departments.csv", old, new)
    with pytest.raises(CityDataError) as caught:
        load_city(data)
    assert (caught.value.file, caught.value.column) == ("departments.csv", None)
    assert caught.value.line is not None
    assert caught.value.line >= line


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("start = 2025-09-15T08:00:00+08:00", "start = 2025-09-15T08:00:00", "start"),
        ("utc_offset_hours = 8", "utc_offset_hours = true", "utc_offset_hours"),
        ("share_requests = 300", "share_requests = -1", "per_working_day.share_requests"),
        ("verifications = 80_000", "", "per_working_day.verifications"),
        ("9 = 18", "9 = 19", "hours"),
        ("9 = 18", "24 = 18", "hours"),
        ('"zipf"', '"flat"', "skew"),
        ("wrong_chain = 5", "wrong_cain = 5", "planted.wrong_cain"),
    ],
)
def test_a_wrong_figure_of_the_workload_is_named_by_its_key(data: Path, old: str, new: str, key: str) -> None:
    """The sentence begins with the file and the key."""
    spoil(data, "workload.toml", old, new)
    with pytest.raises(CityDataError) as caught:
        load_city(data)
    assert str(caught.value).startswith(f"workload.toml: {key}: ")


def test_a_missing_or_unreadable_file_is_named(data: Path) -> None:
    """No file, no text, no TOML: one kind of error each time."""
    (data / "workload.toml").write_text("start = \n", encoding="utf-8")
    with pytest.raises(CityDataError, match=r"^workload\.toml: .*line 1"):
        load_city(data)
    (data / "calendar.csv").write_bytes(b"date,kind\n\xff\n")
    with pytest.raises(CityDataError, match=r"^calendar\.csv: cannot be read"):
        load_city(data)
    (data / "departments.csv").unlink()
    with pytest.raises(CityDataError, match=r"^departments\.csv: cannot be read"):
        load_city(data)
