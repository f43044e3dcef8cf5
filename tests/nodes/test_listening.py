"""What a node says when it cannot listen where its network's file says."""

from __future__ import annotations

import socket

import pytest

from nodes.process import PortInUseError, bind


def test_a_port_that_is_taken_is_named() -> None:
    """Whoever listens there must stop, or the node go elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{port}: Address already in use; stop who listens"):
            bind("127.0.0.1", port, "peers")


def test_an_address_of_another_machine_is_nobodys_fault_who_listens() -> None:
    """The addresses of RFC 5737 are no machine's; another port would not help."""
    with pytest.raises(PortInUseError, match="this machine has no such address: name one of its own with --listen"):
        bind("192.0.2.1", 0, "peers")
