"""Heads of requests that are refused before anything reads them, over a socket and byte by byte."""

from __future__ import annotations

import re
import socket
import urllib.parse
from collections.abc import Iterator

import pytest

from nodes.gateway.problems import HEAD_BYTES_MAX
from tests.gateway.memory_node import MemoryNode
from tests.gateway.served import served

ENVELOPE = b"POST /api/v1/envelopes HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/vnd.mulu.envelope\r\n"
READ = b"GET /livez HTTP/1.1\r\nHost: gateway.test\r\n"
SMUGGLED = b"GET /api/v1/node HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


@pytest.fixture
def address(node: MemoryNode) -> Iterator[tuple[str, int]]:
    """Where a gateway is served."""
    with served(node) as url:
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        yield parts.hostname, parts.port


def answers(address: tuple[str, int], sent: bytes) -> list[tuple[int, str]]:
    """Return status and code of what the gateway answers until it ends the connection."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        received = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()
    return [
        (int(status), code)
        for status, code in re.findall(r'HTTP/1\.1 (\d{3}) (?:(?!HTTP/1).)*?"code":"(\w+)"', received, re.S)
    ]


@pytest.mark.parametrize("length", [b"Content-Length: 4", b"content-length: 5"])
def test_a_request_has_one_length(address: tuple[str, int], length: bytes) -> None:
    """Where a proxy and the gateway could see different ends, nothing after the head is read as a request."""
    both = ENVELOPE + length + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert answers(address, both + SMUGGLED) == [(400, "two_lengths")]


@pytest.mark.parametrize(
    "head",
    [
        READ + b"X-Long: " + b"a" * HEAD_BYTES_MAX + b"\r\n",
        READ + b"X: a\r\n" * HEAD_BYTES_MAX,
        b"GET /livez?" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\nHost: gateway.test\r\n",
        b"GET /api/v1/state/requests/" + b"A" * HEAD_BYTES_MAX + b" HTTP/1.1\r\nHost: gateway.test\r\n",
    ],
    ids=["a header", "headers", "a query", "a path"],
)
def test_a_head_has_a_bound(address: tuple[str, int], head: bytes) -> None:
    """Whatever makes it long, the answer says so and ends the connection."""
    assert answers(address, head + b"\r\n" + SMUGGLED) == [(431, "head_too_large")]


def test_a_head_within_the_bounds_is_read(address: tuple[str, int]) -> None:
    """And one length, of whichever kind, is as good as the other."""
    long = ENVELOPE + b"X-Long: " + b"a" * (HEAD_BYTES_MAX - 200) + b"\r\nContent-Length: 1\r\n\r\nA"
    chunked = ENVELOPE + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nA\r\n0\r\n\r\n"
    assert answers(address, long + chunked) == [(422, "not_canonical")] * 2
