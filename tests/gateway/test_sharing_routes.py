"""What a gateway tells of sharing: requests, grants, deliveries, objections, breaches, receipts and scores."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ledger.crypto.merkle import leaf_hash
from nodes.gateway import narrowed
from nodes.index import queries
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.gateway.sharing_node import (
    CONDITIONAL,
    FIELDS,
    OPEN,
    REFUSED,
    SHARED,
    WAITING,
    fill_catalogue,
    let_deadlines_pass,
    put,
    share,
)
from tests.gateway.test_reading import pages
from tests.proofs.small_network import GOVERNMENT_SERVICES, MARKET_REGULATION, PUBLIC_SECURITY
from tests.registers import governed

SHARING = "/api/v1/sharing"


@pytest.fixture
def asked(empty_node: MemoryNode, empty_client: Client) -> Client:
    """Asks a node on which data were requested, delivered, refused and objected to."""
    fill_catalogue(empty_node)
    share(empty_node)
    return empty_client


def ids(client: Client, what: str, **query: object) -> list[str]:
    """Return the ids on a list."""
    answer = client.get(f"{SHARING}/{what}", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("what", "query", "expected"),
    [
        ("requests", {}, [SHARED, WAITING, REFUSED]),
        ("requests", {"status": "awaiting-provider"}, [WAITING]),
        ("requests", {"status": "refused", "department": "AY"}, [REFUSED]),
        ("requests", {"department": "AF"}, [SHARED, WAITING, REFUSED]),
        ("requests", {"department": "AL"}, []),
        ("requests", {"data_item": OPEN}, [SHARED]),
        ("grants", {}, [SHARED]),
        ("grants", {"status": "live", "department": PUBLIC_SECURITY.credit_code}, [SHARED]),
        ("grants", {"status": "expired"}, []),
        ("grants", {"data_item": CONDITIONAL}, []),
        ("objections", {}, ["AF-O1"]),
        ("objections", {"status": "open", "department": "AY"}, ["AF-O1"]),
        ("objections", {"department": "AL"}, []),
        ("breaches", {}, []),
    ],
)
def test_lists_are_narrowed(asked: Client, what: str, query: dict[str, object], expected: list[str]) -> None:
    """By status, by a department in whatever part, by data item."""
    assert ids(asked, what, **query) == expected


def test_pages_follow_each_other(asked: Client) -> None:
    """Every value once, with what was asked for kept in `next`."""
    assert [item["id"] for item in pages(asked, f"{SHARING}/requests?limit=1&department=AF")] == [
        SHARED,
        WAITING,
        REFUSED,
    ]
    found = pages(asked, f"{SHARING}/receipts?limit=1")
    assert [(receipt["request"], receipt["outcome"]) for receipt in found] == [
        (SHARED, "acknowledged"),
        (REFUSED, "refused"),
    ]


@pytest.mark.parametrize(
    "path",
    [
        f"requests?data_item={CONDITIONAL}",
        "requests?department=AL",
        "requests?limit=2",
        f"grants?data_item={CONDITIONAL}",
        "deliveries?status=pending",
        f"deliveries?grant={SHARED}&limit=2",
        "objections?status=dismissed",
        "breaches?open=true",
        "receipts?limit=2",
        f"receipts?data_item={CONDITIONAL}",
        f"receipts?grant={SHARED}",
        "receipts?department=BM",
    ],
)
def test_a_page_takes_bounded_work(
    empty_node: MemoryNode, asked: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It ends after so many values, however few fit, and `next` goes on from there; all pages together have all."""
    put(empty_node, MARKET_REGULATION, governed.deliver(SHARED, 2, table="AY-01-T1", rows=2))
    put(empty_node, PUBLIC_SECURITY, governed.acknowledge(SHARED, 2))
    let_deadlines_pass(empty_node)
    whole = asked.get(f"{SHARING}/{path}").json()
    expected = [*whole["items"], *(pages_of_any_size(asked, whole["next"])[0] if whole["next"] else [])]
    looked_at = 0

    def counted(*args: Any) -> list[bytes]:
        nonlocal looked_at
        keys = keys_of_the_index(*args)
        looked_at += len(keys)
        return keys

    keys_of_the_index = queries.keys
    monkeypatch.setattr(queries, "keys", counted)
    monkeypatch.setattr(narrowed, "LOOKED_AT_MAX", 1)
    items, count = pages_of_any_size(asked, f"{SHARING}/{path}")
    assert items == expected
    assert looked_at <= 2 * count


def pages_of_any_size(client: Client, path: str) -> tuple[list[Any], int]:
    """Return the items of all pages, and how many pages there were."""
    items: list[Any] = []
    count, following = 0, path
    while following is not None:
        page = client.get(following).json()
        items += page["items"]
        count, following = count + 1, page["next"]
    return items, count


def test_a_request_comes_with_its_grant(asked: Client) -> None:
    """Who, what, why, how much of it is used; and the deadline of one that waits."""
    case = asked.get(f"{SHARING}/requests/{SHARED}").json()
    assert (case["request"]["requester"]["code"], case["request"]["provider"]["code"]) == ("AF", "AY")
    assert case["request"]["purpose"] == "to check permits at the counter"
    assert (case["grant"]["status"], case["grant"]["basis"]) == ("live", "unconditional")
    assert (case["grant"]["used"], case["grant"]["left"], case["grant"]["volume_max"]) == (4, 6, 10)
    assert case["grant"]["fields"] == list(FIELDS)
    waiting = asked.get(f"{SHARING}/requests/{WAITING}").json()
    assert waiting["grant"] is None
    assert waiting["request"]["duty"] == {"kind": "answer", "due": "2025-09-29T23:59:59.999+08:00", "passed": []}


def test_a_delivery_says_what_was_handed_over(asked: Client) -> None:
    """Rows, table and digests, and nothing of the rows themselves."""
    (delivery,) = asked.get(f"{SHARING}/deliveries", params={"grant": SHARED}).json()["items"]
    assert (delivery["number"], delivery["status"], delivery["rows"]) == (1, "acknowledged", 4)
    assert (delivery["table"], delivery["requester"]["code"]) == ("AY-01-T1", "AF")
    assert delivery["sealed"] == governed.deliver(SHARED).sealed.hex()
    assert delivery["settled"]["height"] > delivery["delivered"]["height"]
    for query in ({"status": "pending"}, {"grant": WAITING}, {"department": "AL"}, {"data_item": CONDITIONAL}):
        assert asked.get(f"{SHARING}/deliveries", params=query).json()["items"] == []


def test_a_receipt_names_the_statements_that_make_it(empty_node: MemoryNode, asked: Client) -> None:
    """Both departments' records with their places in the log, each an entry that can be fetched; one of a refusal."""
    found = asked.get(f"{SHARING}/receipts").json()["items"]
    made = [[(step["kind"], step["department"]["code"]) for step in receipt["statements"]] for receipt in found]
    assert made == [[("sharing.deliver", "AY"), ("sharing.acknowledge", "AF")], [("sharing.refuse", "AY")]]
    for step in (step for receipt in found for step in receipt["statements"]):
        entry = asked.get(f"/api/v1/entries/{step['log_index']}").json()
        assert leaf_hash(base64.b64decode(entry["entry"])) == empty_node.log.leaf(step["log_index"])
    assert (found[1]["reason"], found[1]["delivery"]) == ("not needed for it", None)


def test_receipts_of_one_grant_come_page_by_page(empty_node: MemoryNode, asked: Client) -> None:
    """Several deliveries under one grant, and none of another."""
    for number in (2, 3):
        delivered = governed.deliver(SHARED, number, table="AY-01-T1", rows=2)
        put(empty_node, MARKET_REGULATION, delivered)
        put(empty_node, PUBLIC_SECURITY, governed.acknowledge(SHARED, number))
    found = pages(asked, f"{SHARING}/receipts?limit=1&grant={SHARED}")
    assert [receipt["delivery"]["number"] for receipt in found] == [1, 2, 3]
    assert [receipt["request"] for receipt in pages(asked, f"{SHARING}/receipts?limit=1")] == [
        SHARED,
        SHARED,
        SHARED,
        REFUSED,
    ]
    assert ids_of_receipts(asked, data_item=CONDITIONAL) == [REFUSED]
    assert ids_of_receipts(asked, department="BM") == []


def ids_of_receipts(client: Client, **query: object) -> list[str]:
    """Return the requests of the receipts that are found."""
    return [receipt["request"] for receipt in client.get(f"{SHARING}/receipts", params=query).json()["items"]]


def test_who_is_late_is_told_until_it_is_done(empty_node: MemoryNode, asked: Client) -> None:
    """The breach of a request and of an objection, then those of the authority; open, and later cured."""
    let_deadlines_pass(empty_node)
    found = asked.get(f"{SHARING}/breaches", params={"open": "true"}).json()["items"]
    assert [(breach["id"], breach["subject"], breach["duty"], breach["late"]["code"]) for breach in found] == [
        ("AF-O1", "objection", "correct", "AY"),
        (WAITING, "request", "answer", "AY"),
    ]
    let_deadlines_pass(empty_node)
    authority = [breach for breach in pages(asked, f"{SHARING}/breaches?limit=1") if breach["late"] is None]
    assert {breach["stage"] for breach in authority} == {2}
    assert ids(asked, "requests", status="escalated") == [WAITING]
    put(empty_node, GOVERNMENT_SERVICES, governed.refuse(WAITING))
    assert ids(asked, "breaches", open="true", department="AY") == ["AF-O1"]
    assert ids(asked, "breaches", department="AY") == ["AF-O1", WAITING]


def test_scores_compare_departments(empty_node: MemoryNode, asked: Client) -> None:
    """The league table with ranks, the card of one, and that of the authority as such."""
    let_deadlines_pass(empty_node)
    table = asked.get(f"{SHARING}/scores").json()
    ranks = {score["department"]["code"]: score["rank"] for score in table["items"]}
    assert sorted(ranks.values()) == [1, 2, 3]
    assert ranks["AY"] == 1
    card = asked.get(f"{SHARING}/scores/AY").json()["score"]
    assert card == table["items"][0]
    assert (card["requests_received"], card["refused"], card["breaches_open"]) == (3, 1, 2)
    assert card["answered_in_time_permille"] == 500
    assert card["broken_links"] == [CONDITIONAL]
    assert table["authority"]["department"] is None
    assert asked.get(f"{SHARING}/scores/directory_authority").json()["score"] == table["authority"]
    unscored = asked.get(f"{SHARING}/scores/BM").json()["score"]
    assert (unscored["rank"], unscored["answered_in_time_permille"]) == (None, None)


def test_the_terms_can_be_read(asked: Client) -> None:
    """Ten working days for an answer while nobody has set anything else."""
    assert asked.get(f"{SHARING}/terms").json()["answer_working_days"] == 10


def test_values_of_sharing_stand_among_those_of_the_state(asked: Client) -> None:
    """With their history, as every other value does."""
    history = asked.get(f"/api/v1/state/requests/{REFUSED}/history").json()["items"]
    assert [change["kind"] for change in history] == ["sharing.request", "sharing.refuse"]
    assert asked.get(f"/api/v1/state/grants/{SHARED}").json()["value"]["used"] == 4


def test_an_expired_grant_says_so(empty_node: MemoryNode, asked: Client) -> None:
    """The day after its last, without anybody sending anything."""
    empty_node.execute(time_ms=governed.day_ms("2026-01-01"))
    assert ids(asked, "grants", status="expired") == [SHARED]
    assert asked.get(f"{SHARING}/requests/{SHARED}").json()["grant"]["status"] == "expired"


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        (f"requests/{SHARED}X", {}, 404, "not_found"),
        ("requests", {"status": "lost"}, 422, "invalid_parameter"),
        ("requests", {"department": "ZZ"}, 404, "not_found"),
        ("requests", {"cursor": "'"}, 422, "invalid_parameter"),
        ("requests", {"limit": "no"}, 422, "invalid_parameter"),
        ("grants", {"status": "granted"}, 422, "invalid_parameter"),
        ("deliveries", {"grant": "a/b"}, 422, "invalid_parameter"),
        ("deliveries", {"status": "sent"}, 422, "invalid_parameter"),
        ("objections", {"department": "x" * 41}, 422, "invalid_parameter"),
        ("breaches", {"open": "perhaps"}, 422, "invalid_parameter"),
        ("receipts", {"cursor": "AF-R1"}, 422, "invalid_parameter"),
        ("scores/ZZ", {}, 404, "not_found"),
        ("nothing", {}, 404, "not_found"),
    ],
)
def test_bad_questions_are_problems_with_codes(
    asked: Client, path: str, query: dict[str, Any], status: int, code: str
) -> None:
    """Each parameter that has no meaning, and each name that nothing has."""
    problem(asked.get(f"{SHARING}/{path}", params=query), status, code)
