"""What the exchange of a node does beside serving: clearing up what is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nodes.exchange import service
from nodes.exchange.service import Exchange


@pytest.mark.parametrize("failing", ["settled", "released", "settled here"])
def test_what_cannot_be_cleared_up_keeps_nothing_else_open(
    failing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that cannot be removed must not leave a database open to a grant that has ended."""
    done: list[str] = []
    progress = SimpleNamespace(closed=False)

    def clear(what: str) -> None:
        done.append(what)
        progress.closed = len(done) == 3
        if what == failing:
            raise PermissionError("not allowed")

    exchange = SimpleNamespace(
        _node=SimpleNamespace(progress=progress),
        provider=SimpleNamespace(settle=lambda: clear("settled"), release=lambda: clear("released")),
        requester=SimpleNamespace(settle=lambda: clear("settled here")),
    )
    monkeypatch.setattr(service, "SETTLE_S", 0.0)
    asyncio.run(asyncio.wait_for(Exchange._keep_settling(cast(Any, exchange)), 10))
    assert done == ["settled", "released", "settled here"]
    assert "could not be cleared up" in caplog.text
