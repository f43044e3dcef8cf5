"""What tests of arithmetic share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.crypto.backend import installed_library, use_backend
from nodes.backend import choose_backend

LIBRARY, PROBLEM = installed_library()


# Of the module, so that property tests can use it: hypothesis would run many examples in one function's fixture.
@pytest.fixture(
    scope="module",
    params=[
        "python",
        pytest.param("native", marks=pytest.mark.skipif(LIBRARY is None, reason=f"needs the native core: {PROBLEM}")),
    ],
)
def each_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let all tests of a module run on Python's arithmetic, and again on the native core's."""
    name: str = request.param
    use_backend(name)
    yield name
    choose_backend()
