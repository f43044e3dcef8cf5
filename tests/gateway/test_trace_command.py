"""`mulu trace` against a gateway: what it prints, and an exit code for each way that it can end."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import SuspendCertificate
from nodes.cli import main
from nodes.commands import trace
from nodes.commands.gateway_client import ask
from tests.gateway.memory_node import MemoryNode
from tests.gateway.served import served
from tests.proofs.memory_ledger import IDENTIFIER, TYPE_CODE
from tests.proofs.small_network import MARKET_REGULATION


@pytest.fixture
def address(node: MemoryNode) -> Iterator[str]:
    """The gateway of a node with a suspended certificate."""
    node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    with served(node) as url:
        yield url


def test_a_trace_is_printed_from_ground_to_change(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Responsibility, approval, type, issue, change, each with block and time."""
    assert main(["trace", IDENTIFIER, "--node", address]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "suspended" in lines[1]
    steps = [line for line in lines if "  block " in line]
    titles = [line.split("  ")[0] for line in steps]
    assert titles == ["Responsibility published", "Approval", "Type defined", "Issue", "Suspension"]
    assert [line.split("block")[1].split()[0] for line in steps] == ["1", "2", "3", "4", "5"]
    assert all("2025-09-15T08:0" in line for line in steps)


def test_a_trace_as_json_is_the_answer_of_the_node(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One object with everything that the gateway tells."""
    assert main(["trace", IDENTIFIER, "--node", address + "/", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "mulu.trace/1"


def test_the_trace_of_another_certificate_is_no_answer(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of its steps can be proven, and none of them is about what was asked for."""
    asked = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "99999999999", 1))
    monkeypatch.setattr(trace, "ask", lambda node, path, **_: ask(node, path.replace(asked, IDENTIFIER), timeout_s=10))
    assert main(["trace", asked, "--node", address]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "answers with another" in printed.err


def test_an_unknown_certificate_is_not_found(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 5: the identifier is good and the ledger has no such certificate."""
    unknown = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "99999999999", 1))
    assert main(["trace", unknown, "--node", address]) == 5
    assert "there is no certificate" in capsys.readouterr().err


def test_a_mistyped_identifier_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, before any node is asked: the check character tells."""
    assert main(["trace", IDENTIFIER[:-1] + "0", "--node", "http://127.0.0.1:1"]) == 2
    assert "check character" in capsys.readouterr().err


def test_a_node_that_does_not_answer_is_unavailable(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 7 when nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["trace", IDENTIFIER, "--node", f"http://127.0.0.1:{port}"]) == 7
    assert "[node_unavailable]" in capsys.readouterr().err


@pytest.mark.parametrize("node", ["file:///etc/passwd", "127.0.0.1:8000", ""])
def test_an_address_that_is_none_is_a_usage_error(node: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Only http and https: a library that would open files is not asked to."""
    with pytest.raises(SystemExit) as caught:
        main(["trace", IDENTIFIER, "--node", node])
    assert caught.value.code == 2
    assert "--node" in capsys.readouterr().err
