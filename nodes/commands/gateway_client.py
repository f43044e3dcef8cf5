"""How commands ask a node: one request to its gateway, with the answers that lead to exit codes told apart."""

from __future__ import annotations

import argparse
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, NotYetError

ANSWER_BYTES_MAX = 16 << 20
"""More than any answer that a command asks for."""


class NodeUnavailableError(NotYetError):
    """The node does not answer, or not yet."""

    code = "node_unavailable"


class NotAGatewayError(LedgerError):
    """Something answered that is not the gateway of a node."""

    code = "not_a_gateway"


def ask(node: str, path: str, *, timeout_s: float) -> Any:
    """Return the JSON that the node's gateway gives for `path`.

    Args:
        node: Base address, as `check_address` returns it, for example `http://127.0.0.1:8000`.
        path: From the root, with what is variable in it quoted.

    Raises:
        NodeUnavailableError: It does not answer in time, or says that it cannot now.
        NotFoundError, InvalidInputError: The gateway's problem says so.
        NotAGatewayError: The answer is not one of a gateway.
    """
    return _parse(fetch(node, path, timeout_s=timeout_s), node + path)


def fetch(node: str, path: str, *, timeout_s: float) -> bytes:
    """Return the bytes that the node's gateway gives for `path`, whatever they are. Otherwise as `ask`."""
    return _open(urllib.request.Request(node + path), node, timeout_s)


def post(node: str, path: str, body: bytes, *, media_type: str, timeout_s: float) -> Any:
    """Return the JSON that the node's gateway answers to a body that is handed in at `path`. Otherwise as `ask`."""
    request = urllib.request.Request(node + path, data=body, headers={"Content-Type": media_type})
    return _parse(_open(request, node, timeout_s), node + path)


def _open(request: urllib.request.Request, node: str, timeout_s: float) -> bytes:
    url = request.full_url
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            body: bytes = response.read(ANSWER_BYTES_MAX)
            return body
    except urllib.error.HTTPError as error:
        with error:
            raise _error_of(error.code, _parse(error.read(ANSWER_BYTES_MAX), url), url) from None
    except (OSError, http.client.HTTPException) as error:
        # URLError is an OSError; the reason inside says more than its own text.
        reason = getattr(error, "reason", error)
        said = getattr(reason, "strerror", None) or reason
        raise NodeUnavailableError(
            f"no node answers at {node} ({said}): is it running, and is this its gateway?"
        ) from None


def check_address(text: str) -> str:
    """Return the base address of a node that a command was given.

    Raises:
        argparse.ArgumentTypeError: It names no host, or neither http nor https: `urllib` would also open files.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        # Reading a port that is none raises, as half an IPv6 address does.
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isprintable() or any(character in text for character in " ?#"):
        raise argparse.ArgumentTypeError(f"not the address of a node's gateway: {text!r}; write http://127.0.0.1:8000")
    return text.rstrip("/")


def _parse(body: bytes, url: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise NotAGatewayError(f"what {url} answers is not from the gateway of a node") from None


def _error_of(status: int, problem: Any, url: str) -> LedgerError:
    if not isinstance(problem, dict) or "code" not in problem:
        return NotAGatewayError(f"what {url} answers is not from the gateway of a node")
    sentence = f"{problem.get('detail')}; {problem.get('next_step')}"
    # The next step would be to look at these, which who reads a line cannot.
    if isinstance(entries := problem.get("errors"), list) and all(isinstance(entry, dict) for entry in entries):
        sentence = "; ".join(f"{_last(entry.get('where'))}: {entry.get('what')}" for entry in entries)
    error = _KINDS.get(status, NotAGatewayError)(sentence)
    error.code = str(problem["code"])
    return error


def _last(where: object) -> str:
    """Return the name of a parameter without the part of the request in which it stands, such as `query/`."""
    return str(where).rpartition("/")[2].replace("_", " ")


_KINDS: Mapping[int, type[LedgerError]] = {
    403: InvalidInputError,
    404: NotFoundError,
    409: InvalidInputError,
    413: InvalidInputError,
    422: InvalidInputError,
    503: NodeUnavailableError,
}
"""What a gateway's problem is to a command, by its status."""
