"""The native core is optional at install: built where it can be, left out with a reason where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
EXTENSION = "ledger/_native.abi3.so"
STALE = b"of an earlier build"

WORKING_CARGO = """\
#!/bin/sh
mkdir -p target/release
echo "built by cargo $*" > target/release/libledger_native.so
"""
NO_REGISTRY = """\
#!/bin/sh
echo "error: failed to get 'sha2' as a dependency: could not connect to the registry" >&2
exit 101
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the same metadata and hook, with next to nothing in its packages."""
    root = tmp_path / "project"
    for package in ("ledger", "nodes", "scenarios"):
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").touch()
    (root / "ledger" / "native").mkdir()
    (root / "scripts").mkdir()
    for file in ("pyproject.toml", "LICENSE", ".gitignore", "scripts/build_native.py"):
        shutil.copy(PROJECT / file, root / file)
    (root / "README.md").touch()
    (root / EXTENSION).write_bytes(STALE)
    return root


def install(project: Path, hook: str, *, cargo: str | None, unwanted: bool = False) -> tuple[zipfile.ZipFile, str]:
    """Build as an installer does; return the wheel, and what was said.

    Args:
        hook: `build_wheel` or `build_editable` (PEP 517, PEP 660).
        cargo: The program that is found under this name; None for none.
    """
    tools, built = project.parent / "tools", project.parent / "built"
    tools.mkdir()
    if cargo is not None:
        (tools / "cargo").write_text(cargo)
        (tools / "cargo").chmod(0o755)
        for needed in ("sh", "mkdir"):
            (tools / needed).symlink_to(shutil.which(needed) or pytest.fail(f"no {needed}"))
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    environment |= {"PATH": str(tools)} | ({"MULU_BUILD_NATIVE": "0"} if unwanted else {})
    program = f"from hatchling import build; build.{hook}({str(built)!r})"
    built.mkdir()
    run = subprocess.run([sys.executable, "-c", program], cwd=project, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (wheel,) = built.glob("*.whl")
    return zipfile.ZipFile(wheel), run.stdout + run.stderr


def tag_of(wheel: zipfile.ZipFile) -> str:
    assert wheel.filename is not None
    return Path(wheel.filename).stem.split("-", 2)[2]


def test_with_cargo_a_wheel_carries_the_library(project: Path) -> None:
    """Built from the locked versions, in release mode, for every Python from 3.11 on and for this platform alone."""
    wheel, said = install(project, "build_wheel", cargo=WORKING_CARGO)
    assert wheel.read(EXTENSION) == b"built by cargo build --release --locked\n"
    assert tag_of(wheel).startswith("cp311-abi3-")
    assert "any" not in tag_of(wheel)
    assert "with the native core" in said


def test_with_cargo_an_editable_installation_gets_the_library_beside_the_sources(project: Path) -> None:
    """It replaces the one of an earlier build."""
    install(project, "build_editable", cargo=WORKING_CARGO)
    assert (project / EXTENSION).read_bytes().startswith(b"built by cargo")


@pytest.mark.parametrize("hook", ["build_wheel", "build_editable"])
@pytest.mark.parametrize(
    ("cargo", "unwanted", "reason"),
    [
        (None, False, "there is no cargo on the PATH"),
        (NO_REGISTRY, False, "could not connect to the registry"),
        (WORKING_CARGO.replace("libledger_native.so", "other.so"), False, "cargo left no library"),
        ("this is no program", False, "cargo did not finish"),
        (WORKING_CARGO, True, "MULU_BUILD_NATIVE=0 leaves it out"),
    ],
    ids=["no cargo", "no registry", "no library", "no program", "unwanted"],
)
def test_without_a_library_the_installation_succeeds_and_says_why(
    project: Path, hook: str, cargo: str | None, unwanted: bool, reason: str
) -> None:
    """Pure Python, for any platform; nothing of an earlier build is left where Python would find it."""
    wheel, said = install(project, hook, cargo=cargo, unwanted=unwanted)
    assert EXTENSION not in wheel.namelist()
    assert tag_of(wheel) == "py3-none-any"
    assert reason in said
    assert "pure Python" in said
    assert (project / EXTENSION).exists() == (hook == "build_wheel")
