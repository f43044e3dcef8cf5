"""Reading a node: every path answers, what it answers can be checked, and pages and ETags do what they say."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from ledger.blocks.log import BlockRecord
from ledger.crypto.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.crypto.sparse_tree import StateProof, verify_absence, verify_presence
from ledger.encoding import decode, encode
from ledger.proofs.verify import verify_bundle
from ledger.registers.certificates.records import RecordVerification, SuspendCertificate
from ledger.registers.shared import responsibility_key
from ledger.state.store import key_digest, value_digest
from nodes.gateway.problems import KINDS
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER, RESPONSIBILITY, TYPE_CODE
from tests.proofs.small_network import GOVERNMENT_SERVICES, MARKET_REGULATION

API = "/api/v1"
WRONG_CHECK = IDENTIFIER[:-1] + ("A" if IDENTIFIER[-1] != "A" else "B")


def hexes(values: list[str]) -> list[bytes]:
    """Return hexadecimal texts as bytes."""
    return [bytes.fromhex(value) for value in values]


def pages(client: Client, path: str) -> list[Any]:
    """Return the items of all pages, one a page."""
    items: list[Any] = []
    following: str | None = path
    while following is not None:
        page = client.get(following).json()
        assert len(page["items"]) <= 1
        items += page["items"]
        following = page["next"]
    return items


def test_blocks_come_newest_first_in_pages(node: MemoryNode, client: Client) -> None:
    """Following `next` gives every block once; the chain of parents holds."""
    blocks = pages(client, f"{API}/blocks?limit=1")
    assert [block["recorded"]["height"] for block in blocks] == [4, 3, 2, 1]
    assert [block["parent"] for block in blocks[:-1]] == [block["block"] for block in blocks[1:]]
    assert blocks[-1]["parent"] == node.genesis.chain.hex()
    assert client.get(f"{API}/blocks/4").json() == blocks[0]
    assert client.get(f"{API}/blocks").json()["next"] is None


def test_the_envelopes_of_a_block_come_with_results(node: MemoryNode, client: Client) -> None:
    """Each record has kind and result, a refusal its cause and next step."""
    node.execute(*(node.sign(MARKET_REGULATION, RESPONSIBILITY) for _ in range(3)))
    envelopes = pages(client, f"{API}/blocks/5/envelopes?limit=1")
    assert [envelope["position"] for envelope in envelopes] == [0, 1, 2]
    (record,) = envelopes[0]["records"]
    assert record["kind"] == "directories.publish_responsibility"
    assert record["result"]["code"] == "revision_not_next"
    assert record["result"]["next_step"]
    assert envelopes[0]["department"]["code"] == "AY"


def test_entries_are_the_leaves_of_the_log(node: MemoryNode, client: Client) -> None:
    """Every entry, that of genesis first, hashes to its leaf and is proven in the checkpoint."""
    for index in range(node.log.size):
        entry = client.get(f"{API}/entries/{index}").json()
        raw = base64.b64decode(entry["entry"])
        assert raw == node.entries[index]
        proof = client.get(f"{API}/proofs/inclusion", params={"index": index}).json()
        assert entry["leaf_hash"] == proof["leaf_hash"] == leaf_hash(raw).hex()
        root = bytes.fromhex(proof["root"])
        verify_inclusion(leaf_hash(raw), index=index, size=proof["size"], path=hexes(proof["path"]), root=root)
        assert node.checkpoint is not None
        assert root == node.checkpoint.root


def test_an_older_log_is_the_beginning_of_the_newer(node: MemoryNode, client: Client) -> None:
    """The consistency proof verifies for every older size."""
    for old in range(1, node.log.size + 1):
        proof = client.get(f"{API}/proofs/consistency", params={"old": old}).json()
        verify_consistency(
            size_old=old,
            root_old=bytes.fromhex(proof["old_root"]),
            size_new=proof["new"],
            root_new=bytes.fromhex(proof["new_root"]),
            path=hexes(proof["path"]),
        )


def test_a_value_is_proven_from_the_checkpoint_down(node: MemoryNode, client: Client) -> None:
    """Log entry, state root, value: and it stays as of the checkpoint while the ledger goes on."""
    node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    key = responsibility_key("AY-01")
    proof = client.get(f"{API}/proofs/state", params={"key": key.decode()}).json()
    assert proof["as_of"]["height"] == 4
    block, inclusion = base64.b64decode(proof["block"]), proof["inclusion"]
    path, root = hexes(inclusion["path"]), bytes.fromhex(inclusion["root"])
    assert inclusion["index"] == inclusion["size"] - 1
    verify_inclusion(leaf_hash(block), index=inclusion["index"], size=inclusion["size"], path=path, root=root)
    state_root = decode(BlockRecord, block).state_root
    value = value_digest(base64.b64decode(proof["value"]))
    verify_presence(state_root, key_digest(key), value, decode(StateProof, base64.b64decode(proof["proof"])))


def test_absence_is_proven_too(client: Client) -> None:
    """A key that nothing stands under has a proof of that; keys that are no text are written in hexadecimal."""
    key = b"members/key-owner/" + b"\xff" * 32
    proof = client.get(f"{API}/proofs/state", params={"key": "hex:" + key.hex()}).json()
    assert proof["value"] is None
    absence = decode(StateProof, base64.b64decode(proof["proof"]))
    verify_absence(bytes.fromhex(proof["state_root"]), key_digest(key), absence)


@pytest.mark.parametrize(
    "query",
    [
        "inclusion?index=9",
        "inclusion?index=0&size=100",
        "inclusion?index=-1",
        "inclusion",
        "consistency?old=0",
        "consistency?old=9&new=3",
        "consistency?old=1&new=100",
        "state",
        "state?key=hex:0g",
        f"inclusion?index={1 << 64}",
    ],
)
def test_proofs_of_what_cannot_be_are_invalid_parameters(client: Client, query: str) -> None:
    """Outside of the log there is nothing to prove."""
    problem(client.get(f"{API}/proofs/{query}"), 422, "invalid_parameter")


NAMES = {
    "departments": "AY",
    "responsibilities": "AY-01",
    "types": TYPE_CODE,
    "certificates": IDENTIFIER,
}


@pytest.mark.parametrize("plural", NAMES)
def test_values_are_read_by_the_names_people_use(client: Client, plural: str) -> None:
    """One value, as of the head, alone and in its list."""
    value = client.get(f"{API}/state/{plural}/{NAMES[plural]}").json()
    assert value["as_of"]["height"] == 4
    assert value in pages(client, f"{API}/state/{plural}?limit=1")


def test_a_department_has_two_names(client: Client) -> None:
    """Short code and credit code lead to the same value; its list has the founders in order."""
    path = f"{API}/state/departments"
    assert client.get(f"{path}/AY").json() == client.get(f"{path}/{MARKET_REGULATION.credit_code}").json()
    ids = [item["id"] for item in pages(client, f"{path}?limit=1")]
    assert len(ids) == 5
    assert ids == sorted(ids)
    assert [item["id"] for item in client.get(f"{path}?begins_with=11110000B").json()["items"]] == ids[-1:]


def test_a_value_that_has_not_changed_is_not_sent_again(node: MemoryNode, client: Client) -> None:
    """304 for the known ETag while the value stands, whatever else is recorded; a new one when it changes."""
    path = f"{API}/state/certificates/{IDENTIFIER}"
    etag = client.get(path).headers["etag"]
    node.execute(node.sign(MARKET_REGULATION, RESPONSIBILITY))
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        response = client.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
    node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    response = client.get(path, headers={"If-None-Match": etag})
    assert response.status_code == 200
    assert response.json()["value"]["status"] == "suspended"


@pytest.mark.parametrize("path", ["/checkpoint", f"{API}/catalogue", f"{API}/certificates/{IDENTIFIER}/bundle"])
def test_other_answers_have_etags_too(node: MemoryNode, client: Client, path: str) -> None:
    """Known: 304. After a new checkpoint over a change: another ETag."""
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    node.execute(
        node.sign(
            MARKET_REGULATION,
            SuspendCertificate(certificate=IDENTIFIER, reason="inspection"),
            replace(RESPONSIBILITY, revision=2),
        )
    )
    node.cosign()
    assert client.get(path, headers={"If-None-Match": etag}).headers["etag"] != etag


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__ if name != "version"}


@pytest.mark.parametrize("plural", ["departments", "responsibilities", "data-items", "systems", "tables"])
def test_what_is_not_there_is_not_found(client: Client, plural: str) -> None:
    """Value and history: 404 with the height that was looked at."""
    for path in (f"{API}/state/{plural}/NO-99", f"{API}/state/{plural}/NO-99/history"):
        assert "block 4" in problem(client.get(path), 404, "not_found")["detail"]


@pytest.mark.parametrize(
    "path",
    [
        f"/state/certificates/{WRONG_CHECK}",
        f"/state/certificates/{WRONG_CHECK}/history",
        f"/certificates/{WRONG_CHECK}/trace",
        f"/certificates/{WRONG_CHECK}/bundle",
        "/state/types/11100000C00000016E",
    ],
)
def test_a_mistyped_identifier_is_told_from_an_unknown_one(client: Client, path: str) -> None:
    """The check character says that it is a slip, before anybody looks."""
    problem(client.get(f"{API}{path}"), 422, "bad_check_character")


def test_history_has_every_change_in_order(node: MemoryNode, client: Client) -> None:
    """Issue, then suspension, page by page, each with block, time, department and place in the log."""
    node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    changes = pages(client, f"{API}/state/certificates/{IDENTIFIER}/history?limit=1")
    assert [change["kind"] for change in changes] == ["certificates.issue", "certificates.suspend"]
    assert [change["recorded"]["height"] for change in changes] == [4, 5]
    assert changes[0]["recorded"]["time"] == "2025-09-15T08:04:00.000+08:00"
    assert {change["department"]["code"] for change in changes} == {"AY"}
    for change in changes:
        entry = client.get(f"{API}/entries/{change['log_index']}").json()
        assert client.get(f"{API}/envelopes/{change['envelope']}").json()["height"] == entry["height"]


def test_a_trace_goes_from_the_responsibility_to_the_last_change(node: MemoryNode, client: Client) -> None:
    """Responsibility, approval, type, issue, change, use: in this order, each with block and time."""
    node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    node.execute(node.sign(GOVERNMENT_SERVICES, RecordVerification(certificate=IDENTIFIER, purpose="counter 4")))
    trace = client.get(f"{API}/certificates/{IDENTIFIER}/trace").json()
    assert [(step["subject"], step["kind"], step["recorded"]["height"]) for step in trace["steps"]] == [
        ("responsibility", "directories.publish_responsibility", 1),
        ("responsibility", "directories.approve_responsibility", 2),
        ("type", "certificates.define_type", 3),
        ("certificate", "certificates.issue", 4),
        ("certificate", "certificates.suspend", 5),
        ("use", "certificates.verify", 6),
    ]
    assert (trace["status"], trace["issuer"]["code"], trace["responsibility"]["id"]) == ("suspended", "AY", "AY-01")
    unknown = IDENTIFIER.replace("20250915001.001.T", "20250915002.001.R")
    status = client.get(f"{API}/certificates/{unknown}/trace").status_code
    assert status in {404, 422}


def test_a_bundle_verifies_against_the_policy_of_the_node(node: MemoryNode, client: Client) -> None:
    """What the gateway gives is what `mulu verify` takes, as of the checkpoint and no newer block."""
    node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    bundle = client.get(f"{API}/certificates/{IDENTIFIER}/bundle").content
    policy = client.get("/policy").text
    statement = verify_bundle(bundle, policy, now_ms=node.state.time_ms, max_age_s=3_600)
    assert statement.exit_code == 0
    node.cosign()
    bundle = client.get(f"{API}/certificates/{IDENTIFIER}/bundle").content
    statement = verify_bundle(bundle, policy, now_ms=node.state.time_ms, max_age_s=3_600)
    assert statement.status is not None
    assert statement.status.value == "suspended"


def test_the_catalogue_counts_what_is_there(client: Client) -> None:
    """One responsibility that counts, one type, one certificate, no orphans."""
    catalogue = client.get(f"{API}/catalogue").json()
    counts = {name: count for name, count in catalogue["counts"].items() if count}
    assert counts == {
        "responsibilities": 1,
        "responsibilities_that_count": 1,
        "certificate_types": 1,
        "certificates": 1,
    }
    (responsibility,) = catalogue["responsibilities"]
    assert (responsibility["id"], responsibility["department"]["code"]) == ("AY-01", "AY")
    assert not any(catalogue["orphans"].values())


def test_before_the_first_checkpoint_proofs_have_to_wait(empty_client: Client) -> None:
    """What rests on a checkpoint is a 503 that says so; what does not is there from genesis on."""
    client = empty_client
    for path in ("/checkpoint", f"{API}/proofs/inclusion?index=0", f"{API}/proofs/state?key=a", f"{API}/entries/0"):
        response = client.get(path)
        problem(response, 503, "no_checkpoint")
        assert response.headers["retry-after"]
    assert client.get(f"{API}/node").json()["checkpoint_height"] is None
    assert client.get(f"{API}/blocks").json() == {"items": [], "next": None}
    problem(client.get(f"{API}/blocks/1"), 404, "not_found")


def test_an_index_that_is_behind_is_said_to_be(
    node: MemoryNode, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that would miss what the node has executed is not given."""
    monkeypatch.setattr("nodes.gateway.asking.INDEX_WAIT_S", 0.01)
    monkeypatch.setattr(node.index, "_height", 3)
    problem(client.get(f"{API}/blocks"), 503, "index_behind")
    monkeypatch.setattr(node.index, "failure", "disk full")
    problem(client.get(f"{API}/blocks"), 503, "index_unavailable")
    assert client.get(f"{API}/state/responsibilities/AY-01").status_code == 200


def test_a_closed_index_is_a_problem(node: MemoryNode, client: Client) -> None:
    """The ledger's own reads go on without it."""
    node.index.close()
    problem(client.get(f"{API}/catalogue"), 503, "index_unavailable")
    assert client.get("/checkpoint").status_code == 200


def test_a_node_that_is_not_ready_says_why(node: MemoryNode, client: Client) -> None:
    """It lives, and does not do its part; starting it again would help nothing."""
    assert client.get("/readyz").text == client.get("/livez").text == "ok\n"
    node.reasons = ["2 of 4 validators are connected"]
    assert problem(client.get("/readyz"), 503, "not_ready")["reasons"] == node.reasons
    assert client.get("/livez").status_code == 200
    assert client.get(f"{API}/node").json()["why_not_ready"] == node.reasons


def test_every_code_has_a_page(client: Client) -> None:
    """Where the `type` of a problem leads, its cause and next step stand."""
    listed = client.get(f"{API}/problems").json()
    assert {kind["code"] for kind in listed} == set(KINDS)
    for kind in listed:
        assert client.get(f"{API}/problems/{kind['code']}").json() == kind
    problem(client.get(f"{API}/problems/no_such_code"), 404, "not_found")


def test_values_in_answers_are_the_values_of_the_state(node: MemoryNode, client: Client) -> None:
    """The JSON has every field of the value but its version, bytes in hexadecimal."""
    value = node.state.values[responsibility_key("AY-01")]
    told = client.get(f"{API}/state/responsibilities/AY-01").json()["value"]
    assert told == _fields(value)
    assert encode(value)
