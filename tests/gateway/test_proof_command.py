"""`mulu proof` and `mulu policy` against gateways: what they write, and an exit code for each way that they can end."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from ledger.identifiers import CreditCode
from ledger.proofs.policy import parse_policy
from ledger.proofs.tlog_proof import parse_tlog_proof
from ledger.proofs.tools_policy import make_tools_policy
from nodes.cli import main
from nodes.gateway.app import create_app
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER
from tests.proofs.small_network import MEMBERS, REGISTRAR

NOW = "2025-09-15T08:10:00+08:00"
VOTERS = [member.credit_code for member in MEMBERS if member is not REGISTRAR]


@contextlib.contextmanager
def serving(node: MemoryNode) -> Iterator[str]:
    """Serve a node's gateway on another thread, as another process would; give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(node), log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    yield "http://{}:{}".format(*listener.getsockname())
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def address(node: MemoryNode) -> Iterator[str]:
    """The gateway of one node."""
    with serving(node) as found:
        yield found


@pytest.fixture
def files(node: MemoryNode, tmp_path: Path) -> Callable[[str], str]:
    """Return a function from a name to the path of a file; `policy.txt` holds the network's policy."""
    (tmp_path / "policy.txt").write_text(node.policy(), encoding="utf-8")
    return lambda name: str(tmp_path / name)


def verify(files: Callable[[str], str], proof: str, policy: str = "policy.txt") -> int:
    return main(["verify", files(proof), "--policy", files(policy), "--now", NOW, "--json"])


def test_the_proof_of_a_certificate_is_fetched_and_verified(
    address: str, files: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """From the node to a file, and from there to a statement that names the record."""
    assert main(["proof", IDENTIFIER, "--node", address, "--out", files("issue.tlog-proof")]) == 0
    assert verify(files, "issue.tlog-proof") == 0
    statement = json.loads(capsys.readouterr().out)
    assert statement["verdict"] == "established"
    assert statement["record"] == {"kind": "certificates.issue", "position": 0, "result": "accepted"}
    text = Path(files("issue.tlog-proof")).read_text(encoding="utf-8")
    Path(files("bad.tlog-proof")).write_text(text.replace("\nindex 7\n", "\nindex 6\n"), encoding="utf-8")
    assert verify(files, "bad.tlog-proof") == 3
    Path(files("odd.tlog-proof")).write_text(text.replace("@v1", "@v2"), encoding="utf-8")
    assert verify(files, "odd.tlog-proof") == 4


def test_an_entry_goes_beside_its_proof(
    node: MemoryNode, address: str, files: Callable[[str], str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Other people's tools hash what is in the one file and climb with what is in the other."""
    assert main(["proof", "8", "--node", address, "--entry", files("entry")]) == 0
    assert Path(files("entry")).read_bytes() == node.entries[8]
    assert parse_tlog_proof(capfdbinary.readouterr().out.decode()).index == 8


def test_a_receipt_in_cose_is_of_the_same_entry(node: MemoryNode, address: str, files: Callable[[str], str]) -> None:
    """The bytes are those that the gateway gives."""
    assert main(["proof", IDENTIFIER, "--node", address, "--cose", "--out", files("receipt.cose")]) == 0
    receipt = Path(files("receipt.cose")).read_bytes()
    assert receipt.startswith(b"\xd2\x84")
    assert node.genesis.origin.encode() in receipt


@pytest.mark.parametrize(
    ("what", "options", "code", "message"),
    [
        (IDENTIFIER[:-1] + "0", [], 2, "check character"),
        (IDENTIFIER, ["--record", "0"], 2, "--record"),
        ("9", [], 5, "none with index 9"),
        ("99999999999999999999", [], 6, "invalid_input"),
        ("7", ["--record", "5"], 5, "2 records"),
    ],
)
def test_what_has_no_proof_ends_with_the_right_code(
    address: str, capsys: pytest.CaptureFixture[str], what: str, options: list[str], code: int, message: str
) -> None:
    """Mistyped, misused, beyond the log, no number of an entry, beyond the envelope."""
    assert main(["proof", what, "--node", address, *options]) == code
    assert message in capsys.readouterr().err


def test_an_address_of_something_else_is_no_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens there: exit 7."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["proof", "0", "--node", f"http://127.0.0.1:{port}"]) == 7
    assert "[node_unavailable]" in capsys.readouterr().err


@pytest.fixture
def departments(node: MemoryNode, files: Callable[[str], str]) -> Iterator[dict[CreditCode, contextlib.ExitStack]]:
    """Serve one gateway for each department, and write the policy that names them; give what stops each."""
    with contextlib.ExitStack() as all_of_them:
        urls, stops = {}, {}
        for credit_code in VOTERS:
            own = copy.copy(node)
            own.me = credit_code
            stops[credit_code] = contextlib.ExitStack()
            all_of_them.enter_context(stops[credit_code])
            urls[credit_code] = stops[credit_code].enter_context(serving(own))
        policy = make_tools_policy(parse_policy(node.policy()), urls)
        Path(files("tools.txt")).write_text(policy, encoding="utf-8")
        yield stops


def test_a_proof_for_tools_is_completed_by_asking_each_department(
    address: str, departments: dict[CreditCode, contextlib.ExitStack], files: Callable[[str], str]
) -> None:
    """Three of four are enough, and three lines are carried; with two away the proof has to wait."""
    ask = ["proof", IDENTIFIER, "--node", address, "--for-tools", files("tools.txt"), "--out", files("p.tlog-proof")]
    assert main(ask) == 0
    assert verify(files, "p.tlog-proof", "tools.txt") == 0
    stops = list(departments.values())
    stops[0].close()
    assert main(ask) == 0
    assert verify(files, "p.tlog-proof", "tools.txt") == 0
    assert len(parse_tlog_proof(Path(files("p.tlog-proof")).read_text(encoding="utf-8")).checkpoint.lines) == 4
    stops[1].close()
    assert main(ask) == 7


def test_a_policy_is_exported_and_shown(
    node: MemoryNode, address: str, files: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The node's word is the same text, with a hash to compare; what it means is printed for people and programs."""
    assert main(["policy", "export", address, "--out", files("fetched.txt")]) == 0
    assert Path(files("fetched.txt")).read_text(encoding="utf-8") == node.policy()
    err = capsys.readouterr().err
    assert main(["policy", "show", files("fetched.txt"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sha256"] in err
    assert (shown["chain"], shown["epoch"], shown["quorum"]) == (node.genesis.chain.hex(), 0, 3)
    assert [witness["name"] for witness in shown["witnesses"]] == sorted(VOTERS)
    assert main(["policy", "export", address, "--for-tools"]) == 0
    tools = capsys.readouterr().out
    Path(files("tools.txt")).write_text(tools, encoding="utf-8")
    assert main(["policy", "show", files("tools.txt")]) == 0
    text = capsys.readouterr().out
    assert "3 of 4 are needed" in text
    assert f"http://{VOTERS[0]}.test" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "no-such-file"], 1, "No such file"),
        (["show", "{folder}"], 6, "genesis"),
        (["export", "{policy}", "--for-tools"], 1, "does not say where departments are asked"),
        (["show", "{empty}"], 1, "no quorum line"),
        (["show", "http:///"], 1, "not the address"),
    ],
)
def test_a_source_without_a_policy_is_named(
    files: Callable[[str], str], capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """One sentence, never a traceback."""
    Path(files("empty")).write_bytes(b"\n")
    filled = [
        argument.format(policy=files("policy.txt"), empty=files("empty"), folder=files("")) for argument in arguments
    ]
    got = main(["policy", *filled])
    assert message in capsys.readouterr().err
    assert got == code
