"""Two departments on one small ledger: one has permits in a database, the other is granted some of them.

The ledger is the real one without consensus, the database a real one, the connection a call; each side can be started
again on what it left on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.identifiers import ChainId, CreditCode
from ledger.registers import RULEBOOK
from ledger.registers.catalogue import (
    Column,
    InformationItem,
    Sharing,
    Table,
    schema_hash,
    table_key,
)
from ledger.registers.directories.records import ApproveDataItem, ApproveResponsibility, PublishDataItem, PublishTable
from ledger.registers.sharing.records import RequestSharing
from ledger.registers.sharing.values import Condition, Delivery, Grant, grant_key
from ledger.state.store import State
from nodes.exchange.chunk_files import ChunkFolder
from nodes.exchange.databases import Database, columns_with_items
from nodes.exchange.errors import StatementRefusedError
from nodes.exchange.ledger import delivery_of
from nodes.exchange.messages import Offer, Question
from nodes.exchange.provider import Bound, Provider
from nodes.exchange.requester import Connection, Fetched, Report, Requester
from nodes.exchange.store import ExchangeStore
from tests.registers.catalogue import METADATA, responsibility
from tests.state.small_ledger import AUTHORITY, HOUSING, MARKET, REGISTRAR, SmallLedger

T = TypeVar("T")

ITEM, TABLE = "AN-01-D1", "AN-01-D1-T1"
PRIVATE = X25519PrivateKey.from_private_bytes(b"\x21" * 32)


class LedgerOf:
    """One department's access to the small ledger."""

    def __init__(self, small: SmallLedger, me: CreditCode) -> None:
        self.small, self.me = small, me
        self.chain: ChainId = small.genesis.chain

    def ask(self, question: Callable[[State], T]) -> T:
        return question(self.small.state)

    def tell(self, record: Record) -> None:
        execution = self.small.execute(self.small.envelope(self.me, record))
        if number := execution.results[0][0]:
            raise StatementRefusedError(RULEBOOK.code_of(number))

    def wait_until(self, condition: Callable[[State], bool]) -> bool:
        return condition(self.small.state)


class DirectConnection:
    """A connection without a network. A test may cut it after a number of chunks, or put other bytes on it."""

    def __init__(self, provider: Provider, requester: CreditCode) -> None:
        self._provider, self._requester = provider, requester
        self.offer: Offer

    def ask(self, question: Question, working: Callable[[int], None]) -> Offer:
        self.offer = self._provider.offer(self._requester, question, working)
        return self.offer

    def chunks(self, first: int, count: int) -> Iterator[bytes]:
        return self._provider.chunks(self.offer, first)

    def close(self) -> None:
        pass


@dataclass
class TwoDepartments:
    """Both sides and the ledger between them. `restart` makes new sides out of what is on the disk."""

    small: SmallLedger
    database: Database
    physical: str
    folder: Path
    subjects: dict[str, str] = field(default_factory=dict)
    connection: Callable[[Provider, CreditCode], Connection] = DirectConnection
    wrap: Callable[[LedgerOf], Any] = lambda ledger: ledger

    def __post_init__(self) -> None:
        self._stores: list[ExchangeStore] = []
        self.restart()

    def restart(self) -> None:
        """Start both sides on what is on the disk."""
        self.close()
        provider_store = ExchangeStore(self.made("provider") / "exchange.db")
        requester_store = ExchangeStore(self.made("requester") / "exchange.db")
        self._stores = [provider_store, requester_store]
        self.provider_store, self.requester_store = provider_store, requester_store
        self.provider = Provider(
            self.wrap(LedgerOf(self.small, HOUSING)),
            Bound(database=self.database, tables={TABLE: self.physical}, subjects=self.subjects),
            folder=ChunkFolder(self.folder / "provider" / "outbox"),
            store=provider_store,
        )
        self.requester = Requester(
            self.wrap(LedgerOf(self.small, MARKET)),
            lambda _: self.connection(self.provider, MARKET),
            PRIVATE,
            folder=ChunkFolder(self.folder / "requester" / "inbox"),
            store=requester_store,
        )

    def close(self) -> None:
        """Close the databases of both sides."""
        for store in self._stores:
            store.close()

    def made(self, name: str) -> Path:
        """Return the folder of one side."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def grant(self, name: str = "AY-R1", **changes: Any) -> Grant:
        """Have the requester granted what it asks for."""
        request = RequestSharing(
            id=name,
            data_item=ITEM,
            fields=("permit number", "name", "floors"),
            selection=(),
            purpose="inspection of sites",
            legal_basis="",
            mode="database",
            volume_max=1_000_000,
            last_day="2025-12-31",
            recipient_key=PRIVATE.public_key().public_bytes_raw(),
            renews=None,
        )
        assert self.small.put(MARKET, replace(request, **changes)) == ["accepted"]
        return self.grant_now(name)

    def grant_now(self, name: str = "AY-R1") -> Grant:
        """Return the grant as it stands."""
        grant = self.small.state.get(grant_key(name), Grant)
        assert grant is not None
        return grant

    def delivery(self, number: int = 1, grant: str = "AY-R1") -> Delivery:
        """Return a delivery as it stands."""
        delivery = delivery_of(self.small.state, grant, number)
        assert delivery is not None
        return delivery

    def entry(self) -> Table:
        """Return the table as the catalogue has it."""
        entry = self.small.state.get(table_key(TABLE), Table)
        assert entry is not None
        return entry

    def fetch(self, path: Path, *, report: Report = lambda _: None, **question: Any) -> Fetched:
        """Fetch under the grant, as the requester."""
        return self.requester.fetch(asking(**question), path, report)


def asking(grant: str = "AY-R1", table: str = "", fields: Sequence[str] = (), **selection: tuple[str, ...]) -> Question:
    """Return a question; conditions by information item, with `_` for blanks."""
    conditions = tuple(
        Condition(information_item=item.replace("_", " "), values=values) for item, values in selection.items()
    )
    return Question(grant=grant, table=table, fields=tuple(fields), selection=conditions)


def two_departments(
    database: Database, physical: str, items: dict[str, str], folder: Path, **more: Any
) -> TwoDepartments:
    """Return two departments, the table in `database` published on their ledger.

    Args:
        items: Information item by column.
    """
    small = SmallLedger()
    columns = columns_with_items(database.describe(physical), items)
    put = small.put
    assert put(HOUSING, responsibility()) == ["accepted"]
    assert put(REGISTRAR, ApproveResponsibility(id="AN-01", revision=1)) == ["accepted"]
    assert put(HOUSING, _data_item(items)) == ["accepted"]
    assert put(AUTHORITY, ApproveDataItem(id=ITEM, revision=1)) == ["accepted"]
    assert put(HOUSING, published(columns)) == ["accepted"]
    return TwoDepartments(small, database, physical, folder, **more)


def published(columns: tuple[Column, ...], revision: int = 1) -> PublishTable:
    """Return the publication of the table with these columns."""
    return PublishTable(
        id=TABLE,
        revision=revision,
        data_item=ITEM,
        system=None,
        name="permits",
        columns=columns,
        schema=schema_hash(columns),
    )


def _data_item(items: dict[str, str]) -> PublishDataItem:
    metadata = replace(
        METADATA,
        information_items=tuple(InformationItem(name=name, type="C", length=None) for name in items.values()),
        sharing=Sharing(type=1, condition="", mode="database"),
    )
    return PublishDataItem(id=ITEM, revision=1, responsibilities=("AN-01",), metadata=metadata)
