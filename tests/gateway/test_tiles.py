"""Every node serves its log in tiles, as C2SP has it."""

from __future__ import annotations

import pytest

from ledger.crypto.merkle import leaf_hash, root_of
from ledger.proofs.notes import parse_note
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import TYPE
from tests.proofs.small_network import MARKET_REGULATION


def entries_of(bundle: bytes) -> list[bytes]:
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    return entries


def test_entries_and_root_follow_from_what_is_served(node: MemoryNode, client: Client) -> None:
    """A reader with the checkpoint and two requests has the whole log, and knows that it is the one cosigned."""
    note = parse_note(client.get("/checkpoint").text)
    entries = entries_of(client.get(f"/tile/entries/000.p/{note.size}").content)
    hashes = client.get(f"/tile/0/000.p/{note.size}").content
    assert entries == node.entries
    assert hashes == b"".join(map(leaf_hash, entries))
    assert root_of([leaf_hash(entry) for entry in entries]) == note.root


def test_full_tiles_come_with_the_256th_entry(node: MemoryNode, client: Client) -> None:
    """Then there are full ones on level 0 and of entries, one hash on level 1, and nothing beyond the checkpoint."""
    assert client.get("/tile/0/000").status_code == 404
    node.execute(*(node.sign(MARKET_REGULATION, TYPE) for _ in range(255)))
    problem(client.get("/tile/0/000"), 404, "not_found")
    node.cosign()
    assert node.log.size > 256
    assert client.get("/tile/0/000").content == b"".join(map(leaf_hash, node.entries[:256]))
    assert entries_of(client.get("/tile/entries/000").content) == node.entries[:256]
    assert client.get("/tile/1/000.p/1").content == root_of([leaf_hash(entry) for entry in node.entries[:256]])
    rest = node.log.size - 256
    assert entries_of(client.get(f"/tile/entries/001.p/{rest}").content) == node.entries[256:]
    problem(client.get(f"/tile/entries/001.p/{rest + 1}"), 404, "not_found")


def test_tiles_may_be_kept_for_ever_and_the_checkpoint_may_not(client: Client) -> None:
    """What caches are told, and of which type it is."""
    for path in ("/tile/0/000.p/4", "/tile/entries/000.p/4"):
        response = client.get(path)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["content-type"] == "application/octet-stream"
    checkpoint = client.get("/checkpoint")
    assert checkpoint.headers["cache-control"] == "no-cache"
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"


def test_bundles_are_compressed_for_those_who_ask(node: MemoryNode, client: Client) -> None:
    """The same bytes come out."""
    plain = client.get("/tile/entries/000.p/4", headers={"Accept-Encoding": "identity"})
    packed = client.get("/tile/entries/000.p/4", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path", ["0", "0/0", "64/000", "0/000.p/256", "0/000.p/0", "0/x000/000", "x/000", "0/000/", ""]
)
def test_what_is_no_path_of_a_tile_is_a_bad_request(client: Client, path: str) -> None:
    """Absurd levels, indices and widths are not looked up."""
    problem(client.get(f"/tile/{path}"), 400, "bad_request")


@pytest.mark.parametrize("path", ["63/000", "0/x999/x999/x999/x999/x999/999", "entries/x001/000.p/255", "0/000.p/255"])
def test_a_tile_that_the_log_does_not_have_is_not_found(client: Client, path: str) -> None:
    """However far beyond its end."""
    problem(client.get(f"/tile/{path}"), 404, "not_found")


def test_nothing_is_served_before_the_first_checkpoint(empty_client: Client) -> None:
    """What no quorum has cosigned is nobody's log."""
    problem(empty_client.get("/tile/0/000.p/1"), 503, "no_checkpoint")
