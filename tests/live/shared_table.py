"""A department's table, published from its real database and granted to another, on a network that runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import httpx
from msgspec.structs import replace

from ledger.blocks.envelope import seal
from ledger.blocks.record import Record
from ledger.identifiers import Height, KeyId
from ledger.registers.catalogue import DataItemMetadata, InformationItem, Openness, Sharing, schema_hash
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishTable,
)
from ledger.registers.sharing.records import RequestSharing
from nodes.exchange.control import ShowKey, TellLedger, command
from nodes.exchange.databases import PostgresBinding, SqliteBinding, columns_with_items
from nodes.exchange.databases.binding import Binding
from nodes.exchange.databases.opening import open_database
from nodes.exchange.service import BINDING_FILE
from nodes.gateway.routes.envelopes import MEDIA_TYPE
from nodes.launcher import Launcher
from scenarios.beijing.city_files import load_city

OWNER, REQUESTER = "AY", "AL"
ITEM, TABLE = "AY-77-D1", "AY-77-D1-T1"
DAY_S = 86_400


def tell(launcher: Launcher, code: str, record: Record) -> None:
    """State a record as a department by way of its own node; that of a member without one goes to a gateway."""
    if code in launcher.codes:
        command(launcher.directory(code), TellLedger(record=record.encode()))
        return
    envelope = seal(
        [record.encode()],
        chain=launcher.network.genesis.chain,
        department=load_city().department(code).uscc,
        key_id=KeyId(1),
        sequence=1,
        valid_until=Height(1_000),
        signer=launcher.envelope_signers[code],
    )
    answer = httpx.post(
        f"{launcher.gateway_url('BM')}/api/v1/envelopes?wait=30",
        content=envelope.encode(),
        headers={"Content-Type": MEDIA_TYPE},
        timeout=40,
    )
    assert [result["code"] for result in answer.json()["results"]] == ["accepted"], answer.text


def code_with(role: str) -> str:
    """Return a department of the first four that holds a role."""
    return next(row.code for row in load_city().first(4).departments if role in row.profile.roles)


def bind(launcher: Launcher, database: Path | PostgresBinding, table: str, *, subject: str) -> None:
    """Bind the owner's node, before it starts, to a table of a SQLite file or of a PostgreSQL server."""
    if isinstance(database, PostgresBinding):
        how = f'kind = "postgresql"\nreader = "{database.reader}"\nsteward = "{database.steward}"\n'
    else:
        how = f'kind = "sqlite"\npath = "{database}"\n'
    (launcher.directory(OWNER) / BINDING_FILE).write_text(
        f'format = 1\n[database]\n{how}[tables]\n"{TABLE}" = "{table}"\n[subjects]\n"{TABLE}" = "{subject}"\n'
    )


def publish(launcher: Launcher, database: Path | PostgresBinding, table: str, items: Mapping[str, str]) -> None:
    """Put the table into the catalogue, as it is in the database.

    Args:
        items: Information item by column.
    """
    found = database if isinstance(database, PostgresBinding) else SqliteBinding(str(database))
    binding = Binding(format=1, database=found, tables={TABLE: table})
    columns = columns_with_items(open_database(binding).describe(table), dict(items))
    duty = PublishResponsibility(id="AY-77", revision=1, office="", name_zh="许可", name_en="Permits", legal_basis="")
    tell(launcher, OWNER, duty)
    tell(launcher, code_with("registrar"), ApproveResponsibility(id="AY-77", revision=1))
    item = PublishDataItem(id=ITEM, revision=1, responsibilities=("AY-77",), metadata=_metadata(items.values()))
    tell(launcher, OWNER, item)
    tell(launcher, code_with("directory_authority"), ApproveDataItem(id=ITEM, revision=1))
    tell(
        launcher,
        OWNER,
        PublishTable(
            id=TABLE,
            revision=1,
            data_item=ITEM,
            system=None,
            name=table,
            columns=columns,
            schema=schema_hash(columns),
        ),
    )


def request(launcher: Launcher, name: str, fields: Iterable[str], **changes: object) -> None:
    """Have the requester ask for the item, which grants it."""
    record = RequestSharing(
        id=name,
        data_item=ITEM,
        fields=tuple(fields),
        selection=(),
        purpose="inspection",
        legal_basis="",
        mode="database",
        volume_max=1_000_000,
        last_day=time.strftime("%Y-%m-%d", time.gmtime(time.time() + 30 * DAY_S)),
        recipient_key=command(launcher.directory(REQUESTER), ShowKey()).public,
        renews=None,
    )
    tell(launcher, REQUESTER, replace(record, **changes))


def _metadata(items: Iterable[str]) -> DataItemMetadata:
    return DataItemMetadata(
        name_zh="许可",
        name_en="Permits",
        classification="theme",
        class_code="11",
        abstract="permits in force",
        format="database",
        information_items=tuple(InformationItem(name=name, type="C", length=None) for name in items),
        sharing=Sharing(type=1, condition="", mode="database"),
        openness=Openness(open=False, condition=""),
        update_cycle="daily",
        related=(),
    )
