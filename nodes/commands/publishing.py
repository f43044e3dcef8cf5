"""`mulu catalog publish` and `approve`: how a department's data come into the catalogue.

One file says what a department holds: a responsibility, a data item that comes of it, the table where it lies.

    [responsibility]
    id = "AY-90"
    name_zh = "施工许可"
    name_en = "Permit construction"

    [data_item]
    id = "AY-90-D1"
    name_zh = "施工许可证"
    name_en = "Construction permits"
    abstract = "permits in force"
    class_code = "11"
    sharing = 2                              # 1 unconditional, 2 on conditions, 3 not shared
    condition = "for public bodies"
    mode = "database"
    update_cycle = "daily"

    [data_item.fields]                       # information item = its type
    "permit number" = "C"
    "holder" = "C"

    [table]
    id = "AY-90-D1-T1"                       # bound in database.toml

    [table.columns]                          # column of the database = information item
    permit_no = "permit number"
    holder = "holder"

Publishing states what of it is not on the ledger as it is written, and stops where an approval is waited for; calling
it again goes on from there.
"""

from __future__ import annotations

import argparse
import tomllib
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from unicodedata import normalize

import msgspec

from ledger.blocks.record import Record
from ledger.errors import NotFoundError
from ledger.proofs.statement import printable
from ledger.registers.catalogue import (
    DataItemMetadata,
    InformationItem,
    Openness,
    Sharing,
    schema_hash,
)
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishTable,
)
from nodes.commands.complaints import in_words
from nodes.commands.gateway_client import ask
from nodes.commands.options import TIMEOUT_S, directory_of
from nodes.commands.speaking import gateway_for, state
from nodes.exchange.databases import columns_with_items, open_database, read_binding
from nodes.exchange.service import BINDING_FILE
from nodes.exit_codes import ExitCode
from nodes.gateway.forms import readable

FILE_BYTES_MAX = 1 << 20


class OfferedResponsibility(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `PublishResponsibility`."""

    id: str
    name_zh: str
    name_en: str = ""
    office: str = ""
    legal_basis: str = ""


class OfferedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `DataItemMetadata`, flat."""

    id: str
    name_zh: str
    fields: dict[str, Literal["C", "N", "D", "T", "L", "I", "F"]]
    sharing: Literal[1, 2, 3]
    update_cycle: Literal["real-time", "daily", "weekly", "monthly", "quarterly", "yearly", "irregular"]
    name_en: str = ""
    abstract: str = ""
    classification: Literal["basic", "theme", "department"] = "department"
    class_code: str = ""
    condition: str = ""
    mode: Literal["database", "file", "service"] = "database"
    format: Literal["e-file", "spreadsheet", "database", "image", "stream", "self-described", "interface"] = "database"
    open: bool = False
    related: tuple[str, ...] = ()

    @property
    def metadata(self) -> DataItemMetadata:
        """What the catalogue will say of it."""
        return DataItemMetadata(
            name_zh=self.name_zh,
            name_en=self.name_en,
            classification=self.classification,
            class_code=self.class_code,
            abstract=self.abstract,
            format=self.format,
            information_items=tuple(
                InformationItem(name=name, type=kind, length=None) for name, kind in self.fields.items()
            ),
            sharing=Sharing(type=self.sharing, condition=self.condition, mode=self.mode),
            openness=Openness(open=self.open, condition=""),
            update_cycle=self.update_cycle,
            related=self.related,
        )


class OfferedTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table that the node's binding names."""

    id: str
    columns: dict[str, str]
    """Information item by column; the others are published without one."""


class Offered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one file says."""

    responsibility: OfferedResponsibility
    data_item: OfferedItem
    table: OfferedTable | None = None


def publish(arguments: argparse.Namespace) -> int:
    """Publish what is not on the ledger yet, as far as approvals let it come."""
    offered, directory = _read(arguments.file, arguments.parser), directory_of(arguments, of_member=True)
    publishing = _Publishing(directory, gateway_for(directory, arguments.node), arguments.parser)
    duty, item = offered.responsibility, offered.data_item

    def responsibility(revision: int) -> PublishResponsibility:
        return PublishResponsibility(**msgspec.structs.asdict(duty), revision=revision)

    def data_item(revision: int) -> PublishDataItem:
        return PublishDataItem(id=item.id, revision=revision, responsibilities=(duty.id,), metadata=item.metadata)

    if not publishing.bring("responsibilities", duty.id, responsibility, waits_for="the registrar"):
        return ExitCode.GOOD
    if not publishing.bring("data-items", item.id, data_item, waits_for="the directory authority"):
        return ExitCode.GOOD
    if (table := offered.table) is not None:
        binding = read_binding(directory / BINDING_FILE)
        name = binding.table(table.id)
        columns = columns_with_items(open_database(binding).describe(name), table.columns)

        def published_table(revision: int) -> PublishTable:
            return PublishTable(
                id=table.id,
                revision=revision,
                data_item=item.id,
                system=None,
                name=name,
                columns=columns,
                schema=schema_hash(columns),
            )

        publishing.bring("tables", table.id, published_table)
    return ExitCode.GOOD


def approve(arguments: argparse.Namespace) -> int:
    """Approve the newest revision of a responsibility or a data item, after saying what it is."""
    directory = directory_of(arguments, of_member=True)
    node = gateway_for(directory, arguments.node)
    record: Record
    if (value := _standing(node, "responsibilities", arguments.id)) is not None:
        record, names = ApproveResponsibility(id=arguments.id, revision=value["revision"]), value
    elif (value := _standing(node, "data-items", arguments.id)) is not None:
        record, names = ApproveDataItem(id=arguments.id, revision=value["revision"]), value["metadata"]
    else:
        raise NotFoundError(f"nothing was published under {arguments.id}")
    state(directory, record, arguments.parser, node=node)
    # Another department wrote the names.
    named = printable(f"{names['name_zh']} {names['name_en']}".rstrip())
    print(f"{arguments.id} revision {value['revision']} approved: {named}")
    return ExitCode.GOOD


class _Publishing:
    """Brings one thing after the other onto the ledger."""

    def __init__(self, directory: Path, node: str, parser: argparse.ArgumentParser) -> None:
        self._directory, self._node, self._parser = directory, node, parser

    def bring(self, plural: str, name: str, make: Callable[[int], Record], *, waits_for: str = "") -> bool:
        """Publish it unless it stands there in these words, say so, and return whether other things may rest on it.

        Args:
            make: Returns the record for a revision.
            waits_for: Who has to approve it; empty if nobody has.
        """
        standing = _standing(self._node, plural, name)
        revision = 0 if standing is None else standing["revision"]
        if standing is None or not _says(standing, make(revision)):
            revision += 1
            state(self._directory, make(revision), self._parser, node=self._node)
            standing = _standing(self._node, plural, name)
            assert standing is not None, "what was accepted is there"
            done = f"{name} revision {revision} published"
        else:
            done = f"{name} revision {revision} is on the ledger"
        waiting = bool(waits_for) and standing["approved_revision"] < revision
        print(done + (f"; waits for {waits_for}" if waiting else ""))
        return not waiting


def _says(standing: dict[str, Any], record: Record) -> bool:
    """Return whether what stands on the ledger is what a record would put there."""
    wanted = readable(record)
    return not standing["withdrawn_height"] and all(standing[name] == value for name, value in wanted.items())


def _standing(node: str, plural: str, name: str) -> dict[str, Any] | None:
    try:
        path = f"/api/v1/state/{plural}/{urllib.parse.quote(name, safe='')}"
        value: dict[str, Any] = ask(node, path, timeout_s=TIMEOUT_S)["value"]
    except NotFoundError:
        return None
    return value


def _read(path: Path, parser: argparse.ArgumentParser) -> Offered:
    """Return what a file offers; one that offers nothing of the kind ends the command with a usage error."""
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        parser.error(f"{path} has more than {FILE_BYTES_MAX} bytes")
    try:
        return msgspec.convert(tomllib.loads(normalize("NFC", content.decode())), Offered)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        parser.error(f"{path}: {error}")
    except msgspec.ValidationError as error:
        parser.error(f"{path}: {_said_of_place(str(error))}")


def _said_of_place(complaint: str) -> str:
    """Return what is wrong with an offer: the place in the file, what is said there, and what could be."""
    wrong, _, place = complaint.partition(" - at `$.")
    place = place.rstrip("`").partition("[")[0]
    said = f"{place}: {in_words(wrong)}" if place else in_words(wrong)
    if not wrong.startswith("Invalid enum value"):
        return said
    allowed = get_type_hints(OfferedItem)[place.removeprefix("data_item.")]
    if get_origin(allowed) is dict:
        _, allowed = get_args(allowed)
    return f"{said}: {', '.join(map(str, get_args(allowed)))}"
