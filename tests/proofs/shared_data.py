"""Data that reach the issuer of the test certificate over other departments, before it issues it."""

from __future__ import annotations

from ledger.blocks.genesis import Genesis
from ledger.crypto.hashing import sha256
from ledger.registers.catalogue import schema_hash
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishTable,
)
from ledger.registers.sharing.records import Acknowledge, Deliver, RequestSharing
from tests.proofs.memory_ledger import MemoryLedger, issue_certificate
from tests.proofs.small_network import (
    GOVERNMENT_SERVICES,
    MARKET_REGULATION,
    PLANNING,
    PUBLIC_SECURITY,
    REGISTRAR,
    Member,
)
from tests.registers.catalogue import COLUMNS, METADATA


def share(ledger: MemoryLedger, provider: Member, requester: Member, number: int) -> tuple[str, int]:
    """Let one department publish data, and another request, get and acknowledge them; return grant and number."""
    name, grant = f"{provider.code}-D{number}", f"{requester.code}-R{number}"
    publish = PublishResponsibility(
        id=f"{name}-RES", revision=1, office="", name_zh="登记", name_en="Register", legal_basis=""
    )
    item = PublishDataItem(id=name, revision=1, responsibilities=(publish.id,), metadata=METADATA)
    table = PublishTable(
        id=f"{name}-T", revision=1, data_item=name, system=None, name="rows", columns=COLUMNS,
        schema=schema_hash(COLUMNS),
    )  # fmt: skip
    ledger.execute(ledger.sign(provider, publish))
    ledger.execute(ledger.sign(REGISTRAR, ApproveResponsibility(id=publish.id, revision=1)))
    ledger.execute(ledger.sign(provider, item))
    ledger.execute(ledger.sign(GOVERNMENT_SERVICES, ApproveDataItem(id=name, revision=1)))
    ledger.execute(ledger.sign(provider, table))
    request = RequestSharing(
        id=grant, data_item=name, fields=("permit number",), selection=(), purpose="办理登记 to handle applications",
        legal_basis="", mode="database", volume_max=1_000, last_day="2025-12-31", recipient_key=sha256(b"a key"),
        renews=None,
    )  # fmt: skip
    ledger.execute(ledger.sign(requester, request))
    delivery = Deliver(
        grant=grant, number=1, table=table.id, rows=12, size_bytes=4_096, chunks=1, commitment=sha256(b"rows"),
        sealed=sha256(b"ciphertext"), schema=table.schema,
    )  # fmt: skip
    ledger.execute(ledger.sign(provider, delivery))
    receipt = Acknowledge(grant=grant, number=1, commitment=delivery.commitment, sealed=delivery.sealed)
    ledger.execute(ledger.sign(requester, receipt))
    assert set(ledger.results[-8:]) == {b"\x00"}
    return grant, 1


def ledger_with_hops(genesis: Genesis, hops: int = 2) -> tuple[MemoryLedger, list[tuple[str, int]]]:
    """Return a ledger on which data came to the issuer, and the deliveries in their order.

    The last comes from Planning, the one before to Planning from Public Security, the one before that to there.
    """
    ledger = MemoryLedger(genesis)
    between = (PUBLIC_SECURITY, PLANNING)
    deliveries = []
    for number in range(1, hops + 1):
        left = hops - number
        requester = between[left % 2] if left else MARKET_REGULATION
        deliveries.append(share(ledger, between[(left + 1) % 2], requester, number))
    return issue_certificate(ledger), deliveries
