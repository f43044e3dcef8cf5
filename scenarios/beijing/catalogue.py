"""What the departments put into the directories: the rows of the data files as records, with what the files leave out.

The files name responsibilities and data items. Classification, information items, systems and tables are made up here
by fixed rules, so that every run publishes the same catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from ledger.registers.catalogue import Column, DataItemMetadata, InformationItem, Openness, Sharing, schema_hash
from ledger.registers.certificates.records import DefineType
from ledger.registers.directories.records import PublishDataItem, PublishResponsibility, PublishSystem, PublishTable
from scenarios.beijing.city import CertificateTypeRow, City, DataItemRow, DepartmentRow, ResponsibilityRow

ItemType = Literal["C", "N", "D", "T", "L", "I", "F"]


@dataclass(frozen=True, slots=True)
class Subject:
    """Where in the national classification a department's data stands."""

    classification: Literal["basic", "theme", "department"]
    number: int
    """Of the subject within the class, as in the guide's order."""


SUBJECTS: Mapping[str, Subject] = {
    "AF": Subject("basic", 1),  # population
    "AY": Subject("basic", 2),  # legal persons
    "AL": Subject("basic", 3),  # natural resources and geography
    "AD": Subject("basic", 4),  # social credit
    "BM": Subject("theme", 1),  # public services
    "AV": Subject("theme", 2),  # health
    "AK": Subject("theme", 3),  # social security
    "BP": Subject("theme", 3),
    "CH": Subject("theme", 4),  # food and drugs
    "AX": Subject("theme", 5),  # work safety
    "AN": Subject("theme", 9),  # urban and rural construction
    "AM": Subject("theme", 11),  # environment
}
"""By department; the data of all others is classified by the department itself (assumption)."""

_CLASS_DIGITS = {"basic": 1, "theme": 2, "department": 3}
_FORMATS: Mapping[str, Literal["database", "spreadsheet", "interface"]] = {
    "database": "database",
    "file": "spreadsheet",
    "service": "interface",
}


def _item(name: str, kind: ItemType, length: int | None = None) -> InformationItem:
    return InformationItem(name=name, type=kind, length=length)


COMMON_ITEMS = (
    _item("记录编号 record number", "C", 32),
    _item("名称 name", "C", 200),
    _item("行政区划代码 district code", "C", 6),
)
PERSONAL_ITEMS = (_item("相关主体标识 subject reference", "C", 64), _item("办理日期 handled on", "D"))
PUBLIC_ITEMS = (_item("有效标志 in force", "L"), _item("数量 quantity", "I"))
LAST_ITEM = _item("更新时间 updated at", "T")

COLUMN_TYPES: Mapping[str, str] = {
    "C": "VARCHAR",
    "N": "DECIMAL",
    "D": "DATE",
    "T": "TIMESTAMP",
    "L": "BOOLEAN",
    "I": "INTEGER",
    "F": "DOUBLE PRECISION",
}


def responsibility_record(row: ResponsibilityRow) -> PublishResponsibility:
    """Return the first publication of a responsibility."""
    return PublishResponsibility(
        id=row.id,
        revision=1,
        office=f"{row.id.rpartition('-')[2]}处",
        name_zh=row.name_zh,
        name_en=row.name_en,
        legal_basis="部门三定规定 (functions, bodies and posts of the department)" if row.source == "law" else "",
    )


def data_item_record(city: City, row: DataItemRow, revision: int) -> PublishDataItem:
    """Return a publication of a data item. Each revision after the first offers one field more."""
    metadata = _metadata(city, row)
    if revision > 1:
        more = tuple(_item(f"补充字段 further field {n}", "C", 100) for n in range(2, revision + 1))
        metadata = replace(metadata, information_items=metadata.information_items + more)
    return PublishDataItem(id=row.id, revision=revision, responsibilities=(row.responsibility,), metadata=metadata)


def system_record(city: City, department: DepartmentRow) -> PublishSystem:
    """Return a department's one system, which all of its tables stand in."""
    items = [item for item in city.data_items if city.owner_of(item.responsibility) is department]
    return PublishSystem(
        id=_system_id(department),
        revision=1,
        name_zh=f"{department.name_zh}业务系统",
        name_en=f"{department.name_en}: operational system",
        location="municipal cloud",
        # What is not public needs the stricter protection.
        protection_level=2 if all(item.sharing_type == 1 for item in items) else 3,
    )


def table_record(city: City, item: DataItemRow) -> PublishTable:
    """Return the table of a data item in its first revision, a column for each information item."""
    columns = tuple(
        Column(
            name=f"c{number:02}_{information_item.name.rpartition(' ')[2]}",
            type=COLUMN_TYPES[information_item.type],
            length=information_item.length,
            information_item=information_item.name,
        )
        for number, information_item in enumerate(_metadata(city, item).information_items, 1)
    )
    return PublishTable(
        id=f"{item.id}-T1",
        revision=1,
        data_item=item.id,
        system=_system_id(city.owner_of(item.responsibility)),
        name=f"t_{item.id.lower().replace('-', '_')}",
        columns=columns,
        schema=schema_hash(columns),
    )


def type_record(row: CertificateTypeRow) -> DefineType:
    """Return the definition of a certificate type."""
    return DefineType(
        code=row.code,
        responsibility=row.responsibility,
        name_zh=row.name_zh,
        name_en=row.name_en,
        holder=row.holder,
        term=row.term,
        handling_working_days=row.handling_working_days,
    )


def _metadata(city: City, row: DataItemRow) -> DataItemMetadata:
    owner = city.owner_of(row.responsibility)
    responsibility = next(r for r in city.responsibilities if r.id == row.responsibility)
    subject = SUBJECTS.get(owner.code, Subject("department", owner.rank))
    digit = _CLASS_DIGITS[subject.classification]
    siblings = [item for item in city.data_items if city.owner_of(item.responsibility) is owner]
    return DataItemMetadata(
        name_zh=row.name_zh,
        name_en=row.name_en,
        classification=subject.classification,
        # One digit for the class, two for the item, three for the group, then the serial.
        class_code=f"{digit}{subject.number:02}{owner.rank:03}/{siblings.index(row) + 1:04}",
        abstract=(
            f"{owner.name_zh}履行“{responsibility.name_zh}”职责形成的{row.name_zh}。"
            f"{row.name_en}, from the duty: {responsibility.name_en}."
        ),
        format=_FORMATS[row.mode],
        information_items=(*COMMON_ITEMS, *(PUBLIC_ITEMS if row.sharing_type == 1 else PERSONAL_ITEMS), LAST_ITEM),
        sharing=Sharing(type=row.sharing_type, condition=row.condition, mode=row.mode),
        openness=Openness(open=row.sharing_type == 1, condition=""),
        update_cycle=row.update_cycle,
        related=tuple(item.id for item in siblings if item is not row),
    )


def _system_id(department: DepartmentRow) -> str:
    return f"{department.code}-S1"
