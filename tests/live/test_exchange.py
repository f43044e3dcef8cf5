"""Two departments' real nodes: one requests, the other's database delivers, and the ledger has the receipt."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.proofs.delivery import ProvenDelivery, verify_receipt
from ledger.registers.directories.records import ApproveDataItem
from nodes.exchange.control import (
    SOCKET_FILE,
    FetchData,
    FindReaders,
    Forget,
    ShowKey,
    ShowReceipt,
    command,
)
from nodes.exchange.errors import CommandFailedError, NoExchangeError
from nodes.exchange.messages import Question
from nodes.launcher import Launcher
from nodes.network import POLICY_FILE
from tests.live.network import READY_S, first_departments, prepare
from tests.live.shared_table import ITEM, bind, publish, request, tell

GRANT = "AL-R1"
ROWS = 30_000
COLUMNS = {"permit_no": "permit number", "holder": "name"}


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
        bind(launcher, database, "permits", subject="name")
        launcher.start_all()
        launcher.wait_ready(READY_S)
        publish(launcher, database, "permits", COLUMNS)
        request(launcher, GRANT, COLUMNS.values(), volume_max=10 * ROWS)
        yield launcher


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
