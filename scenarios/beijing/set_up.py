"""What comes before any certificate: responsibilities, catalogue and types, each approved where it must be.

Each step rests on the one before, and is therefore a phase of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.registers.directories.records import ApproveDataItem, ApproveResponsibility
from scenarios.beijing.catalogue import (
    data_item_record,
    responsibility_record,
    system_record,
    table_record,
    type_record,
)
from scenarios.beijing.city import City
from scenarios.beijing.drafts import Draft


def _publish_responsibilities(city: City, draft: Draft) -> None:
    for row in city.responsibilities:
        draft.add(row.department, responsibility_record(row))


def _approve_responsibilities(city: City, draft: Draft) -> None:
    registrar = city.with_role("registrar")[0].code
    for row in city.responsibilities:
        draft.add(registrar, ApproveResponsibility(id=row.id, revision=1))


def _publish_data_items(city: City, draft: Draft) -> None:
    for row in city.data_items:
        draft.add(city.owner_of(row.responsibility).code, data_item_record(city, row, 1))


def _approve_data_items(city: City, draft: Draft) -> None:
    authority = city.with_role("directory_authority")[0].code
    for row in city.data_items:
        draft.add(authority, ApproveDataItem(id=row.id, revision=1))


def _publish_systems_and_define_types(city: City, draft: Draft) -> None:
    for department in city.departments:
        draft.add(department.code, system_record(city, department))
    for kind in city.certificate_types:
        draft.add(kind.department, type_record(kind))


def _publish_tables(city: City, draft: Draft) -> None:
    for row in city.data_items:
        draft.add(city.owner_of(row.responsibility).code, table_record(city, row))


SET_UP: tuple[tuple[str, Callable[[City, Draft], None]], ...] = (
    ("publish responsibilities", _publish_responsibilities),
    ("approve responsibilities", _approve_responsibilities),
    ("publish data items", _publish_data_items),
    ("approve data items", _approve_data_items),
    ("publish systems, define certificate types", _publish_systems_and_define_types),
    ("publish tables", _publish_tables),
)
"""The steps in order: what people read in the progress, and what writes the records."""


def set_up_records(city: City) -> int:
    """Return how many records the steps have together."""
    duties, items = len(city.responsibilities), len(city.data_items)
    return 2 * duties + 3 * items + len(city.departments) + len(city.certificate_types)
