"""Places for rows that others prepared, that two fetches want, or that a file system does not lend."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodes.exchange.outputs import Output, open_output

FORMS = ["rows.db", "rows.jsonl", "rows.csv"]


def write_all(output: Output) -> None:
    """Write one row."""
    output.begin(("name",))
    output.write([("王芳",)])
    output.complete()
    output.publish()


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("how", ["link", "open file"])
def test_what_others_put_in_the_way_gets_no_row(tmp_path: Path, name: str, how: str) -> None:
    """Neither a file that they hold open or may read, nor one that a link of theirs leads to."""
    partial, elsewhere = tmp_path / f".{name}.partial", tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    if how == "link":
        partial.symlink_to(elsewhere)
    else:
        os.link(elsewhere, partial)
    elsewhere.chmod(0o666)
    write_all(open_output(tmp_path / name))
    assert elsewhere.read_text() == "theirs"
    assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["elsewhere", name]
