"""`mulu trace` proves what it shows, finds a node that lies, and writes forms that other people's programs read."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from prov.model import ProvActivity, ProvAgent, ProvDerivation, ProvDocument, ProvEntity, ProvInfluence

from ledger.errors import NotFoundError
from ledger.proofs.bundle import Opening, build_bundle
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import LiftSuspension, RecordVerification, SuspendCertificate
from nodes.cli import main
from nodes.commands.gateway_client import ask, fetch
from nodes.gateway.app import create_app
from nodes.tracing.chain import Chain
from nodes.tracing.deliveries import UnprovenBundleError, with_deliveries
from nodes.tracing.pictures import dot, mermaid
from nodes.tracing.prov_json import prov_json
from nodes.tracing.proving import claimed, prove
from tests.gateway.memory_node import MemoryNode
from tests.proofs.cases import POLICY, good_cases
from tests.proofs.memory_ledger import FIELDS, HOLDER, IDENTIFIER, TYPE_CODE, issue_certificate
from tests.proofs.shared_data import ledger_with_hops
from tests.proofs.small_network import MARKET_REGULATION, found

NOW = "2025-09-15T08:30:00+08:00"
NOW_MS = 1_757_896_200_000
TITLES = ["Responsibility published", "Approval", "Type defined", "Issue", "Suspension", "Suspension lifted"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryNode]:
    """A node with a certificate that was suspended, lifted and verified once; a checkpoint covers all of it."""
    node = MemoryNode(tmp_path_factory.mktemp("node"))
    issue_certificate(node)
    for record in (
        SuspendCertificate(certificate=IDENTIFIER, reason="inspection"),
        LiftSuspension(certificate=IDENTIFIER, reason='nothing "found" <b>'),
        RecordVerification(certificate=IDENTIFIER, purpose="tender"),
    ):
        node.execute(node.sign(MARKET_REGULATION, record))
    node.cosign()
    yield node
    node.close()


@pytest.fixture(scope="module")
def address(node: MemoryNode) -> Iterator[str]:
    """Serve the node's gateway on another thread, as another process would."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(node), log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    yield "http://{}:{}".format(*listener.getsockname())
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module")
def trace(address: str) -> dict[str, Any]:
    """What the node tells."""
    told: dict[str, Any] = ask(address, f"/api/v1/certificates/{IDENTIFIER}/trace", timeout_s=10)
    return told


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy from somebody else than the node."""
    path = tmp_path / "policy.txt"
    path.write_text(POLICY, encoding="utf-8")
    return path


def proven(address: str, trace: dict[str, Any], policy: str = POLICY) -> Chain:
    """Return what the node's own proofs say of a trace."""
    return prove(claimed(trace), lambda path: fetch(address, path, timeout_s=10), policy, now_ms=NOW_MS)


@pytest.fixture(scope="module")
def chain(address: str, trace: dict[str, Any]) -> Chain:
    """The chain of the certificate, proven, with the deliveries of a bundle beside it."""
    ledger, deliveries = ledger_with_hops(found())
    bundle = build_bundle(ledger.view(), IDENTIFIER, Opening(content=FIELDS, holder=HOLDER), deliveries)
    return with_deliveries(proven(address, trace), bundle, POLICY)


def test_every_step_and_the_status_are_proven(address: str, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under a policy that the reader brought: exit 0, and nothing on standard error."""
    assert main(["trace", IDENTIFIER, "--node", address, "--policy", str(policy), "--now", NOW]) == 0
    out, err = capsys.readouterr()
    steps = [line for line in out.splitlines() if "  block " in line]
    assert [line.split("  ")[0] for line in steps] == [*TITLES, "Verification recorded"]
    assert all(line.endswith("; proven") for line in steps)
    assert out.splitlines()[1].endswith("; proven")
    assert err == ""


def test_json_is_the_answer_of_the_node_with_a_proof_for_each_step(
    address: str, trace: dict[str, Any], policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the answer is lost."""
    asked = ["trace", IDENTIFIER, "--node", address, "--policy", str(policy), "--now", NOW, "--format", "json"]
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert [step.pop("proof") for step in told["steps"]] == [{"proven": True, "reason": None}] * len(trace["steps"])
    assert told.pop("status_proof") == {"proven": True, "reason": None}
    assert told.pop("deliveries") == []
    assert told == trace


def test_a_policy_that_says_nothing_of_the_network_proves_nothing(
    address: str, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4 under a policy of one's own that is past its date; the steps are shown all the same."""
    asked = ["trace", IDENTIFIER, "--node", address, "--policy", str(policy), "--now", "2030-01-01T00:00:00+08:00"]
    assert main(asked) == 4
    assert capsys.readouterr().out.count("not proven: the policy was to be used until") == len(TITLES) + 2


def lies(trace: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a node could say instead."""
    steps = trace["steps"]

    def changed(number: int, **values: Any) -> dict[str, Any]:
        lie = copy.deepcopy(trace)
        lie["steps"][number].update(values)
        return lie

    issued, suspended = 3, 4
    yield "another kind", changed(suspended, kind="certificates.revoke")
    yield "another department", changed(issued, department=steps[1]["department"])
    yield "another subject", changed(2, id="11100000C00000016E999")
    yield "another entry", changed(issued, log_index=steps[0]["log_index"])
    yield "the entry of a block", changed(issued, log_index=0)
    yield "another certificate", changed(issued, id=format_identifier(_other()))
    yield "another status", {**trace, "status": "revoked"}
    yield "a step left out", {**trace, "steps": [step for step in steps if step != steps[suspended]]}


def _other() -> IdentifierParts:
    return IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915002", 1)


def test_a_node_that_lies_is_contradicted_by_its_proofs(address: str, trace: dict[str, Any]) -> None:
    """Whatever it changes in its answer, some proof says otherwise, and none of the others suffers."""
    for name, lie in lies(trace):
        answers = [proof.proven for proof in proven(address, lie).proofs]
        assert not all(answers), name
        if name != "the entry of a block":
            assert False in answers, name
        assert True in answers, name


def test_a_lie_ends_with_3(
    address: str, trace: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also under the node's own policy, which it cannot deny."""
    lie = dict(lies(trace))["another status"]
    monkeypatch.setattr("nodes.commands.trace.ask", lambda *_, **__: lie)
    assert main(["trace", IDENTIFIER, "--node", address, "--now", NOW]) == 3
    out, err = capsys.readouterr()
    assert "CONTRADICTED: the ledger has another status" in out
    assert "--policy" in err


def test_proofs_of_another_network_contradict_nothing_and_prove_nothing(address: str, trace: dict[str, Any]) -> None:
    """A policy of another network has no word about this one."""
    other = re.sub(r"^witness.*\n", "", POLICY, flags=re.MULTILINE)
    assert {proof.proven for proof in proven(address, trace, other).proofs} == {None}


def test_what_no_checkpoint_covers_yet_is_not_proven_yet(trace: dict[str, Any]) -> None:
    """A node that has no proof is not a liar."""

    def nothing(path: str) -> bytes:
        raise NotFoundError(f"no checkpoint covers {path}")

    chain = prove(claimed(trace), nothing, POLICY, now_ms=NOW_MS)
    assert {proof.proven for proof in chain.proofs} == {None}


def test_deliveries_come_from_the_issuers_bundle(chain: Chain) -> None:
    """Request, delivery and acknowledgement of each, proven by the bundle, before the issue."""
    deliveries = chain.of("delivery")
    assert [step.kind for step in deliveries[:3]] == ["sharing.request", "sharing.deliver", "sharing.acknowledge"]
    assert len(deliveries) % 3 == 0
    assert all(step.proof.proven for step in deliveries)
    subjects = [step.subject for step in chain.steps]
    assert subjects.index("type") < subjects.index("delivery") < subjects.index("certificate")


@pytest.mark.parametrize("spoil", ["forged", "torn", "of another certificate", "under another policy"])
def test_a_bundle_that_proves_nothing_is_refused(chain: Chain, spoil: str) -> None:
    """One sentence, and no chain that rests on it."""
    good = next(case for case in good_cases() if case.name == "with hops").data
    data, policy = good, POLICY
    match spoil:
        case "forged":
            data = good.replace(b'"index":', b'"index":1', 1)
        case "torn":
            data = good[:-2]
        case "of another certificate":
            trace = {**chain.trace, "certificate": format_identifier(_other())}
            chain = Chain(trace=trace, steps=(), status=chain.status)
        case "under another policy":
            policy = "# mulu.policy/1\n"
    with pytest.raises(UnprovenBundleError):
        with_deliveries(chain, data, policy)


def test_prov_reads_as_provenance(chain: Chain) -> None:
    """The `prov` package finds each step as an activity, and from the certificate a way back to all of them."""
    document = ProvDocument.deserialize(content=json.dumps(prov_json(chain)), format="json")
    count = {kind: len(list(document.get_records(kind))) for kind in (ProvActivity, ProvAgent, ProvEntity)}
    assert count[ProvActivity] == len(chain.steps)
    assert count[ProvAgent] == len({step.department["credit_code"] for step in chain.steps if step.department})
    derived: dict[Any, set[Any]] = {}
    for relation in (*document.get_records(ProvDerivation), *document.get_records(ProvInfluence)):
        after, before, *_ = relation.args
        derived.setdefault(after, set()).add(before)
    certificate = max(
        (key for key in derived if "certificate" in str(key)), key=lambda key: int(str(key).rpartition("/")[2])
    )
    reached, waiting = set(), [certificate]
    while waiting:
        entity = waiting.pop()
        if entity not in reached:
            reached.add(entity)
            waiting += derived.get(entity, ())
    # All but what was only done with the certificate, which nothing derives from.
    assert len(reached) == len(chain.steps) - len(chain.of("use"))
    assert document.get_provn()


def test_graphviz_draws_the_chain(optional_tool: Callable[[str], Path], chain: Chain) -> None:
    """A box for each step and the status, and arrows between them all."""
    tool = optional_tool("dot")
    drawn = subprocess.run([tool, "-Tsvg"], input=dot(chain), capture_output=True, text=True, check=True)
    assert drawn.stderr == ""
    assert drawn.stdout.count('class="node"') == len(chain.steps) + 1
    assert drawn.stdout.count('class="edge"') == len(list(chain.links())) + len(list(chain.delivered())) + 1


def test_mermaid_holds_every_step_and_no_foreign_markup(chain: Chain) -> None:
    """Each line is a box, an arrow or a colour; what comes from the ledger is text between quotation marks."""
    head, *lines = mermaid(chain).split("\n")
    assert head == "flowchart TD"
    box = r'  n\d+\["[^"<>]*(?:<br>[^"<>]*)*"\]:::(?:proven|unproven|contradicted)'
    arrow = r'  n\d+ (?:-->|-\. "the issuer\'s word" \.->) n\d+'
    colour = r"  classDef \w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}"
    for line in lines:
        assert re.fullmatch(f"{box}|{arrow}|{colour}", line), line
    assert sum(":::" in line for line in lines) == len(chain.steps) + 1


@pytest.mark.parametrize("name", ['"]; evil', "a\\", "<b>&amp;", "#quot;", "]:::x", "换行\n甲", "%%{init}%%"])
def test_no_name_breaks_out_of_a_drawing(
    optional_tool: Callable[[str], Path], trace: dict[str, Any], name: str
) -> None:
    """Names are written by departments, and read by programs."""
    evil = copy.deepcopy(trace)
    for step in evil["steps"]:
        step["department"]["name_en"] = name
    chain = claimed(evil)
    assert len(mermaid(chain).split("\n")) == len(mermaid(claimed(trace)).split("\n"))
    assert all(line.count('"') in (0, 2) for line in mermaid(chain).split("\n"))
    assert "%%" not in mermaid(chain)
    drawn = subprocess.run(
        [optional_tool("dot"), "-Tplain"], input=dot(chain), capture_output=True, text=True, check=True
    )
    assert len(re.findall("^node ", drawn.stdout, re.MULTILINE)) == len(chain.steps) + 1
