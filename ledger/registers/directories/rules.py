"""How the directories change. Each rule checks everything before its first put."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.members.departments import DIRECTORY_AUTHORITY, REGISTRAR
from ledger.registers.approved import approved_metadata
from ledger.registers.catalogue import (
    ApprovedMetadata,
    DataItem,
    DataItemMetadata,
    Sharing,
    Table,
    approved_metadata_key,
    data_item_key,
    schema_hash,
    table_key,
)
from ledger.registers.context import Context
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishSystem,
    PublishTable,
    WithdrawDataItem,
    WithdrawResponsibility,
    WithdrawTable,
)
from ledger.registers.directories.refusals import DirectoriesRefusal
from ledger.registers.directories.values import System, system_key
from ledger.registers.ownership import owner_of, owner_of_table, stands_in
from ledger.registers.shared import (
    ReferenceRefusal,
    Responsibility,
    require_own_responsibility,
    require_public_body,
    require_role,
    responsibility_key,
)


def publish_responsibility(record: PublishResponsibility, context: Context) -> None:
    """Set a responsibility's newest revision; what was approved before goes on counting."""
    require_public_body(context)
    key = responsibility_key(record.id)
    before = context.get(key, Responsibility)
    if before is not None:
        _check_owner(before.department, context)
        _check_not_withdrawn(before)
    _check_next(record.revision, before)
    context.put(
        key,
        Responsibility(
            id=record.id,
            department=context.department,
            office=record.office,
            name_zh=record.name_zh,
            name_en=record.name_en,
            legal_basis=record.legal_basis,
            revision=record.revision,
            approved_revision=before.approved_revision if before else 0,
            published_height=int(context.height),
            approved_height=before.approved_height if before else 0,
            withdrawn_height=0,
        ),
    )


def approve_responsibility(record: ApproveResponsibility, context: Context) -> None:
    """Let a responsibility count, in exactly the revision that the registrar names."""
    require_role(context, REGISTRAR)
    key = responsibility_key(record.id)
    responsibility = context.get(key, Responsibility)
    if responsibility is None:
        raise Refused(ReferenceRefusal.UNKNOWN_RESPONSIBILITY)
    _check_approval(record.revision, responsibility)
    context.put(
        key,
        replace(responsibility, approved_revision=record.revision, approved_height=int(context.height)),
    )


def withdraw_responsibility(record: WithdrawResponsibility, context: Context) -> None:
    """End a responsibility. Data items that rested on it become orphans until they are published under another."""
    key = responsibility_key(record.id)
    responsibility = context.get(key, Responsibility)
    if responsibility is None:
        raise Refused(ReferenceRefusal.UNKNOWN_RESPONSIBILITY)
    if REGISTRAR not in context.roles:
        _check_owner(responsibility.department, context)
    _check_not_withdrawn(responsibility)
    context.put(key, replace(responsibility, withdrawn_height=int(context.height)))


def publish_data_item(record: PublishDataItem, context: Context) -> None:
    """Set a data item's newest revision, under responsibilities that count; it waits for approval."""
    require_public_body(context)
    key = data_item_key(record.id)
    before = context.get(key, DataItem)
    if before is not None:
        _check_owner(owner_of(before, context), context)
        _check_not_withdrawn(before)
    _check_next(record.revision, before)
    _check_distinct(record.responsibilities)
    for responsibility in record.responsibilities:
        require_own_responsibility(responsibility, context)
    _check_metadata(record.metadata)
    if before is not None and before.approved_revision:
        _keep_approved(before, record.metadata, context)
    context.put(
        key,
        DataItem(
            id=record.id,
            owner=context.department,
            responsibilities=record.responsibilities,
            metadata=record.metadata,
            revision=record.revision,
            approved_revision=before.approved_revision if before else 0,
            published_height=int(context.height),
            published_ms=context.time_ms,
            approved_height=before.approved_height if before else 0,
            withdrawn_height=0,
        ),
    )


def _keep_approved(item: DataItem, waiting: DataItemMetadata, context: Context) -> None:
    """Keep what the approved revision says, if the one that takes its place says something else."""
    metadata = approved_metadata(item, context)
    if metadata != waiting:
        kept = ApprovedMetadata(data_item=item.id, revision=item.approved_revision, metadata=metadata)
        context.put(approved_metadata_key(item.id), kept)


def approve_data_item(record: ApproveDataItem, context: Context) -> None:
    """Let a data item count, in exactly the revision that the directory authority names."""
    require_role(context, DIRECTORY_AUTHORITY)
    item = _data_item(record.id, context)
    _check_approval(record.revision, item)
    context.put(
        data_item_key(record.id),
        replace(item, approved_revision=record.revision, approved_height=int(context.height)),
    )


def withdraw_data_item(record: WithdrawDataItem, context: Context) -> None:
    """End a data item. Its tables become orphans."""
    item = _data_item(record.id, context)
    _check_owner(owner_of(item, context), context)
    _check_not_withdrawn(item)
    context.put(data_item_key(record.id), replace(item, withdrawn_height=int(context.height)))


def publish_system(record: PublishSystem, context: Context) -> None:
    """Set a system's newest revision. Systems need no approval; what an ended department ran, a successor may take."""
    require_public_body(context)
    key = system_key(record.id)
    before = context.get(key, System)
    if before is not None and not stands_in(context.department, before.owner, context):
        _check_owner(before.owner, context)
    _check_next(record.revision, before)
    context.put(
        key,
        System(
            id=record.id,
            owner=context.department,
            name_zh=record.name_zh,
            name_en=record.name_en,
            location=record.location,
            protection_level=record.protection_level,
            revision=record.revision,
            published_height=int(context.height),
        ),
    )


def publish_table(record: PublishTable, context: Context) -> None:
    """Set a table's newest revision, for a data item that counts."""
    require_public_body(context)
    key = table_key(record.id)
    before = context.get(key, Table)
    if before is not None:
        _check_owner(owner_of_table(before, context), context)
        _check_not_withdrawn(before)
    _check_next(record.revision, before)
    item = _data_item(record.data_item, context)
    if before is None or before.data_item != record.data_item:
        # Of the data item it was for before, the owner is known to be the signing department.
        _check_owner(owner_of(item, context), context)
    if not item.counts:
        raise Refused(ReferenceRefusal.DATA_ITEM_NOT_APPROVED)
    if record.system is not None and context.get(system_key(record.system), System) is None:
        raise Refused(DirectoriesRefusal.UNKNOWN_SYSTEM)
    _check_distinct([column.name for column in record.columns])
    known = {information_item.name for information_item in item.metadata.information_items} | {""}
    if not {column.information_item for column in record.columns} <= known:
        raise Refused(ReferenceRefusal.UNKNOWN_INFORMATION_ITEM)
    if record.schema != schema_hash(record.columns):
        raise Refused(DirectoriesRefusal.SCHEMA_HASH)
    context.put(
        key,
        Table(
            id=record.id,
            owner=context.department,
            data_item=record.data_item,
            system=record.system,
            name=record.name,
            columns=record.columns,
            schema=record.schema,
            revision=record.revision,
            published_height=int(context.height),
            withdrawn_height=0,
        ),
    )


def withdraw_table(record: WithdrawTable, context: Context) -> None:
    """End a table."""
    table = context.get(table_key(record.id), Table)
    if table is None:
        raise Refused(ReferenceRefusal.UNKNOWN_TABLE)
    _check_owner(owner_of_table(table, context), context)
    _check_not_withdrawn(table)
    context.put(table_key(record.id), replace(table, withdrawn_height=int(context.height)))


def _data_item(name: str, context: Context) -> DataItem:
    item = context.get(data_item_key(name), DataItem)
    if item is None:
        raise Refused(ReferenceRefusal.UNKNOWN_DATA_ITEM)
    return item


def _check_owner(owner: str, context: Context) -> None:
    if owner != context.department:
        raise Refused(ReferenceRefusal.NOT_THE_OWNER)


def _check_not_withdrawn(value: Responsibility | DataItem | Table) -> None:
    if value.withdrawn_height:
        raise Refused(DirectoriesRefusal.WITHDRAWN)


def _check_next(revision: int, before: Responsibility | DataItem | System | Table | None) -> None:
    if revision != (before.revision if before else 0) + 1:
        raise Refused(DirectoriesRefusal.REVISION_NOT_NEXT)


def _check_approval(revision: int, value: Responsibility | DataItem) -> None:
    _check_not_withdrawn(value)
    if revision != value.revision:
        raise Refused(DirectoriesRefusal.REVISION_NOT_NEWEST)
    if revision == value.approved_revision:
        raise Refused(DirectoriesRefusal.APPROVED_BEFORE)


def _check_distinct(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise Refused(ReferenceRefusal.REPEATED_NAME)


def _check_metadata(metadata: DataItemMetadata) -> None:
    _check_distinct([information_item.name for information_item in metadata.information_items])
    _check_distinct(metadata.related)
    _check_sharing(metadata.sharing)


def _check_sharing(sharing: Sharing) -> None:
    if sharing.type == 1 and sharing.condition:
        raise Refused(DirectoriesRefusal.CONDITION_NOT_ALLOWED)
    if sharing.type != 1 and not sharing.condition:
        raise Refused(DirectoriesRefusal.CONDITION_MISSING)
