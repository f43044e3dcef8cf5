"""Two departments' real nodes: one requests, the other's database delivers, and the ledger has the receipt."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.blocks.envelope import seal
from ledger.blocks.record import Record
from ledger.identifiers import Height, KeyId
from ledger.proofs.delivery import ProvenDelivery, verify_receipt
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
from ledger.registers.sharing.records import RequestSharing
from nodes.exchange.control import (
    SOCKET_FILE,
    FetchData,
    FindReaders,
    Forget,
    ShowKey,
    ShowReceipt,
    TellLedger,
    command,
)
from nodes.exchange.databases import SqliteBinding, columns_with_items
from nodes.exchange.databases.binding import Binding
from nodes.exchange.databases.opening import open_database
from nodes.exchange.errors import CommandFailedError, NoExchangeError
from nodes.exchange.messages import Question
from nodes.exchange.service import BINDING_FILE
from nodes.gateway.routes.envelopes import MEDIA_TYPE
from nodes.launcher import Launcher
from nodes.network import POLICY_FILE
from scenarios.beijing.city import load_city
from tests.live.network import READY_S, first_departments, prepare

ITEM, TABLE, GRANT = "AY-77-D1", "AY-77-D1-T1", "AL-R1"
ROWS = 30_000
COLUMNS = {"permit_no": "permit number", "holder": "name"}


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


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Four nodes; one of them is bound to a database, whose table is published and granted to another."""
    root = tmp_path_factory.mktemp("exchange")
    with prepare(root / "network", first_departments(4)) as launcher:
        database = root / "permits.db"
        with contextlib.closing(sqlite3.connect(database)) as owner:
            owner.execute("CREATE TABLE permits (id INTEGER PRIMARY KEY, permit_no TEXT, holder TEXT, phone TEXT)")
            owner.executemany(
                "INSERT INTO permits VALUES (?, ?, ?, ?)",
                ((number, f"P-{number}", f"Holder {number}", f"138{number:08}") for number in range(ROWS)),
            )
            owner.commit()
        (launcher.directory("AY") / BINDING_FILE).write_text(
            f'format = 1\n[database]\nkind = "sqlite"\npath = "{database}"\n'
            f'[tables]\n"{TABLE}" = "permits"\n[subjects]\n"{TABLE}" = "name"\n'
        )
        launcher.start_all()
        launcher.wait_ready(READY_S)
        publish(launcher, database)
        yield launcher


def publish(launcher: Launcher, database: Path) -> None:
    """Put the table into the catalogue, and have the other department granted it."""
    binding = Binding(format=1, database=SqliteBinding(str(database)), tables={TABLE: "permits"})
    columns = columns_with_items(open_database(binding).describe("permits"), COLUMNS)
    metadata = DataItemMetadata(
        name_zh="许可",
        name_en="Permits",
        classification="theme",
        class_code="11",
        abstract="permits in force",
        format="database",
        information_items=tuple(InformationItem(name=name, type="C", length=None) for name in COLUMNS.values()),
        sharing=Sharing(type=1, condition="", mode="database"),
        openness=Openness(open=False, condition=""),
        update_cycle="daily",
        related=(),
    )
    tell(
        launcher,
        "AY",
        PublishResponsibility(id="AY-77", revision=1, office="", name_zh="许可", name_en="Permits", legal_basis=""),
    )
    tell(launcher, code_with("registrar"), ApproveResponsibility(id="AY-77", revision=1))
    tell(launcher, "AY", PublishDataItem(id=ITEM, revision=1, responsibilities=("AY-77",), metadata=metadata))
    tell(launcher, code_with("directory_authority"), ApproveDataItem(id=ITEM, revision=1))
    tell(
        launcher,
        "AY",
        PublishTable(
            id=TABLE,
            revision=1,
            data_item=ITEM,
            system=None,
            name="permits",
            columns=columns,
            schema=schema_hash(columns),
        ),
    )
    key = command(launcher.directory("AL"), ShowKey()).public
    tell(
        launcher,
        "AL",
        RequestSharing(
            id=GRANT,
            data_item=ITEM,
            fields=tuple(COLUMNS.values()),
            selection=(),
            purpose="inspection",
            legal_basis="",
            mode="database",
            volume_max=10 * ROWS,
            last_day=time.strftime("%Y-%m-%d", time.gmtime(time.time() + 30 * 86_400)),
            recipient_key=key,
            renews=None,
        ),
    )


def state_of(launcher: Launcher, key: str) -> dict[str, object]:
    """Return what a node's gateway proves of a state key."""
    answer = httpx.get(f"{launcher.gateway_url('BM')}/api/v1/proofs/state", params={"key": key})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def receipt_of(launcher: Launcher, number: int) -> ProvenDelivery:
    """Return what the receipt from a node proves, as a stranger with the network's policy reads it."""
    text = command(launcher.directory("BM"), ShowReceipt(grant=GRANT, number=number)).text
    return verify_receipt(text, (launcher.root / POLICY_FILE).read_text(encoding="utf-8"))


def question() -> Question:
    """Return the question for all that was granted."""
    return Question(grant=GRANT, table="", fields=(), selection=())


def test_granted_rows_cross_from_node_to_node(launched: Launcher, tmp_path: Path) -> None:
    """All rows with the granted columns and no other; both departments have signed for it."""
    stages: list[str] = []
    output = tmp_path / "rows.jsonl"
    fetched = command(
        launched.directory("AL"),
        FetchData(question=question(), output=str(output)),
        lambda progress: stages.append(progress.stage),
    )
    assert fetched.rows == ROWS
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert rows == [{"permit_no": f"P-{number}", "holder": f"Holder {number}"} for number in range(ROWS)]
    assert {"fetching", "writing"} <= set(stages)
    proven = receipt_of(launched, fetched.number)
    nodes = {entry.code: entry.credit_code for entry in launched.network.nodes.values()}
    assert (proven.provider, proven.requester, proven.delivery.rows) == (nodes["AY"], nodes["AL"], ROWS)
    readers = command(launched.directory("AY"), FindReaders(identifier="holder 77"))
    assert (GRANT, fetched.number) in [(one.grant, one.number) for one in readers.deliveries]


def test_a_provider_that_was_killed_goes_on(launched: Launcher, tmp_path: Path) -> None:
    """Its node comes back, and the same command delivers what was not delivered, once."""
    launched.kill("AY")
    output = tmp_path / "rows.csv"
    what = FetchData(question=question(), output=str(output))
    with pytest.raises(CommandFailedError) as failed:
        command(launched.directory("AL"), what)
    assert failed.value.code == "connection_cut"
    launched.start("AY")
    launched.wait_ready(READY_S)
    assert command(launched.directory("AL"), what).rows == ROWS
    assert output.read_bytes().count(b"\r\n") == ROWS + 1


def test_a_refusal_of_the_ledger_has_its_code(launched: Launcher) -> None:
    """What the node is told to state and may not."""
    with pytest.raises(CommandFailedError) as failed:
        tell(launched, "AL", ApproveDataItem(id=ITEM, revision=1))
    assert failed.value.code in ("not_authorised", "approved_before")


def test_what_is_forgotten_is_not_found(launched: Launcher, tmp_path: Path) -> None:
    """The provider's tags go; the ledger still proves the delivery."""
    fetched = command(launched.directory("AL"), FetchData(question=question(), output=str(tmp_path / "rows.db")))
    command(launched.directory("AY"), Forget(grant=GRANT, number=fetched.number))
    readers = command(launched.directory("AY"), FindReaders(identifier="holder 77"))
    assert fetched.number not in [one.number for one in readers.deliveries]
    assert state_of(launched, f"sharing/delivery/{GRANT}/{fetched.number:010d}")["value"]


def test_the_socket_is_for_its_owner_alone(launched: Launcher, tmp_path: Path) -> None:
    """And where no node runs, that is said."""
    assert (launched.directory("AL") / SOCKET_FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(NoExchangeError, match="no node runs"):
        command(tmp_path, ShowKey())
