"""`mulu catalog search` and the lists of `mulu share`, against a gateway: tables, JSON, an exit code for each end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.cli import main
from nodes.commands.tables import width
from nodes.data_directory import CHAIN_ID_FILE
from tests.gateway.memory_node import MemoryNode
from tests.gateway.served import served
from tests.gateway.sharing_node import (
    CLOSED,
    CONDITIONAL,
    OF_PLANNING,
    OPEN,
    REFUSED,
    SHARED,
    WAITING,
    fill_catalogue,
    let_deadlines_pass,
    share,
)


@pytest.fixture
def address(empty_node: MemoryNode) -> Iterator[str]:
    """The gateway of a node on which departments share data, some of them late."""
    fill_catalogue(empty_node)
    share(empty_node)
    let_deadlines_pass(empty_node)
    with served(empty_node) as url:
        yield url


@pytest.fixture(autouse=True)
def _without_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what this machine's environment names out of it."""
    monkeypatch.delenv("MULU_NODE", raising=False)
    monkeypatch.delenv("MULU_DIRECTORY", raising=False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was printed."""
    return capsys.readouterr().out.splitlines()


def test_what_is_found_is_a_table_with_names_in_both_scripts(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns stand below each other, though a Chinese character takes two cells."""
    assert main(["catalog", "search", "执照", "--node", address]) == 0
    title, row = lines(capsys)
    assert row.split()[:2] == [OPEN, "营业执照"]
    cut = title.index("OWNER")
    assert width(row[: row.index("  AY") + 2]) == cut
    assert main(["catalog", "search", "--sharing", "3", "--department", "AY", "--node", address]) == 0
    assert [line.split()[0] for line in lines(capsys)[1:]] == [CLOSED]
    assert main(["catalog", "search", "nowhere", "--node", address]) == 0
    assert lines(capsys) == ["No data item has all of this."]


def test_json_has_as_many_as_were_asked_for(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several pages, and says whether there are more."""
    monkeypatch.setattr("nodes.commands.options.PAGE_MAX", 1)
    assert main(["catalog", "search", "--json", "--limit", "3", "--node", address]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in found["items"]] == [OF_PLANNING, OPEN, CONDITIONAL]
    assert found["more"] is True
    assert main(["catalog", "search", "--json", "--limit", "4", "--node", address]) == 0
    assert json.loads(capsys.readouterr().out)["more"] is False
    assert main(["catalog", "search", "--limit", "1", "--node", address]) == 0
    assert lines(capsys)[-1].startswith("There are more")


def test_requests_are_listed_with_what_they_wait_for(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And one of them is shown with its grant."""
    assert main(["share", "status", "--node", address]) == 0
    rows = {line.split()[0]: line for line in lines(capsys)[1:]}
    assert list(rows) == [SHARED, WAITING, REFUSED]
    assert rows[WAITING].endswith("the directory authority to decide by 2025-10-22, late")
    assert main(["share", "status", SHARED, "--node", address]) == 0
    shown = lines(capsys)
    assert shown[0] == f"Request      {SHARED}  granted"
    assert "Rows         4 of 10 used, 6 left" in shown
    assert main(["share", "status", "--status", "denied", "--node", address]) == 0
    assert lines(capsys) == ["There are no such requests."]


def test_receipts_name_the_entries_of_the_log(
    empty_node: MemoryNode, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two for an acknowledged delivery, one for a refusal."""
    assert main(["share", "receipts", "--department", "AF", "--node", address]) == 0
    delivered, refused = lines(capsys)[1:]
    assert delivered.split()[:7] == [SHARED, "1", "acknowledged", "AY", "AF", OPEN, "4"]
    assert refused.split()[:2] == [REFUSED, "refused"]
    assert main(["share", "receipts", "--json", "--node", address]) == 0
    found = json.loads(capsys.readouterr().out)["items"]
    assert [len(receipt["statements"]) for receipt in found] == [2, 1]


def test_the_league_table_fits_a_terminal(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 cells each department has its numbers on one line and its names below them."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["share", "scores", "--node", address]) == 0
    table = lines(capsys)
    assert max(map(width, table)) <= 80
    assert " ".join(table[0].split()) == "RANK CODE IN TIME LATE OPEN REFUSED SERVED OBTAINED ITEMS IDLE BROKEN"
    assert table[1].strip() == "DEPARTMENT"
    assert table[3].split()[:4] == ["1", "AY", "50.0", "%"]
    assert "Market Regulation" in table[4]


def test_breaches_and_scores_say_who_is_late(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The league table with the authority below it, and the card of one department."""
    assert main(["share", "breaches", "--open", "--node", address]) == 0
    assert [line.split()[1:4] for line in lines(capsys)[1:]] == [
        ["AY", "correct", "AF-O1"],
        ["AY", "answer", WAITING],
    ]
    assert main(["share", "scores", "--node", address]) == 0
    table = lines(capsys)
    assert table[1].split()[:2] == ["1", "AY"]
    assert "50.0 %" in table[1]
    assert table[-1].strip().startswith("directory authority")
    assert main(["share", "scores", "AY", "--node", address]) == 0
    card = lines(capsys)
    assert "Breaches      2 open of 2" in card
    assert f"Broken links  {CONDITIONAL}" in card
    assert main(["share", "scores", "AY", "--json", "--node", address]) == 0
    assert json.loads(capsys.readouterr().out)["score"]["rank"] == 1


@pytest.mark.parametrize(
    ("words", "code", "label"),
    [
        (["catalog", "search", "--department", "ZZ"], 5, "not_found"),
        (["share", "status", "AF-R9"], 5, "not_found"),
        (["share", "scores", "ZZ"], 5, "not_found"),
        (["share", "receipts", "--grant", "AF-R9"], 5, "not_found"),
        (["share", "receipts", "--data-item", "AY-99-D9", "--json"], 5, "not_found"),
        (["share", "status", "--data-item", "AY-99-D9"], 5, "not_found"),
        (["share", "breaches", "--data-item", "AY-99-D9"], 5, "not_found"),
        (["catalog", "search", "x" * 101], 6, "invalid_parameter"),
    ],
)
def test_what_a_gateway_refuses_has_its_exit_code(
    address: str, words: list[str], code: int, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error, nothing on standard output."""
    assert main([*words, "--node", address]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith(f"[{label}]\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["catalog", "search", "--sharing", "4"], "--sharing"),
        (["catalog", "search", "--limit", "0"], "--limit"),
        (["share", "status", "--limit", "many"], "--limit"),
        (["share", "status", "--status", "lost"], "--status"),
        (["share", "status", "--node", "file:///etc"], "--node"),
        (["share", "grant", "AF-R1"], "--directory"),
        (["share", "request", "AY-01-D1", "--rows", "-1"], "--rows"),
        (["share", "request", "AY-01-D1", "--rows", "1"], "--purpose"),
        (["share", "fetch", "AF-R1"], "--out"),
        (["share", "fetch", "AF-R1", "--out", "x.csv", "--where", "name"], "--where"),
        (["share", "fetch", "AF-R1", "--out", "x.csv", "--where", "name=a,,b"], "--where"),
        (["share", "object", "AY-01-D1", "--kind", "ugly"], "--kind"),
        (["share", "reject", "AF-R1", "0", "--reason", "tampered"], "NUMBER"),
        (["share", "status", ""], "argument REQUEST: not an id: ''"),
        (["share", "status", "AF/R1"], "argument REQUEST: not an id: 'AF/R1'"),
        (["share", "status", "--data-item", ""], "argument --data-item: not an id"),
        (["share", "receipts", "--grant", ""], "argument --grant: not an id"),
        (["share", "receipts", "--grant", "af-r1"], "as in AL-R1"),
        (["share", "breaches", "--department", ""], "argument --department: not a department: ''"),
        (["share", "scores", ""], "argument CODE: not a department"),
        (["share", "scores", "A/Y"], "its short code, as in AY"),
        (["catalog", "search", "--department", ""], "argument --department"),
        (["catalog", "search", "--theme", ""], "argument --theme: is empty"),
        (["catalog", "approve", "a/b"], "argument ID: not an id"),
        (["share", "grant", "A" * 81], "argument REQUEST: not an id"),
        (["share", "grant", "AF-R1", "--until", "soon"], "argument --until: not a day: 'soon'; write it as in 2026"),
        (["share", "grant", "AF-R1", "--until", "2026-02-30"], "not a day"),
        (["share", "grant", "AF-R1", "--rows", "0"], "not a number from 1 to 1,000,000,000,000: '0'"),
        (["share", "refuse", "AF-R1", "--reason", ""], "argument --reason: is empty"),
        (
            ["share", "refuse", "AF-R1", "--reason", "x" * 2001],
            "argument --reason: has 2,001 characters; at most 2,000",
        ),
        (["share", "forget", "AF-R1", "2147483648"], "argument NUMBER: not a number from 1 to 2,147,483,647"),
        (["share"], "SUBCOMMAND"),
    ],
)
def test_a_command_that_is_called_wrongly_says_how(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, before any node is asked."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


OFFER = """
[responsibility]
id = "AY-90"
name_zh = "许可"
[data_item]
id = "AY-90-D1"
name_zh = "许可"
sharing = 1
update_cycle = "daily"
fields = { name = "C" }
"""


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[responsibility", "permits.toml"),
        (OFFER.replace("sharing = 1", "sharing = 4"), "toml: data_item.sharing: 4 is none of what it can be: 1, 2, 3;"),
        (
            OFFER.replace('name = "C"', 'name = "X"'),
            "data_item.fields: 'X' is none of what it can be: C, N, D, T, L, I",
        ),
        (OFFER.replace('"daily"', '"dayly"'), "data_item.update_cycle: 'dayly' is none of what it can be: real-time,"),
        (
            OFFER.replace('name_zh = "许可"', "name_zh = 1"),
            "responsibility.name_zh: must be a text, not a whole number",
        ),
        (OFFER.replace('update_cycle = "daily"', ""), "data_item: `update_cycle` is missing"),
        (OFFER + "surprise = 1\n", "data_item: nothing is called `surprise`"),
        (OFFER.replace("[responsibility]", "[duty]"), "permits.toml: nothing is called `duty`"),
        ("#" * (1 << 20) + OFFER, "bytes"),
    ],
)
def test_a_file_that_offers_nothing_says_where(
    content: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with the place in the file, before any node is asked."""
    file = tmp_path / "permits.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["catalog", "publish", str(file), "--directory", str(tmp_path)])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_an_empty_list_of_what_there_is_ends_well(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is such a data item and such a grant, of which nothing is to be told: that is an answer."""
    assert main(["share", "receipts", "--grant", WAITING, "--data-item", CONDITIONAL, "--node", address]) == 0
    assert lines(capsys) == ["There are no such receipts."]
    assert main(["share", "breaches", "--data-item", CLOSED, "--json", "--node", address]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == []


def test_a_directory_without_a_running_node_is_unavailable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 7: who speaks for a department speaks through its node."""
    (tmp_path / CHAIN_ID_FILE).touch()
    words = ["share", "refuse", "AF-R2", "--reason", "not needed", "--directory", str(tmp_path)]
    assert main(words) == 7
    assert f"no node runs in {tmp_path} (No such file or directory): start it with `mulu" in capsys.readouterr().err
