"""Tiles: each has one path, and the root, every proof and every entry follow from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.hashing import sha256
from ledger.crypto.merkle import EMPTY_ROOT, LogTree, node_hash, root_of
from ledger.errors import DecodeError, NotFoundError
from ledger.identifiers import Digest
from ledger.proofs.tiles import TILE_WIDTH, Tile, bundle_entries, parse_tile_path, tile_hashes

LEAVES = [sha256(number.to_bytes(4, "big")) for number in range(70_000)]
LOG = LogTree(LEAVES)


def tile(level: int, index: int, width: int = TILE_WIDTH) -> Tile:
    return Tile(level=level, entries=False, index=index, width=width)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("0/x001/x234/067", tile(0, 1_234_067)),
        ("0/000", tile(0, 0)),
        ("1/273.p/112", tile(1, 273, 112)),
        ("63/x999/x999/x999/x999/x999/999.p/255", tile(63, 10**18 - 1, 255)),
        ("entries/x001/000.p/1", Tile(level=0, entries=True, index=1000, width=1)),
    ],
)
def test_the_paths_of_the_specification_are_read_and_printed_again(path: str, expected: Tile) -> None:
    """Among them its example: 1234067 is x001/x234/067."""
    assert parse_tile_path(path) == expected
    assert expected.path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/",
        "00/000",
        "64/000",
        "-1/000",
        "0/0",
        "0/0000",
        "0/x000/000",
        "0/x000/x001/000",
        "0/001/000",
        "0/x001",
        "0/x001/x000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/",
        "0/000.p",
        "0/000.p/-1",
        "0/000/",
        "/0/000",
        "entry/000",
        "entries/000.p/999",
        "0/x001/x001/x001/x001/x001/x001/000",
        "0/٠٠٠",
        "0/000\n",
        "../../etc/passwd",
    ],
)
def test_another_spelling_is_no_path_of_a_tile(path: str) -> None:
    """A resource with two names would be kept twice, and absurd ones lead nowhere."""
    with pytest.raises(DecodeError):
        parse_tile_path(path)


@given(
    st.builds(
        Tile,
        level=st.just(0),
        entries=st.booleans(),
        index=st.integers(min_value=0, max_value=10**18 - 1),
        width=st.integers(min_value=1, max_value=256),
    )
)
def test_a_printed_path_is_read_again(expected: Tile) -> None:
    """Whatever the index and the width."""
    assert parse_tile_path(expected.path) == expected


@given(st.text("0123456789x/.pentris-", max_size=30))
def test_what_is_read_is_printed_the_same(text: str) -> None:
    """No two paths are one tile."""
    try:
        found = parse_tile_path(text)
    except DecodeError:
        return
    assert found.path == text


def test_a_log_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    """273 full and one of 112 on level 0; one full and one of 17 on level 1; one of width 1 on level 2; no more."""
    for present in (tile(0, 272), tile(0, 273, 112), tile(1, 0), tile(1, 1, 17), tile(2, 0, 1)):
        present.check_within(70_000)
        assert len(tile_hashes(LOG, present)) == 32 * present.width
    for absent in (tile(0, 273), tile(0, 273, 113), tile(1, 1, 18), tile(2, 0, 2), tile(3, 0, 1), tile(0, 10**17, 1)):
        with pytest.raises(NotFoundError):
            absent.check_within(70_000)


def test_a_hash_of_a_tile_is_the_root_of_a_full_tile_below() -> None:
    """Level 0 has the leaf hashes, level 1 the roots over 256 of them, level 2 those over 65,536."""
    assert tile_hashes(LOG, tile(0, 5)) == b"".join(LEAVES[5 * 256 : 6 * 256])
    assert tile_hashes(LOG, tile(1, 1, 17))[-32:] == root_of(LEAVES[272 * 256 : 273 * 256])
    assert tile_hashes(LOG, tile(2, 0, 1)) == root_of(LEAVES[:65_536])


def root_from_tiles(size: int) -> Digest:
    """Return the root that a reader computes who has nothing but tiles: the partial one of each level."""
    level, roots = 0, []
    while (complete := size >> 8 * level) > 0:
        if width := complete % 256:
            hashes = tile_hashes(LOG, tile(level, complete // 256, width))
            level_hashes = [Digest(hashes[at : at + 32]) for at in range(0, len(hashes), 32)]
            # Within a tile the largest complete subtrees come first.
            start = 0
            parts = []
            for bit in range(7, -1, -1):
                if width >> bit & 1:
                    parts.append(root_of(level_hashes[start : start + (1 << bit)]))
                    start += 1 << bit
            roots = parts + roots
        level += 1
    if not roots:
        return EMPTY_ROOT
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = node_hash(left, root)
    return root


@given(st.integers(min_value=0, max_value=70_000))
def test_the_root_of_every_size_follows_from_tiles(size: int) -> None:
    """So tools compute it themselves and compare it with the checkpoint."""
    assert root_from_tiles(size) == LOG.root(size)


def test_an_entry_stands_behind_its_length() -> None:
    """Two bytes, the higher first; the longest entry fits."""
    assert bundle_entries([b"", b"abc"]) == b"\x00\x00\x00\x03abc"
    assert bundle_entries([bytes(65_535)]) == b"\xff\xff" + bytes(65_535)
