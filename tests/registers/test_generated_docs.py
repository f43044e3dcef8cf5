"""Documents that follow from the code do not drift from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.blocks.refusals import EnvelopeRefusal
from ledger.registers import RULEBOOK
from scripts.generate_docs import DOCUMENTS, refusals

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_generated_document_is_the_one_in_the_tree(name: str) -> None:
    """Run `python scripts/generate_docs.py` after a change of the code it follows from."""
    assert (PROJECT / name).read_text(encoding="utf-8") == DOCUMENTS[name]()


def test_every_code_is_documented_once_with_cause_and_next_step() -> None:
    """Envelope codes included; a cell never breaks the table."""
    rows = [line.split(" | ") for line in refusals().splitlines() if line.startswith("| ") and "`" in line]
    assert sorted(int(row[0].removeprefix("| ")) for row in rows) == sorted(RULEBOOK.codes)
    assert all(len(row) == 4 and all(cell.strip(" |") for cell in row) for row in rows)
    assert len(EnvelopeRefusal) == sum(int(row[0].removeprefix("| ")) < 16 for row in rows)


def test_the_generator_says_whether_the_tree_is_up_to_date() -> None:
    """With --check it writes nothing and exits 0 on a tree that agrees."""
    done = subprocess.run(
        [sys.executable, "scripts/generate_docs.py", "--check"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
