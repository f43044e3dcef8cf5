"""Building and running the Go programs of this folder, from modules that set-up has fetched: tests fetch nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from tests.conftest import skip_or_fail

SOURCES = Path(__file__).parent / "go"

Judge = Callable[[str, Iterable[dict[str, str]]], dict[str, str]]
"""From a program and cases to why each case was refused; empty where it was accepted."""


def judge_with(go: Path, folder: Path) -> Judge:
    """Return what runs the programs that take cases. Otherwise as `built`."""
    programs = built(go, folder)

    def judge(program: str, cases: Iterable[dict[str, str]]) -> dict[str, str]:
        text = json.dumps(list(cases))
        done = subprocess.run([programs / program], input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return {verdict["name"]: verdict["why"] for verdict in json.loads(done.stdout)}

    return judge


@cache
def built(go: Path, out: Path) -> Path:
    """Build the programs into `out`, once, and return it; skip the test if the modules were not fetched."""
    # Set-up, not a test, may fetch: the modules, and for an older Go the version that `go.mod` asks for.
    environment = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    if (fetched := _run(go, "mod", "download", environment=environment)).returncode:
        skip_or_fail(f"needs Go's modules, which `make` fetches: {fetched.stderr.strip()}")
    done = _run(go, "build", "-o", f"{out}/", "./cmd/...", environment=environment)
    assert done.returncode == 0, done.stderr
    return out


def _run(go: Path, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [go, *arguments], cwd=SOURCES, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
