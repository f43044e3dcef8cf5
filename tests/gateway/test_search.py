"""Looking for data in the catalogue: by words in both scripts, by owner, sharing and theme, page by page."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.registers.directories.records import ApproveDataItem, WithdrawDataItem
from ledger.registers.members.values import Merge
from nodes.index import queries
from nodes.index.texts import searchable, words_of
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.gateway.sharing_node import CLOSED, CONDITIONAL, OF_PLANNING, OPEN, fill_catalogue, publication, put
from tests.gateway.test_index import content, content_after_close, open_index
from tests.gateway.test_reading import pages
from tests.proofs.reorganised import HEIR, ISSUER, carry_out
from tests.proofs.small_network import GOVERNMENT_SERVICES, MARKET_REGULATION

SEARCH = "/api/v1/catalogue/data-items"


@pytest.fixture
def full_client(empty_node: MemoryNode, empty_client: Client) -> Client:
    """Asks a node whose catalogue has four data items."""
    fill_catalogue(empty_node)
    return empty_client


def found(client: Client, **asked: object) -> list[str]:
    """Return the ids that a search finds."""
    answer = client.get(SEARCH, params=asked)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [OF_PLANNING, OPEN, CONDITIONAL, CLOSED]),
        ("执照", [OPEN]),
        ("规", [OF_PLANNING]),
        ("LICENCES business", [OPEN]),
        ("企业", [OPEN]),
        ("plot", [OF_PLANNING]),
        ("ｐｌｏｔ", [OF_PLANNING]),
        ("地块 规划", [OF_PLANNING]),
        ("permit", [CONDITIONAL, CLOSED, OPEN]),
        ("ay-01-d3", [CLOSED]),
        ("执照 nowhere", []),
        ("%", []),
        ("' OR 1=1 --", []),
    ],
)
def test_words_are_found_wherever_they_stand(full_client: Client, text: str, ids: list[str]) -> None:
    """Two characters of Chinese, half a word, any case and width; names come before abstracts and fields."""
    assert found(full_client, text=text) == ids


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"department": "AL"}, [OF_PLANNING]),
        ({"department": MARKET_REGULATION.credit_code}, [OPEN, CONDITIONAL, CLOSED]),
        ({"department": "BM"}, []),
        ({"sharing": 2}, [CONDITIONAL]),
        ({"sharing": 1, "department": "AY"}, [OPEN]),
        ({"classification": "basic"}, [CLOSED]),
        ({"theme": "2"}, [CLOSED]),
        ({"classification": "theme", "theme": "2"}, []),
        ({"sharing": 1, "text": "规划"}, [OF_PLANNING]),
    ],
)
def test_searches_are_narrowed(full_client: Client, asked: dict[str, object], ids: list[str]) -> None:
    """By owner, sharing type, classification and its code, and all of them together."""
    assert found(full_client, **asked) == ids


def test_what_is_found_says_what_can_be_asked_for(full_client: Client) -> None:
    """Owner, fields with their types, and how the data item is shared."""
    (item,) = full_client.get(SEARCH, params={"text": "营业执照"}).json()["items"]
    assert item["department"]["code"] == "AY"
    assert [(field["name"], field["type"]) for field in item["fields"]] == [("permit number", "C"), ("issued on", "D")]
    assert item["sharing"] == {"type": 1, "condition": "", "mode": "database"}
    assert (item["name_zh"], item["name_en"], item["open"], item["revision"]) == (
        "营业执照",
        "Business licences",
        False,
        1,
    )


def test_pages_follow_each_other_in_the_order_of_the_hits(full_client: Client) -> None:
    """Every hit once; `next` keeps what was asked for."""
    ids = [item["id"] for item in pages(full_client, f"{SEARCH}?text=permit&limit=1")]
    assert ids == [CONDITIONAL, CLOSED, OPEN]
    first = full_client.get(f"{SEARCH}?text=permit&sharing=1&limit=1").json()
    assert first["next"] is None


def test_only_the_newest_publication_that_counts_is_found(empty_node: MemoryNode, full_client: Client) -> None:
    """The words of an earlier revision find nothing, nor does what is withdrawn or not approved yet."""
    renamed = publication(OPEN, "AY-01", name_zh="个体工商户", name_en="Traders", abstract="")
    put(empty_node, MARKET_REGULATION, replace(renamed, revision=2))
    assert found(full_client, text="营业执照") == []
    assert found(full_client, text="工商") == [OPEN]
    put(empty_node, MARKET_REGULATION, publication("AY-01-D9", "AY-01", name_zh="新数据"))
    assert found(full_client, text="新数据") == []
    put(empty_node, GOVERNMENT_SERVICES, ApproveDataItem(id="AY-01-D9", revision=1))
    assert found(full_client, text="新数据") == ["AY-01-D9"]
    put(empty_node, MARKET_REGULATION, WithdrawDataItem(id="AY-01-D9", reason="merged"))
    assert found(full_client, text="新数据") == []


def test_texts_follow_when_the_index_is_written_again(empty_node: MemoryNode, full_client: Client) -> None:
    """From a block that differs on, the journal's texts take the place of the index's; those before it stay."""
    last = empty_node.state.height
    renamed = publication(OPEN, "AY-01", name_zh="个体工商户")
    put(empty_node, MARKET_REGULATION, replace(renamed, revision=2))
    before = content_after_close(empty_node)
    connection = sqlite3.connect(empty_node.path)
    connection.execute("UPDATE blocks SET block_id = zeroblob(32) WHERE height = ?", (last + 1,))
    connection.execute("UPDATE texts SET content = zeroblob(1) WHERE height = ?", (last + 1,))
    connection.commit()
    connection.close()
    with open_index(empty_node) as index:
        for effect in empty_node.executed:
            index.executed(effect)
        index.flush()
        hits = index.ask(queries.data_items_with, words_of("工商"), queries.Found(-1, ""))
    assert [hit.data_item for hit in hits] == [OPEN]
    assert content(empty_node.path) == before


def test_a_data_item_is_found_under_the_owner_that_it_has_now(empty_node: MemoryNode, full_client: Client) -> None:
    """A merge moves it, without anybody publishing anything."""
    assert carry_out(empty_node, Merge(predecessors=(ISSUER,), successor=HEIR, responsibilities=("AY-01",)), "R1")
    assert found(full_client, department="AY") == []
    assert set(found(full_client, department=HEIR)) == {OPEN, CONDITIONAL, CLOSED, OF_PLANNING}


def test_an_unchanged_answer_is_not_sent_again(empty_node: MemoryNode, full_client: Client) -> None:
    """Blocks that change nothing of what was found leave the ETag as it is."""
    etag = full_client.get(SEARCH).headers["etag"]
    empty_node.execute()
    assert full_client.get(SEARCH, headers={"If-None-Match": etag}).status_code == 304
    put(empty_node, MARKET_REGULATION, WithdrawDataItem(id=OPEN, reason="merged"))
    assert full_client.get(SEARCH, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"department": "ZZ"}, 404, "not_found"),
        ({"sharing": "4"}, 422, "invalid_parameter"),
        ({"sharing": "one"}, 422, "invalid_parameter"),
        ({"classification": "other"}, 422, "invalid_parameter"),
        ({"text": "x" * 101}, 422, "invalid_parameter"),
        ({"cursor": "2:AY"}, 422, "invalid_parameter"),
        ({"cursor": "0:ay'"}, 422, "invalid_parameter"),
        ({"limit": "0"}, 422, "invalid_parameter"),
        ({"limit": "201"}, 422, "invalid_parameter"),
    ],
)
def test_a_bad_search_is_a_problem_with_a_code(
    full_client: Client, query: dict[str, Any], status: int, code: str
) -> None:
    """Nothing that has no meaning is taken for a search without hits."""
    problem(full_client.get(SEARCH, params=query), status, code)


LETTERS = st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.characters(
    min_codepoint=0x4E00, max_codepoint=0x9FFF
)


@given(st.text(LETTERS, min_size=1, max_size=30), st.data())
def test_every_part_of_a_name_finds_it(name: str, data: st.DataObject) -> None:
    """Whatever a data item is called in Chinese or English, the words of any piece of its name are found in it."""
    start = data.draw(st.integers(0, len(name) - 1))
    end = data.draw(st.integers(start + 1, len(name)))
    texts = searchable(publication("AA-01-D1", "AA-01", name_zh=name))
    for word in words_of(name[start:end]):
        assert word in texts.names
        assert word in texts.content
