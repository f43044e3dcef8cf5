"""A gateway's node on which departments share data: two items of Market Regulation, asked for by Public Security."""

from __future__ import annotations

from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.registers.catalogue import InformationItem, Openness, Sharing
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
)
from tests.gateway.memory_node import MemoryNode
from tests.proofs.small_network import (
    GOVERNMENT_SERVICES,
    MARKET_REGULATION,
    PLANNING,
    PUBLIC_SECURITY,
    REGISTRAR,
    Member,
)
from tests.registers import governed
from tests.registers.catalogue import METADATA, table
from tests.state.small_ledger import DAY_MS

OPEN, CONDITIONAL, CLOSED = "AY-01-D1", "AY-01-D2", "AY-01-D3"
"""Shared unconditionally, on conditions, and not."""
OF_PLANNING = "AL-01-D1"
SHARED = "AF-R1"
"""A request of Public Security that was granted, delivered and acknowledged."""
WAITING = "AF-R2"
"""One that Market Regulation has not answered."""
REFUSED = "AF-R3"

FIELDS = ("permit number", "issued on")


def publication(name: str, under: str, sharing: int = 1, **other: object) -> PublishDataItem:
    """Return a publication of a data item; `other` changes its metadata."""
    terms = Sharing(type=sharing, condition="" if sharing == 1 else "for permits only", mode="database")  # type: ignore[arg-type]
    return PublishDataItem(
        id=name, revision=1, responsibilities=(under,), metadata=replace(METADATA, sharing=terms, **other)
    )


def put(node: MemoryNode, member: Member, *records: Record, time_ms: int | None = None) -> None:
    """Execute records of a member in a block of their own; all of them are accepted."""
    node.execute(node.sign(member, *records), time_ms=time_ms)
    codes = list(node.results[-1])
    assert codes == [0] * len(records), codes


def fill_catalogue(node: MemoryNode) -> None:
    """Publish and approve four data items of two departments, and a table of one of them."""
    for member, name in ((MARKET_REGULATION, "AY-01"), (PLANNING, "AL-01")):
        published = PublishResponsibility(
            id=name, revision=1, office="", name_zh="施工许可", name_en="Permit construction", legal_basis=""
        )
        put(node, member, published)
        put(node, REGISTRAR, ApproveResponsibility(id=name, revision=1))
    put(
        node,
        MARKET_REGULATION,
        publication(
            OPEN, "AY-01", name_zh="营业执照", name_en="Business licences", abstract="在册企业 and their licences"
        ),
        publication(CONDITIONAL, "AY-01", 2, openness=Openness(open=True, condition="")),
        publication(CLOSED, "AY-01", 3, classification="basic", class_code="2", update_cycle="real-time"),
    )
    fields = (InformationItem(name="地块编号 ＰＬＯＴ", type="C", length=20),)
    put(
        node,
        PLANNING,
        publication(
            OF_PLANNING, "AL-01", name_zh="用地规划", name_en="", abstract="", information_items=fields, related=(OPEN,)
        ),
    )
    items = (OPEN, CONDITIONAL, CLOSED, OF_PLANNING)
    put(node, GOVERNMENT_SERVICES, *(ApproveDataItem(id=name, revision=1) for name in items))
    put(node, MARKET_REGULATION, table("AY-01-T1", of=OPEN), table("AY-01-T2", of=CONDITIONAL))


def share(node: MemoryNode) -> None:
    """Let Public Security request three times: delivered and acknowledged, waiting, refused. And object once."""
    put(node, PUBLIC_SECURITY, governed.request(SHARED, OPEN), governed.request(WAITING, CONDITIONAL))
    put(node, MARKET_REGULATION, replace(governed.deliver(SHARED), table="AY-01-T1"))
    put(node, PUBLIC_SECURITY, governed.acknowledge(SHARED))
    put(node, PUBLIC_SECURITY, governed.request(REFUSED, CONDITIONAL), governed.objection("AF-O1", CONDITIONAL))
    put(node, MARKET_REGULATION, governed.refuse(REFUSED))


def let_deadlines_pass(node: MemoryNode, days: int = 30) -> None:
    """Execute an empty block so much later."""
    node.execute(time_ms=node.state.time_ms + days * DAY_MS)
