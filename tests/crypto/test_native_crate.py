"""The native core's own tests, which look at its parts: cargo runs them, from what is on this machine already."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail

CRATE = Path(__file__).parents[2] / "ledger" / "native"


@pytest.fixture
def cargo(optional_tool: Callable[[str], Path]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs cargo on the crate; skips where cargo is older than the crate, or has no crates."""
    program = optional_tool("cargo")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            cwd=CRATE,
            env=os.environ | {"CARGO_TERM_COLOR": "never"},
            capture_output=True,
            text=True,
            check=False,
        )

    version = re.search(r"\d+\.\d+", run("--version").stdout)
    needed = tomllib.loads((CRATE / "Cargo.toml").read_text(encoding="utf-8"))["package"]["rust-version"]
    if version is None or _numbers(version.group()) < _numbers(needed):
        skip_or_fail(f"needs cargo {needed}, here is {version.group() if version else 'one that does not run'}")
    # Of this platform alone: the installation fetched no others.
    host = re.search(r"^host: (\S+)$", run("--version", "--verbose").stdout, re.MULTILINE)
    fetched = run("fetch", "--offline", "--locked", *(["--target", host.group(1)] if host else []))
    if fetched.returncode != 0:
        skip_or_fail("needs the crates of Cargo.lock, which were not fetched: the native core was never built here")
    return run


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@pytest.mark.slow
def test_the_crate_passes_its_own_tests(cargo: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Without Python: arithmetic, hashing, search and caches, each against a reference. Nothing is ignored."""
    # Release mode shares what the installation has compiled.
    result = cargo("test", "--release", "--offline", "--locked", "--no-default-features", "--lib")
    assert result.returncode == 0, result.stdout + result.stderr
    counts = [tuple(map(int, found)) for found in re.findall(r"(\d+) passed; \d+ failed; (\d+) ignored", result.stdout)]
    assert sum(passed for passed, _ in counts) >= 10
    assert sum(ignored for _, ignored in counts) == 0
