"""`mulu simulate --virtual` twice: standard output and every kept file are the same bytes, whoever runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ARGUMENTS = ("simulate", "beijing", "--departments", "7", "--virtual", "--seed", "5", "--json", "--keep", "out")
RUN_S = 180

OTHER_PYTHON = "MULU_OTHER_PYTHON"
"""Path of another interpreter with the dependencies installed, for example of Python 3.13 beside 3.11."""


def run(place: Path, *, hash_seed: str, python: str = sys.executable) -> dict[str, bytes]:
    """Run the command in a new directory; return what it printed and what it kept, by name."""
    place.mkdir()
    done = subprocess.run(
        [python, "-m", "nodes.cli", *ARGUMENTS],
        cwd=place,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    kept = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert kept["out/report.json"] == done.stdout
    return {"standard output": done.stdout, **kept}


def differing(one: dict[str, bytes], two: dict[str, bytes]) -> list[str]:
    """Names of what is not the same in two runs, or only in one."""
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


@pytest.mark.slow
def test_two_runs_leave_the_same_bytes(tmp_path: Path) -> None:
    """In another directory, with another hash seed: nothing differs, and nothing of either stands in any file."""
    one, two = run(tmp_path / "one", hash_seed="1"), run(tmp_path / "another", hash_seed="2")
    assert differing(one, two) == []
    assert {"out/policy.txt", "out/report.html", "out/genesis", "out/journals/BM.frames"} < one.keys()
    assert len([name for name in one if name.startswith("out/bundles/")]) > 7
    assert [name for name, content in one.items() if str(tmp_path).encode() in content] == []


@pytest.mark.slow
def test_another_python_leaves_the_same_bytes(tmp_path: Path) -> None:
    """The interpreter named in MULU_OTHER_PYTHON gives what this one gives."""
    python = os.environ.get(OTHER_PYTHON, "")
    if shutil.which(python) is None:
        pytest.skip(f"needs another Python with the project's dependencies, named in {OTHER_PYTHON}")
    here, there = run(tmp_path / "here", hash_seed="1"), run(tmp_path / "there", hash_seed="1", python=python)
    assert differing(here, there) == []
