"""The tile reader behind Go's checksum database reads this ledger's tiles, and believes none that was changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.proofs.notes import note_for
from ledger.proofs.policy import make_policy
from ledger.proofs.tiles import TILE_WIDTH, Tile, bundle_entries, tile_hashes
from ledger.registers.directories.records import PublishResponsibility
from tests.foreign.go_programs import built
from tests.proofs.memory_ledger import ledger_with_certificate
from tests.proofs.proven_log import VALID_UNTIL
from tests.proofs.small_network import MARKET_REGULATION, found

ENTRIES = 600
"""Two full tiles on level 0, and a partial one; a partial one on level 1."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that a node serves of a log of some hundred entries."""
    folder = tmp_path_factory.mktemp("served")
    ledger = ledger_with_certificate(found())
    record = PublishResponsibility(id="AY-02", revision=1, office="", name_zh="甲", name_en="A", legal_basis="")
    while ledger.log.size < ENTRIES:
        ledger.execute(*(ledger.sign(MARKET_REGULATION, record) for _ in range(99)))
    view = ledger.view()
    size = view.checkpoint.size
    (folder / "checkpoint").write_text(note_for(view), encoding="utf-8")
    (folder / "policy").write_text(make_policy(view.validators, ledger.genesis.founders, VALID_UNTIL), encoding="utf-8")
    for level, entries in ((0, False), (1, False), (0, True)):
        complete = size >> 8 * level
        for start in range(0, complete, TILE_WIDTH):
            width = min(complete - start, TILE_WIDTH)
            tile = Tile(level=level, entries=entries, index=start // TILE_WIDTH, width=width)
            tile.check_within(size)
            path = folder / "tile" / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            found_entries = ledger.entries[start : start + width]
            path.write_bytes(bundle_entries(found_entries) if entries else tile_hashes(ledger.log, tile))
    return folder


@pytest.fixture
def read(optional_tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Return a function from a folder to how many entries were read and checked, or to why not."""
    programs = built(optional_tool("go"), tmp_path_factory.getbasetemp() / "go")

    def run(folder: Path) -> str:
        done = subprocess.run([programs / "tiles", folder], capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() if done.returncode == 0 else f"refused: {done.stderr}"

    return run


def test_every_entry_is_read_and_proven_from_tiles(served: Path, read: Callable[[Path], str]) -> None:
    """With the checkpoint, the policy's log keys and static files alone."""
    assert int(read(served)) >= ENTRIES


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/002.p/*", "tile/1/000.p/2", "tile/entries/001", "checkpoint"])
def test_a_turned_bit_anywhere_is_found(served: Path, read: Callable[[Path], str], path: str) -> None:
    """In a full tile, a partial one, one of a higher level, an entry, the checkpoint."""
    (file,) = served.glob(path)
    good = file.read_bytes()
    try:
        file.write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
        assert read(served).startswith("refused")
    finally:
        file.write_bytes(good)
