"""What a gateway tells after a reorganisation: who has what now, since when, and what nobody took over."""

from __future__ import annotations

from ledger.registers.members.values import Merge
from nodes.commands import trace as trace_command
from nodes.tracing.proving import claimed
from tests.gateway.client import Client
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER
from tests.proofs.reorganised import HEIR, ISSUER, MERGE, RENAME, SPLIT, carry_out

API = "/api/v1"


def test_a_trace_names_the_successor_and_the_step(node: MemoryNode, client: Client) -> None:
    """After a rename and a merge: both names, the end, who has the function, and the block of each."""
    assert carry_out(node, RENAME, "R1")
    assert carry_out(node, MERGE, "R2")
    height = node.state.height
    trace = client.get(f"{API}/certificates/{IDENTIFIER}/trace").json()
    assert (trace["issuer"]["credit_code"], trace["issuer"]["name_zh"]) == (ISSUER, "市场监管局")
    assert (trace["issuer_formerly"], trace["issuer_ended"]) == ("市场监督管理局", height)
    assert trace["successor"]["department"]["credit_code"] == HEIR
    assert (trace["successor"]["height"], trace["successor"]["reorganisation"]) == (height, "R2")
    passed = [step for step in trace["steps"] if step["kind"] == "members.carry_out_reorganisation"]
    assert [(step["subject"], step["recorded"]["height"]) for step in passed] == [("responsibility", height)]
    lines = list(trace_command._lines(claimed(trace)))
    assert "Formerly        市场监督管理局" in lines
    assert f"Ended           with block {height}" in lines
    assert f"Passed to       AL Planning & Natural Resources 规划和自然资源委员会 [{HEIR}] (block {height})" in lines
    assert any(line.startswith("Passed on ") for line in lines)


def test_a_trace_without_a_reorganisation_names_none(client: Client) -> None:
    """Nothing is printed of it either."""
    trace = client.get(f"{API}/certificates/{IDENTIFIER}/trace").json()
    assert (trace["issuer_formerly"], trace["issuer_ended"], trace["successor"]) == ("", None, None)
    assert not any(line.startswith(("Formerly", "Ended", "Passed")) for line in trace_command._lines(claimed(trace)))


def test_reorganisations_and_successions_can_be_read(node: MemoryNode, client: Client) -> None:
    """The plan with its approvals, the way of the responsibility, and the links of the departments."""
    assert carry_out(node, SPLIT)
    plan = client.get(f"{API}/state/reorganisations/R1").json()["value"]
    assert (plan["status"], plan["settled_height"], len(plan["approvals"])) == ("carried_out", node.state.height, 4)
    assert [item["id"] for item in client.get(f"{API}/state/reorganisations").json()["items"]] == ["R1"]
    moved = client.get(f"{API}/state/successions/AY-01").json()["value"]
    assert (moved["predecessor"], moved["department"], moved["reorganisation"]) == (ISSUER, HEIR, "R1")
    assert client.get(f"{API}/state/departments/AY").json()["value"]["successors"] == [HEIR]
    history = client.get(f"{API}/state/departments/AL/history").json()["items"]
    assert [change["kind"] for change in history] == ["members.carry_out_reorganisation"]


def test_what_nobody_took_over_is_listed_until_somebody_does(node: MemoryNode, client: Client) -> None:
    """The responsibility and the type that rests on it."""
    assert carry_out(node, Merge(predecessors=(ISSUER,), successor=HEIR, responsibilities=()), "R1")
    orphans = client.get(f"{API}/catalogue").json()["orphans"]
    assert {sort: ids for sort, ids in orphans.items() if ids} == {
        "responsibilities": ["AY-01"],
        "types": ["11100000C00000016E001"],
    }
    assert carry_out(node, SPLIT, "R2")
    assert not any(client.get(f"{API}/catalogue").json()["orphans"].values())
