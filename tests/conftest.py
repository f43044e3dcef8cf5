"""What every test can rely on: property tests with a fixed seed, and a word about tools that are not installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from ledger.crypto.backend import installed_library
from nodes.backend import choose_backend
from tests.optional_tools import TOOLS

# No deadline: on a busy machine it is the machine that is slow, not the code. `ci` finds the same examples on every
# run; `explore` looks for new ones: HYPOTHESIS_PROFILE=explore make test.
settings.register_profile(
    "ci", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# MULU_BACKEND=python make test runs everything on the backend of a machine without cargo.
BACKEND = choose_backend()

REQUIRE_ALL = os.environ.get("MULU_REQUIRE_ALL") == "1"


def pytest_configure() -> None:
    """End a run that must leave nothing out and would leave out all tests of the native core."""
    library, problem = installed_library()
    if REQUIRE_ALL and library is None:
        pytest.exit(f"there is no native core ({problem}), and MULU_REQUIRE_ALL=1 asks for it", returncode=1)


def pytest_report_header() -> str:
    """Say before the first test what this run runs on, and which optional tools it has."""
    found = [name for name, tool in TOOLS.items() if tool.find()]
    missing = [name for name in TOOLS if name not in found]
    backend = f"validation: {BACKEND.name} ({BACKEND.reason})"
    return f"{backend}\noptional tools: {', '.join(found) or 'none'}; not installed: {', '.join(missing) or 'none'}"


@pytest.fixture(scope="session")
def optional_tool() -> Callable[[str], Path]:
    """Return a function from a name in `tests.optional_tools.TOOLS` to the path of that program.

    Where the program is missing the test is skipped and names it; with MULU_REQUIRE_ALL=1 it fails instead, so that a
    run which must leave nothing out cannot pass by skipping.
    """
    return find_or_skip


def find_or_skip(name: str, *, require_all: bool = REQUIRE_ALL) -> Path:
    """Return where the optional tool `name` is; skip or fail the running test where it is not."""
    path = TOOLS[name].find()
    if path is None:
        skip_or_fail(f"needs {name}, which is not installed (Debian package: {TOOLS[name].debian})", require_all)
    return path


def skip_or_fail(reason: str, require_all: bool = REQUIRE_ALL) -> NoReturn:
    """Skip the running test for `reason`, or fail it in a run that must leave nothing out."""
    if require_all:
        pytest.fail(f"{reason}, and MULU_REQUIRE_ALL=1 asks for it", pytrace=False)
    pytest.skip(reason)
