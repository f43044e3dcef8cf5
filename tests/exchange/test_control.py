"""The socket by which a department's people speak to their node."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nodes.exchange import accepting
from nodes.exchange.control import ControlServer, Forget, ShowKey, command
from nodes.exchange.errors import CommandFailedError
from nodes.exchange.service import Exchange
from nodes.exchange.store import ExchangeStore


def test_a_node_that_had_no_descriptor_left_takes_commands_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends with the next closed file does not end the socket."""
    accept, failures = socket.socket.accept, [OSError(errno.EMFILE, "Too many open files")]

    def failing_once(listener: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", failing_once)
    monkeypatch.setattr(accepting, "ACCEPT_AGAIN_S", 0.0)
    server = ControlServer(tmp_path, cast(Exchange, SimpleNamespace(recipient_key=b"\x07" * 32)))
    try:
        assert command(tmp_path, ShowKey()).public == b"\x07" * 32
    finally:
        server.close()
    assert not failures


def test_a_delivery_that_never_was_is_not_forgotten(tmp_path: Path) -> None:
    """Who mistypes a grant or a number is not told that the keys are gone."""
    with contextlib.closing(ExchangeStore(tmp_path / "exchange.db")) as store:
        server = ControlServer(tmp_path, cast(Exchange, SimpleNamespace(store=store)))
        try:
            with pytest.raises(
                CommandFailedError, match="neither sent nor received a delivery 99 under AL-90"
            ) as failed:
                command(tmp_path, Forget(grant="AL-90", number=99))
        finally:
            server.close()
    assert failed.value.code == "not_found"
