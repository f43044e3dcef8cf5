"""`mulu proof` and `mulu policy` against gateways: what they write, and an exit code for each way that they can end."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import uvicorn

from ledger.identifiers import CreditCode
from ledger.proofs.policy import parse_policy
from ledger.proofs.tlog_proof import parse_tlog_proof
from ledger.proofs.tools_policy import make_tools_policy
from nodes.cli import main
from nodes.gateway.app import create_app
from tests.gateway.memory_node import AttestedView, MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER
from tests.proofs.small_network import MEMBERS, REGISTRAR

NOW = "2025-09-15T08:10:00+08:00"
VOTERS = [member.credit_code for member in MEMBERS if member is not REGISTRAR]
NOBODY = "http://127.0.0.1:1"
"""Where no gateway is: the port takes a privilege that tests do not have, or nothing listens there."""


class Gateways:
    """The gateways of some nodes that share what is in them, and so are served by one thread."""

    def __init__(self, nodes: Sequence[MemoryNode]) -> None:
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in nodes]
        configs = [
            uvicorn.Config(create_app(node), log_config=None, access_log=False, lifespan="off") for node in nodes
        ]
        self._servers = [uvicorn.Server(config) for config in configs]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()

    async def _serve(self) -> None:
        pairs = zip(self._servers, self._listeners, strict=True)
        await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in pairs))

    @property
    def addresses(self) -> list[str]:
        """Of each node, in order."""
        return ["http://{}:{}".format(*listener.getsockname()) for listener in self._listeners]

    def close(self) -> None:
        """Stop all of them."""
        for server in self._servers:
            server.should_exit = True
        self._thread.join(30)
        for listener in self._listeners:
            listener.close()


@pytest.fixture
def address(node: MemoryNode) -> Iterator[str]:
    """The gateway of one node."""
    with contextlib.closing(Gateways([node])) as gateways:
        (only,) = gateways.addresses
        yield only


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
        ("99999999999999999999", [], 2, "no log has an entry of this number"),
        ("7", ["--record", "5"], 5, "2 records"),
    ],
)
def test_what_has_no_proof_ends_with_the_right_code(
    address: str, capsys: pytest.CaptureFixture[str], what: str, options: list[str], code: int, message: str
) -> None:
    """Mistyped, misused, beyond the log, no number of an entry, beyond the envelope."""
    assert main(["proof", what, "--node", address, *options]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"junk", "is no policy: "),
        (b"\xff\xfe", "is no policy: "),
        ("policy", "names no addresses: make one that does with `mulu policy export --for-tools`"),
    ],
    ids=["missing", "junk", "no text", "no addresses"],
)
def test_a_file_that_is_no_policy_for_tools_is_named_before_a_node_is_asked(
    node: MemoryNode,
    files: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    content: bytes | str | None,
    message: str,
) -> None:
    """Exit 1, as for any file that cannot be used: neither a refusal (6) nor worth trying again (7)."""
    if content is not None:
        Path(files("tools.txt")).write_bytes(node.policy().encode() if isinstance(content, str) else content)
    assert main(["proof", "0", "--node", NOBODY, "--for-tools", files("tools.txt")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.endswith("[unreadable_policy]\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["7", "--record", "-1"], "argument --record: not a number from 0 to 255: '-1'"),
        (["7", "--cose"], "a COSE Receipt is binary, and standard output a terminal: add --out FILE, or redirect it"),
    ],
)
def test_a_proof_that_is_asked_for_wrongly(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2 on a terminal, before a node is asked; nothing is written there that would garble it."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(SystemExit) as caught:
        main(["proof", *words, "--node", NOBODY])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err


def test_an_address_of_something_else_is_no_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens there: exit 7."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["proof", "0", "--node", f"http://127.0.0.1:{port}"]) == 7
    error = capsys.readouterr().err
    assert error.endswith("[node_unavailable]\n")
    assert "(Connection refused)" in error


def department(node: MemoryNode, credit_code: CreditCode) -> MemoryNode:
    """Return the node as another department has it."""
    own = copy.copy(node)
    own.me = credit_code
    return own


def write_tools_policy(node: MemoryNode, path: str, addresses: Sequence[str]) -> None:
    policy = make_tools_policy(parse_policy(node.policy()), dict(zip(VOTERS, addresses, strict=True)))
    Path(path).write_text(policy, encoding="utf-8")


@pytest.mark.parametrize(("away", "code"), [(0, 0), (1, 0), (2, 7)])
def test_a_proof_for_tools_is_completed_by_asking_each_department(
    node: MemoryNode, files: Callable[[str], str], away: int, code: int
) -> None:
    """Three of four are enough, and three lines are carried; with two away the proof has to wait."""
    with contextlib.closing(Gateways([department(node, credit_code) for credit_code in VOTERS])) as gateways:
        addresses = [*gateways.addresses[: len(VOTERS) - away], *[NOBODY] * away]
        write_tools_policy(node, files("tools.txt"), addresses)
        ask = ["proof", IDENTIFIER, "--node", addresses[0], "--for-tools", files("tools.txt")]
        assert main([*ask, "--out", files("p.tlog-proof")]) == code
    if code == 0:
        assert verify(files, "p.tlog-proof", "tools.txt") == 0
        assert len(parse_tlog_proof(Path(files("p.tlog-proof")).read_text(encoding="utf-8")).checkpoint.lines) == 4


class Department(MemoryNode):
    """One department's node as others ask it: sizes that it claims to have cosigned, and those it can show."""

    claimed: tuple[int, ...]
    shown: Mapping[int, AttestedView]

    def cosigned_sizes(self) -> list[int]:
        return list(self.claimed)

    def own_note(self, size: int) -> str | None:
        if size not in self.shown:
            return None
        then = copy.copy(self)
        then.attested = self.shown[size]
        return MemoryNode.own_note(then, size)


@pytest.mark.parametrize(("liars", "code"), [(1, 0), (2, 7)])
def test_who_claims_what_it_has_not_cosigned_holds_up_nobody(
    node: MemoryNode, files: Callable[[str], str], liars: int, code: int
) -> None:
    """The largest size fails for want of one cosignature, so the next is taken: by the three that are honest."""
    views = {node.log.size: node.attested}
    node.execute()
    node.cosign()
    views[node.log.size] = node.attested
    old, new = sorted(views)
    nodes = [department(node, credit_code) for credit_code in VOTERS]
    for number, own in enumerate(nodes):
        own.__class__ = Department
        own.claimed = (old,) if number == len(nodes) - 1 else (new, old)
        own.shown = {} if number < liars else views
    with contextlib.closing(Gateways(nodes)) as gateways:
        write_tools_policy(node, files("tools.txt"), gateways.addresses)
        ask = ["proof", "0", "--node", gateways.addresses[-1], "--for-tools", files("tools.txt")]
        assert main([*ask, "--out", files("p.tlog-proof")]) == code
    if code == 0:
        assert parse_tlog_proof(Path(files("p.tlog-proof")).read_text(encoding="utf-8")).checkpoint.size == old
        assert verify(files, "p.tlog-proof", "tools.txt") == 0


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
        (["show", "{folder}"], 1, "is not the directory of a network"),
        (["export", "{folder}"], 1, "is not the directory of a network"),
        (["export", "{folder}", "--for-tools"], 1, "is not the directory of a network"),
        (["export", "{policy}", "--for-tools"], 1, "does not say where departments are asked"),
        (["show", "{empty}"], 1, "no quorum line"),
        (["export", "{empty}"], 1, "no quorum line"),
        (["export", "{junk}"], 1, "is no policy"),
        (["show", "http:///"], 1, "not the address"),
    ],
)
def test_a_source_without_a_policy_is_named(
    files: Callable[[str], str], capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """One sentence, never a traceback, and nothing on standard output that could be kept for a policy."""
    Path(files("empty")).write_bytes(b"\n")
    Path(files("junk")).write_bytes(b"\xff\xfe" * 9)
    places = {"policy": "policy.txt", "empty": "empty", "junk": "junk", "folder": ""}
    filled = [argument.format(**{name: files(path) for name, path in places.items()}) for argument in arguments]
    got = main(["policy", *filled])
    printed = capsys.readouterr()
    assert (got, printed.out) == (code, "")
    assert message in printed.err
