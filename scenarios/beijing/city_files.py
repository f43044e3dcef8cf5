"""The files under `data/`, read into a `City`.

All is checked while it is read, references and check characters included. A value that is wrong is reported with its
file, line and column.
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import count
from typing import Any, Literal, TypeVar

from ledger.check_characters import check_credit_code
from ledger.errors import InvalidInputError
from ledger.members.calendar import check_term, parse_day
from ledger.registers.certificates.identifier import check_type_code
from scenarios.beijing.city import (
    ROLES,
    CalendarRow,
    CertificateTypeRow,
    City,
    DailyCounts,
    DataItemRow,
    DepartmentRow,
    DistrictRow,
    PlantedError,
    ResponsibilityRow,
    Workload,
)


class CityDataError(InvalidInputError):
    """A file of the city's data holds something that cannot be: whoever edits the file must look there."""

    code = "bad_city_data"

    def __init__(self, file: str, reason: str, *, line: int | None = None, column: str | None = None) -> None:
        place = file + (f", line {line}" if line is not None else "") + (f", column {column}" if column else "")
        super().__init__(f"{place}: {reason}")
        self.file, self.line, self.column, self.reason = file, line, column, reason


def load_city(data: Traversable | None = None) -> City:
    """Read and check the whole city.

    Args:
        data: Folder with the files; the one that is installed with this package if None.

    Raises:
        CityDataError: A file is missing or holds something that cannot be.
    """
    data = data if data is not None else files("scenarios.beijing") / "data"
    departments = _read(data, "departments.csv", DepartmentRow, _department_columns())
    codes = {row.code for row in departments}
    responsibilities = _read(
        data,
        "responsibilities.csv",
        ResponsibilityRow,
        {"id": _unique(_text), "department": _one_of(codes), "name_zh": _text, "name_en": _text, "source": _SOURCE},
    )
    owners = {row.id: row.department for row in responsibilities}
    return City(
        departments=tuple(departments),
        responsibilities=tuple(responsibilities),
        data_items=tuple(_read(data, "data_items.csv", DataItemRow, _data_item_columns(owners), _check_condition)),
        certificate_types=tuple(
            _read(
                data,
                "certificate_types.csv",
                CertificateTypeRow,
                _certificate_type_columns(codes, owners),
                lambda row: _check_own_responsibility(row, owners),
            )
        ),
        districts=tuple(
            _read(data, "districts.csv", DistrictRow, {"code": _unique(_digits(6)), "name_zh": _text, "name_en": _text})
        ),
        calendar_days=tuple(
            _read(
                data, "calendar.csv", CalendarRow, {"date": _unique(_iso_day), "kind": _one_of(("holiday", "working"))}
            )
        ),
        workload=_read_workload(data, "workload.toml"),
    )


# Columns: a parser takes the text of a cell and returns its value, or raises ValueError or InvalidInputError with the
# reason. `_read` adds the place.

Row = TypeVar("Row")
Parser = Callable[[str], Any]


def _text(cell: str) -> str:
    if not cell or cell != cell.strip():
        raise ValueError(f"expected a text without outer blanks, got {cell!r}")
    return cell


def _optional_text(cell: str) -> str:
    return _text(cell) if cell else ""


def _number(minimum: int) -> Parser:
    def parse(cell: str) -> int:
        if not (cell.isascii() and cell.isdigit() and int(cell) >= minimum):
            raise ValueError(f"expected a whole number from {minimum}, got {cell!r}")
        return int(cell)

    return parse


def _digits(length: int) -> Parser:
    def parse(cell: str) -> str:
        if not (cell.isascii() and cell.isdigit() and len(cell) == length):
            raise ValueError(f"expected {length} digits, got {cell!r}")
        return cell

    return parse


def _one_of(allowed: Collection[str]) -> Parser:
    def parse(cell: str) -> str:
        if cell not in allowed:
            names = sorted(allowed)
            shown = ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:8])} and {len(names) - 8} more"
            raise ValueError(f"expected one of {shown}; got {cell!r}")
        return cell

    return parse


def _unique(parse_cell: Parser) -> Parser:
    seen: set[Any] = set()

    def parse(cell: str) -> Any:
        if (value := parse_cell(cell)) in seen:
            raise ValueError(f"{cell!r} stands in an earlier line too")
        seen.add(value)
        return value

    return parse


def _consecutive() -> Parser:
    following = count(1)

    def parse(cell: str) -> int:
        if cell != str(expected := next(following)):
            raise ValueError(f"expected {expected}, got {cell!r}; ranks count the lines from 1")
        return expected

    return parse


def _validators_first() -> Parser:
    kinds = ["validator", "member"]

    def parse(cell: str) -> str:
        _one_of(kinds)(cell)
        if cell == "member" and "validator" in kinds:
            kinds.remove("validator")
        return cell

    return parse


def _roles(cell: str) -> frozenset[str]:
    return frozenset(map(_one_of(ROLES), cell.split(";")))


def _iso_day(cell: str) -> str:
    parse_day(cell)
    return cell


def _term(cell: str) -> str:
    check_term(cell)
    return cell


def _type_code(cell: str) -> str:
    check_type_code(cell)
    return cell


_SOURCE = _one_of(("law", "assumption"))


def _department_columns() -> dict[str, Parser]:
    return {
        "rank": _consecutive(),
        "code": _unique(_text),
        "kind": _validators_first(),
        "name_zh": _text,
        "name_en": _text,
        "name_2020_zh": _optional_text,
        "uscc": _unique(check_credit_code),
        "roles": _roles,
        "data_sets": _number(0),
    }


def _data_item_columns(responsibilities: Collection[str]) -> dict[str, Parser]:
    return {
        "id": _unique(_text),
        "responsibility": _one_of(responsibilities),
        "name_zh": _text,
        "name_en": _text,
        "sharing_type": lambda cell: int(_one_of(("1", "2", "3"))(cell)),
        "condition": _optional_text,
        "mode": _one_of(("database", "file", "service")),
        "update_cycle": _one_of(("real-time", "daily", "weekly", "monthly", "quarterly", "yearly", "irregular")),
    }


def _certificate_type_columns(departments: Collection[str], responsibilities: Collection[str]) -> dict[str, Parser]:
    return {
        "code": _unique(_type_code),
        "department": _one_of(departments),
        "responsibility": _one_of(responsibilities),
        "name_zh": _text,
        "name_en": _text,
        "holder": _one_of(("organ", "person", "thing")),
        "term": _term,
        "handling_working_days": _number(0),
        "weight": _number(1),
        "source": _SOURCE,
    }


# Rules over several columns return the column at fault and the reason, or None.

RowCheck = Callable[[Any], tuple[str, str] | None]


def _check_condition(row: DataItemRow) -> tuple[str, str] | None:
    if bool(row.condition) == (row.sharing_type == 1):
        return "condition", f"sharing type {row.sharing_type} {'needs a' if not row.condition else 'has no'} condition"
    return None


def _check_own_responsibility(row: CertificateTypeRow, owners: Mapping[str, str]) -> tuple[str, str] | None:
    if (owner := owners[row.responsibility]) != row.department:
        return "responsibility", f"{row.responsibility} belongs to {owner}, but the type is issued by {row.department}"
    return None


def _read(
    data: Traversable, file: str, row_type: type[Row], columns: Mapping[str, Parser], check: RowCheck | None = None
) -> list[Row]:
    """Return the rows of a file whose header is exactly `columns`, which are the fields of `row_type`."""
    if list(columns) != (names := [field.name for field in fields(row_type)]):  # type: ignore[arg-type]
        raise ValueError(f"{row_type.__name__} has the fields {names}, its columns are {list(columns)}")
    rows = []
    for line, cells in _lines(data, file, list(columns)):
        values = {}
        for (column, parse), cell in zip(columns.items(), cells, strict=True):
            try:
                values[column] = parse(cell)
            except (ValueError, InvalidInputError) as error:
                raise CityDataError(file, str(error), line=line, column=column) from error
        row = row_type(**values)
        if check is not None and (fault := check(row)) is not None:
            raise CityDataError(file, fault[1], line=line, column=fault[0])
        rows.append(row)
    if not rows:
        raise CityDataError(file, "has no rows below its header")
    return rows


def _lines(data: Traversable, file: str, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers, from 2, with as many cells as the header has."""
    reader = csv.reader(io.StringIO(_read_text(data, file)), strict=True)
    try:
        for cells in reader:
            if reader.line_num == 1:
                if cells != header:
                    raise CityDataError(file, f"expected the header {','.join(header)}; got {','.join(cells)}", line=1)
            elif len(cells) != len(header):
                raise CityDataError(file, f"expected {len(header)} cells, got {len(cells)}", line=reader.line_num)
            else:
                yield reader.line_num, cells
    except csv.Error as error:
        raise CityDataError(file, str(error), line=reader.line_num) from error


def _read_text(data: Traversable, file: str) -> str:
    try:
        return (data / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CityDataError(file, f"cannot be read: {error}") from error


# The workload.

_PLACES: Mapping[str, Literal["execution", "gateway"]] = {
    "foreign_issuer": "execution",
    "identifier_check_character": "execution",
    "credit_code_check_character": "execution",
    "unknown_responsibility": "execution",
    "type_not_own": "execution",
    "illegal_state_change": "execution",
    "replayed_envelope": "gateway",
    "wrong_chain": "gateway",
    "bad_signature": "gateway",
    "expired_envelope": "gateway",
}
"""Where each planted error must be refused."""


def _read_workload(data: Traversable, file: str) -> Workload:
    try:
        document = tomllib.loads(_read_text(data, file))
    except tomllib.TOMLDecodeError as error:
        raise CityDataError(file, str(error)) from error

    def fault(key: str, reason: str) -> CityDataError:
        return CityDataError(file, f"{key}: {reason}")

    def table(name: str, keys: Collection[str]) -> dict[str, Any]:
        found = document.get(name)
        if not isinstance(found, dict):
            raise fault(name, "expected a table")
        for key in sorted(set(found) ^ set(keys)):
            raise fault(f"{name}.{key}", "unknown" if key in found else "missing")
        return found

    def counts(name: str, keys: Collection[str]) -> dict[str, int]:
        found = table(name, keys)
        for key, value in found.items():
            # `type` and not `isinstance`: True is no count.
            if type(value) is not int or value < 0:
                raise fault(f"{name}.{key}", f"expected a whole number from 0, got {value!r}")
        return found

    start, offset = document.get("start"), document.get("utc_offset_hours")
    if not isinstance(start, datetime) or start.tzinfo is None:
        raise fault("start", f"expected a time with its offset from UTC, got {start!r}")
    if type(offset) is not int or not -12 <= offset <= 14:
        raise fault("utc_offset_hours", f"expected whole hours from -12 to 14, got {offset!r}")
    hours = _hours(document.get("hours"))
    if hours is None:
        raise fault("hours", "expected whole percents by hour, 0 to 23, that sum to 100")
    skew = table("skew", ("data_items", "exponent"))
    if skew["data_items"] != "zipf" or type(skew["exponent"]) is not float or skew["exponent"] <= 0:
        raise fault("skew", f"expected zipf with an exponent above 0.0, got {skew}")
    return Workload(
        start=start,
        utc_offset_hours=offset,
        per_working_day=DailyCounts(**counts("per_working_day", [field.name for field in fields(DailyCounts)])),
        hours=hours,
        zipf_exponent=skew["exponent"],
        planted=tuple(PlantedError(code, n, _PLACES[code]) for code, n in counts("planted", _PLACES).items()),
    )


def _hours(found: object) -> Mapping[int, int] | None:
    """Return percents by hour, or None if the table is none of those."""
    names = {str(hour): hour for hour in range(24)}
    if not isinstance(found, dict) or not found.keys() <= names.keys():
        return None
    if any(type(percent) is not int or percent < 0 for percent in found.values()) or sum(found.values()) != 100:
        return None
    return {names[name]: percent for name, percent in found.items()}
