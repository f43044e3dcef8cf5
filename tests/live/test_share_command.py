"""`mulu share` with real nodes: asked, granted, refused, fetched, acknowledged, and told to whoever asks."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.registers.catalogue import Sharing
from ledger.registers.directories.records import ApproveDataItem, PublishDataItem
from nodes.cli import main
from nodes.launcher import Launcher
from nodes.network import POLICY_FILE
from tests.gateway.test_catalog_command import OFFER
from tests.live.network import READY_S, first_departments, prepare
from tests.live.shared_table import ITEM, bind, code_with, publish, tell
from tests.live.shared_table import request as request_rows
from tests.registers.catalogue import METADATA

pytestmark = pytest.mark.live

GRANT = "AL-R1"
ROWS = 2_000
COLUMNS = {"permit_no": "permit number", "holder": "name"}
CONDITIONAL = "AY-77-D2"
UNTIL = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 60 * 86_400))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Four nodes: the table of one is granted to another, and a data item of it is shared on conditions."""
    root = tmp_path_factory.mktemp("share")
    with prepare(root / "network", first_departments(4)) as launcher:
        database = root / "permits.db"
        with contextlib.closing(sqlite3.connect(database)) as owner:
            owner.execute("CREATE TABLE permits (id INTEGER PRIMARY KEY, permit_no TEXT, holder TEXT)")
            rows = ((number, f"P-{number}", f"Holder {number}") for number in range(ROWS))
            owner.executemany("INSERT INTO permits VALUES (?, ?, ?)", rows)
            owner.commit()
        bind(launcher, database, "permits", subject="name")
        launcher.start_all()
        launcher.wait_ready(READY_S)
        publish(launcher, database, "permits", COLUMNS)
        request_rows(launcher, GRANT, COLUMNS.values(), volume_max=10 * ROWS)
        metadata = replace(METADATA, sharing=Sharing(type=2, condition="for permits only", mode="file"))
        tell(
            launcher, "AY", PublishDataItem(id=CONDITIONAL, revision=1, responsibilities=("AY-77",), metadata=metadata)
        )
        tell(launcher, code_with("directory_authority"), ApproveDataItem(id=CONDITIONAL, revision=1))
        yield launcher


def mulu(*words: str) -> int:
    """Run a command in this process."""
    return main(["share", *words])


def request(network: Launcher, name: str, *more: str, of: str = CONDITIONAL) -> int:
    """Have AL ask for ten rows."""
    words = ("--id", name, "--purpose", "checks at the counter", "--rows", "10", "--until", UNTIL)
    return mulu("request", of, *words, "--directory", str(network.directory("AL")), *more)


def test_a_request_is_granted_in_part(network: Launcher, capsys: pytest.CaptureFixture[str]) -> None:
    """The requester reads until when it waits, the provider grants less, any node shows both."""
    assert request(network, "AL-R10") == 0
    asked = capsys.readouterr().out
    assert "AL-R10  awaiting-provider" in asked
    assert "the provider to answer by" in asked
    provider = str(network.directory("AY"))
    assert mulu("grant", "AL-R10", "--field", "permit number", "--rows", "5", "--directory", provider, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["record"], told["id"], told["result"]) == ("sharing.grant", "AL-R10", "accepted")
    assert (told["now"]["grant"]["fields"], told["now"]["grant"]["volume_max"]) == (["permit number"], 5)
    assert mulu("status", "AL-R10", "--node", network.gateway_url("BM")) == 0
    assert "0 of 5 used, 5 left" in capsys.readouterr().out
    assert mulu("revoke", "AL-R10", "--reason", "no longer needed", "--directory", provider) == 0
    assert "AL-R10  revoked" in capsys.readouterr().out


def test_a_request_is_refused_and_disputed(network: Launcher, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal says why, a dispute leads to the directory authority, and a refusal is a receipt too."""
    assert request(network, "AL-R11") == 0
    provider, requester = str(network.directory("AY")), str(network.directory("AL"))
    assert mulu("refuse", "AL-R11", "--reason", "not needed for it", "--directory", provider) == 0
    assert "not needed for it" in capsys.readouterr().out
    assert mulu("receipts", "--grant", "AL-R11", "--node", network.gateway_url("BM")) == 0
    assert "refused" in capsys.readouterr().out
    assert mulu("dispute", "AL-R11", "--reason", "the law says so", "--directory", requester) == 0
    assert "the directory authority to decide by" in capsys.readouterr().out
    assert mulu("withdraw", "AL-R11", "--reason", "done otherwise", "--directory", requester) == 0
    assert "AL-R11  withdrawn" in capsys.readouterr().out


def test_an_objection_is_raised_and_answered(
    network: Launcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The details stay in their file."""
    details = tmp_path / "details.txt"
    details.write_text("row 3 is of another house")
    words = ("--kind", "wrong", "--details", str(details), "--id", "AL-O10")
    assert mulu("object", CONDITIONAL, *words, "--directory", str(network.directory("AL"))) == 0
    assert "AL-O10  open" in capsys.readouterr().out
    provider = str(network.directory("AY"))
    answer = ("--outcome", "corrected", "--reason", "looked at")
    assert mulu("correct", "AL-O10", *answer, "--directory", provider, "--json") == 0
    assert json.loads(capsys.readouterr().out)["now"]["status"] == "corrected"


def test_granted_rows_are_fetched_and_accounted_for(
    network: Launcher, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows in a file, a receipt that a stranger checks, and an answer to whose data was read."""
    output, proof = tmp_path / "permits.csv", tmp_path / "receipt.json"
    requester, provider = str(network.directory("AL")), str(network.directory("AY"))
    assert mulu("fetch", GRANT, "--out", str(output), "--directory", requester, "--json") == 0
    fetched = json.loads(capsys.readouterr().out)
    assert (fetched["rows"], fetched["output"]) == (ROWS, str(output))
    assert output.read_text().splitlines()[0] == ",".join(COLUMNS)
    number = str(fetched["number"])
    assert mulu("receipt", GRANT, number, "--out", str(proof), "--directory", provider) == 0
    capsys.readouterr()
    policy = str(network.root / POLICY_FILE)
    assert mulu("verify", str(proof), "--policy", policy, "--json") == 0
    proven = json.loads(capsys.readouterr().out)
    assert (proven["grant"], proven["rows"], proven["purpose"]) == (GRANT, ROWS, "inspection")
    proof.write_bytes(proof.read_bytes().replace(GRANT.encode(), b"AL-R9"))
    assert mulu("verify", str(proof), "--policy", policy) == 3
    assert capsys.readouterr().out == "Established  no\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("Holder 77\n"))
    assert mulu("readers", "-", "--directory", provider, "--json") == 0
    (reader,) = json.loads(capsys.readouterr().out)["items"]
    assert (reader["grant"], reader["requester"]["code"], reader["purpose"]) == (GRANT, "AL", "inspection")
    assert mulu("readers", "Holder 77", "--directory", provider) == 0
    assert "inspection" in capsys.readouterr().out
    assert mulu("forget", GRANT, number, "--directory", provider) == 0
    assert mulu("readers", "Holder 77", "--directory", provider) == 0
    assert "Not searched, because forgotten or silent about whom they are: 1" in capsys.readouterr().out


def catalog(*words: str) -> int:
    """Run a command of the catalogue in this process."""
    return main(["catalog", *words])


def test_a_department_publishes_what_a_file_says(
    network: Launcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As far as approvals let it; what stands there is left alone, what changed is a new revision."""
    offer = tmp_path / "shops.toml"
    content = OFFER.replace("AY-90", "AY-91")
    offer.write_text(content, encoding="utf-8")
    owner, node = str(network.directory("AY")), network.gateway_url("BM")
    assert catalog("publish", str(offer), "--directory", owner) == 0
    assert capsys.readouterr().out == "AY-91 revision 1 published; waits for the registrar\n"
    # The registrar has keys and no node: what it states is signed here, one number after the other.
    registrar = str(network.root / code_with("registrar"))
    assert catalog("approve", "AY-91", "--directory", registrar, "--node", node) == 0
    assert catalog("approve", "AY-91", "--directory", registrar, "--node", node) == 6
    assert "[approved_before]" in capsys.readouterr().err
    assert catalog("publish", str(offer), "--directory", owner) == 0
    authority = str(network.directory(code_with("directory_authority")))
    assert catalog("approve", "AY-91-D1", "--directory", authority) == 0
    capsys.readouterr()
    offer.write_text(content.replace("daily", "weekly"), encoding="utf-8")
    assert catalog("publish", str(offer), "--directory", owner) == 0
    assert capsys.readouterr().out.splitlines() == [
        "AY-91 revision 1 is on the ledger",
        "AY-91-D1 revision 2 published; waits for the directory authority",
    ]
    assert catalog("approve", "AY-99", "--directory", authority) == 5
    stolen = tmp_path / "stolen.toml"
    stolen.write_text(content.replace("许可", "执照"), encoding="utf-8")
    assert catalog("publish", str(stolen), "--directory", str(network.directory("AL"))) == 6
    assert "[not_the_owner]" in capsys.readouterr().err
    assert catalog("search", "许可", "--department", "AY", "--node", node, "--json") == 0
    found = {item["id"]: item["update_cycle"] for item in json.loads(capsys.readouterr().out)["items"]}
    assert found["AY-91-D1"] == "weekly"


@pytest.mark.parametrize(
    ("words", "code", "label"),
    [
        (("request", "AY-00-D9", "--purpose", "p", "--rows", "1", "--until", UNTIL), 5, "not_found"),
        (("request", ITEM, "--purpose", " ", "--rows", "1", "--until", UNTIL), 6, "purpose_missing"),
        (("request", ITEM, "--purpose", "p", "--rows", "1", "--until", "2001-01-01"), 6, "bad_last_day"),
        (("request", ITEM, "--purpose", "p", "--rows", "1", "--until", UNTIL, "--mode", "file"), 6, "mode_not_offered"),
        (
            ("request", ITEM, "--purpose", "p", "--rows", "1", "--until", UNTIL, "--field", "phone"),
            5,
            "unknown_information_item",
        ),
        (("request", ITEM, "--purpose", "p", "--rows", "1", "--until", UNTIL, "--id", GRANT), 6, "id_used"),
        (("grant", "AL-NONE"), 5, "not_found"),
        (("refuse", "AL-NONE", "--reason", "r"), 5, "unknown_request"),
        (("refuse", GRANT, "--reason", "r"), 6, "request_not_open"),
        (("revoke", GRANT, "--reason", "r"), 6, "not_the_owner"),
        (("reject", GRANT, "99", "--reason", "tampered"), 5, "unknown_delivery"),
        (("fetch", "AL-NONE", "--out", "rows.csv"), 5, "unknown_grant"),
        (("fetch", GRANT, "--field", "colour", "--out", "rows.csv"), 5, "field_not_held"),
        (("correct", "AL-NONE", "--outcome", "corrected", "--reason", "r"), 5, "unknown_objection"),
    ],
)
def test_what_may_not_be_has_its_code(
    network: Launcher, words: tuple[str, ...], code: int, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 5 for what is not there, 6 for what a rule refuses; one line with cause, next step and code."""
    assert mulu(*words, "--directory", str(network.directory("AL"))) == code
    error = capsys.readouterr().err
    assert error.endswith(f"[{label}]\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ("request", ITEM, "--purpose", "p", "--rows", "1", "--until", UNTIL, "--id", "al r1"),
            "argument --id: not an id",
        ),
        (("request", ITEM, "--purpose", "p", "--rows", "1", "--until", "soon"), "argument --until: not a day"),
        (("refuse", GRANT, "--reason", ""), "argument --reason: is empty"),
        (("readers", ""), "whose data?"),
    ],
)
def test_what_no_record_can_say_is_a_usage_error(
    network: Launcher, words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with the name of the field, and nothing is stated."""
    with pytest.raises(SystemExit) as caught:
        mulu(*words, "--directory", str(network.directory("AL")))
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
