"""The catalogue for harvesters: DCAT in JSON-LD, whole, streamed, with identifiers that are the same everywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.registers.directories.records import WithdrawDataItem
from nodes.gateway.dcat import Listing, Offer, document
from tests.gateway.client import Client
from tests.gateway.memory_node import MemoryNode
from tests.gateway.sharing_node import CLOSED, CONDITIONAL, OF_PLANNING, OPEN, fill_catalogue, put
from tests.proofs.small_network import MARKET_REGULATION, REGISTRAR

PATH = "/catalog.jsonld"


@pytest.fixture
def catalogue(empty_node: MemoryNode, empty_client: Client) -> dict[str, Any]:
    """Return the document of a node with four data items."""
    fill_catalogue(empty_node)
    answer = empty_client.get(PATH)
    assert answer.headers["content-type"] == "application/ld+json"
    parsed: dict[str, Any] = answer.json()
    return parsed


def nodes_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all nodes of the document, datasets and distributions too."""
    top = document["@graph"]
    datasets = [dataset for node in top for dataset in node.get("dcat:dataset", ())]
    return [*top, *datasets, *(part for dataset in datasets for part in dataset["dcat:distribution"])]


def by_id(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the node of something with an id on the ledger."""
    return next(node for node in nodes_of(document) if node.get("dct:identifier") == name)


def test_a_data_item_is_a_dataset_with_its_tables(catalogue: dict[str, Any]) -> None:
    """Names in both languages, owner, cycle, theme, sharing, and a distribution for each table."""
    dataset = by_id(catalogue, OPEN)
    assert dataset["@type"] == "dcat:Dataset"
    assert dataset["dct:title"] == [
        {"@value": "营业执照", "@language": "zh"},
        {"@value": "Business licences", "@language": "en"},
    ]
    publisher = next(node for node in catalogue["@graph"] if node["@id"] == dataset["dct:publisher"])
    assert publisher["dct:identifier"] == MARKET_REGULATION.credit_code
    assert dataset["dct:accrualPeriodicity"].endswith("/frequency/DAILY")
    theme = next(node for node in catalogue["@graph"] if node["@id"] == dataset["dcat:theme"])
    assert (theme["@type"], theme["skos:notation"]) == ("skos:Concept", "11")
    (distribution,) = dataset["dcat:distribution"]
    assert (distribution["@type"], distribution["dct:identifier"]) == ("dcat:Distribution", "AY-01-T1")
    assert distribution["dcat:accessURL"] == "/api/v1/state/tables/AY-01-T1"


def test_access_rights_tell_the_public_from_departments(catalogue: dict[str, Any]) -> None:
    """Open to all, shared among departments, not shared: three codes, beside the sharing type of the catalogue."""
    rights = {name: by_id(catalogue, name)["dct:accessRights"] for name in (OPEN, CONDITIONAL, CLOSED)}
    codes = [right[0].rpartition("/")[2] for right in rights.values()]
    assert codes == ["RESTRICTED", "PUBLIC", "NON_PUBLIC"]
    assert [right[1].rpartition("/")[2] for right in rights.values()] == ["1", "2", "3"]
    assert by_id(catalogue, CLOSED)["dct:rights"]["rdfs:label"] == "for permits only"


def test_a_data_item_without_a_table_has_one_distribution_of_its_mode(catalogue: dict[str, Any]) -> None:
    """And no name in a language that it has none in."""
    dataset = by_id(catalogue, OF_PLANNING)
    assert [part["dct:title"] for part in dataset["dcat:distribution"]] == ["database"]
    assert dataset["dct:title"] == [{"@value": "用地规划", "@language": "zh"}]
    assert dataset["dct:relation"] == [by_id(catalogue, OPEN)["@id"]]


def test_every_term_has_a_namespace_and_every_reference_a_node(catalogue: dict[str, Any]) -> None:
    """No property is lost by a processor of JSON-LD, and nothing of this network is referred to without being told."""
    prefixes = {name for name in catalogue["@context"] if ":" not in name}
    told = {node["@id"] for node in nodes_of(catalogue)}
    base = next(node for node in catalogue["@graph"] if node["@type"] == "dcat:Catalog")["@id"].removesuffix(
        "catalogue"
    )
    for node in nodes_of(catalogue):
        assert {key.partition(":")[0] for key in node if not key.startswith("@")} <= prefixes
        for value in node.values():
            for reference in value if isinstance(value, list) else [value]:
                if isinstance(reference, str) and reference.startswith(base):
                    assert reference in told


def test_the_document_is_not_sent_again_while_the_catalogue_stands(
    empty_node: MemoryNode, empty_client: Client
) -> None:
    """Blocks about other things leave the ETag as it is; a withdrawal changes it, and takes the dataset away."""
    fill_catalogue(empty_node)
    etag = empty_client.get(PATH).headers["etag"]
    empty_node.execute()
    assert empty_client.get(PATH, headers={"If-None-Match": etag}).status_code == 304
    put(empty_node, MARKET_REGULATION, WithdrawDataItem(id=OPEN, reason="merged"))
    answer = empty_client.get(PATH, headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert OPEN not in [node.get("dct:identifier") for node in nodes_of(answer.json())]


def test_an_empty_catalogue_is_a_catalogue(empty_client: Client) -> None:
    """With its publisher and no dataset."""
    (catalogue,) = [node for node in empty_client.get(PATH).json()["@graph"] if node["@type"] == "dcat:Catalog"]
    assert catalogue["dcat:dataset"] == []
    assert catalogue["dct:publisher"]


def test_a_large_catalogue_comes_in_pieces_that_join(empty_node: MemoryNode) -> None:
    """A thousand datasets are never one text, whatever brackets stand in a network's name, and none is lost."""
    fill_catalogue(empty_node)
    item = empty_node.state.values[b"directories/data-item/" + OPEN.encode()]
    offers = [Offer(item, REGISTRAR.credit_code, ())] * 1_000  # type: ignore[arg-type]
    listing = Listing(
        origin="mulu.test.example/0",
        network="[] x",
        publisher=None,
        departments=(),
        offers=offers,
        modified_ms=0,
        utc_offset_hours=8,
    )
    pieces = list(document(listing))
    assert max(map(len, pieces)) < 100 * len(pieces[1]) // 64
    (catalogue,) = [node for node in json.loads("".join(pieces))["@graph"] if node["@type"] == "dcat:Catalog"]
    assert len(catalogue["dcat:dataset"]) == 1_000
