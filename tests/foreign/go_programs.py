"""Building the Go programs of this folder, from modules that set-up has fetched: no test reaches for the network."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent / "go"


class ModulesMissingError(Exception):
    """Go is older than `go.mod` asks for, or a module has not been fetched; `make` fetches them."""


@cache
def build(go: Path, out: Path) -> Path:
    """Build the programs into `out`, once, and return it.

    Raises:
        ModulesMissingError: They cannot be built here.
    """
    # Set-up, not a test, may fetch: modules by `GOPROXY`, and a newer Go by `GOTOOLCHAIN`.
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    if (fetched := _run(go, "mod", "download", environment=environment)).returncode:
        raise ModulesMissingError(fetched.stderr.strip())
    built = _run(go, "build", "-o", f"{out}/", "./cmd/...", environment=environment)
    assert built.returncode == 0, built.stderr
    return out


def _run(go: Path, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [go, *arguments], cwd=SOURCES, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
