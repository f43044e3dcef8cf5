"""Good records for the tests of directories and certificates, each to be spoilt in one place by `replace`."""

from __future__ import annotations

from ledger.check_characters import mod_37_36
from ledger.crypto.hashing import sha256
from ledger.identifiers import CreditCode
from ledger.registers.catalogue import Column, DataItemMetadata, InformationItem, Openness, Sharing, schema_hash
from ledger.registers.certificates.identifier import ROOT
from ledger.registers.certificates.records import DefineType, IssueCertificate
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishTable,
)
from tests.state.small_ledger import AUTHORITY, HOUSING, MARKET, REGISTRAR, SmallLedger

TYPE = "11100000C00000016E022"
"""A construction permit, in the fictional numbering of the Beijing scenario."""
TYPE_OF_MARKET = "11100000C00000016E040"

METADATA = DataItemMetadata(
    name_zh="施工许可",
    name_en="Construction permits",
    classification="theme",
    class_code="11",
    abstract="permits in force",
    format="database",
    information_items=(
        InformationItem(name="permit number", type="C", length=20),
        InformationItem(name="issued on", type="D", length=None),
    ),
    sharing=Sharing(type=1, condition="", mode="database"),
    openness=Openness(open=False, condition=""),
    update_cycle="daily",
    related=(),
)
COLUMNS = (
    Column(name="permit_no", type="VARCHAR", length=20, information_item="permit number"),
    Column(name="updated", type="TIMESTAMP", length=None, information_item=""),
)


def responsibility(name: str = "AN-01", revision: int = 1) -> PublishResponsibility:
    """Return a good publication."""
    return PublishResponsibility(
        id=name, revision=revision, office="", name_zh="施工许可", name_en="Permit construction", legal_basis=""
    )


def data_item(name: str = "AN-01-D1", revision: int = 1, under: str = "AN-01") -> PublishDataItem:
    """Return a good publication."""
    return PublishDataItem(id=name, revision=revision, responsibilities=(under,), metadata=METADATA)


def table(name: str = "AN-01-T1", revision: int = 1, of: str = "AN-01-D1") -> PublishTable:
    """Return a good publication."""
    return PublishTable(
        id=name,
        revision=revision,
        data_item=of,
        system=None,
        name="permits",
        columns=COLUMNS,
        schema=schema_hash(COLUMNS),
    )


def certificate_type(code: str = TYPE, under: str = "AN-01", term: str = "P2Y") -> DefineType:
    """Return a good definition."""
    return DefineType(
        code=code,
        responsibility=under,
        name_zh="建筑工程施工许可证",
        name_en="Construction permit",
        holder="thing",
        term=term,
        handling_working_days=7,
    )


def identifier(serial: str, *, kind: str = TYPE, issuer: str = HOUSING, version: int = 1) -> str:
    """Return an identifier whose own check character is right, whatever its parts are."""
    body = f"{kind}{issuer}{serial}{version:03}"
    return f"{ROOT}.{kind}.{issuer}.{serial}.{version:03}.{mod_37_36(body)}"


def issue(name: str, *, valid_from: str = "2025-09-15", replaces: str | None = None) -> IssueCertificate:
    """Return a good issue."""
    return IssueCertificate(
        identifier=name,
        holder=sha256(b"holder" + name.encode()),
        content=sha256(b"content" + name.encode()),
        valid_from=valid_from,
        replaces=replaces,
    )


def catalogued() -> SmallLedger:
    """Return a ledger on which housing and market regulation each have an approved responsibility and a type."""
    ledger = SmallLedger()
    owners: tuple[tuple[CreditCode, str, str], ...] = ((HOUSING, "AN-01", TYPE), (MARKET, "AY-01", TYPE_OF_MARKET))
    for department, name, code in owners:
        assert ledger.put(department, responsibility(name)) == ["accepted"]
        assert ledger.put(REGISTRAR, ApproveResponsibility(id=name, revision=1)) == ["accepted"]
        assert ledger.put(department, data_item(f"{name}-D1", under=name)) == ["accepted"]
        assert ledger.put(AUTHORITY, ApproveDataItem(id=f"{name}-D1", revision=1)) == ["accepted"]
        assert ledger.put(department, certificate_type(code, under=name)) == ["accepted"]
    return ledger
