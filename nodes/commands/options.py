"""Options that several commands have, and the lists that they read from a gateway."""

from __future__ import annotations

import argparse
import os
import urllib.parse
from pathlib import Path
from typing import Any

from nodes.commands.arguments import number
from nodes.commands.gateway_client import NotAGatewayError, ask, check_address

VARIABLE = "MULU_DIRECTORY"
DEFAULT_NODE = "http://127.0.0.1:8000"

TIMEOUT_S = 30.0
"""How long a gateway may take for an answer: a few milliseconds, but for a busy node that catches up."""

LISTED, LISTED_MAX = 50, 1_000_000
"""Items of a list if nothing else is asked for, and at most: what is more is not read, and not held in memory."""
PAGE_MAX = 200


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Let a command be told for which department it speaks."""
    parser.add_argument(
        "--directory",
        type=Path,
        default=os.environ.get(VARIABLE),
        metavar="DIR",
        help=f"directory of the department's running node, for example network/AY ({VARIABLE})",
    )


def directory_of(arguments: argparse.Namespace, *, of_member: bool = False) -> Path:
    """Return the directory of the node that is spoken through; ends the command with a usage error if none is given.

    Args:
        of_member: Whether that of a member without a node will do.
    """
    # Imported here, because it knows the files of networks, and what only asks needs none of them.
    from nodes.commands.directories import complaint_of_member, complaint_of_node

    if arguments.directory is None:
        arguments.parser.error(f"for which department? give --directory, or set {VARIABLE}")
    directory = Path(arguments.directory)
    if complaint := (complaint_of_member if of_member else complaint_of_node)(directory):
        arguments.parser.error(f"argument --directory: {complaint}")
    return directory


def add_node(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which node it asks."""
    parser.add_argument(
        "--node",
        type=check_address,
        default=os.environ.get("MULU_NODE", DEFAULT_NODE),
        metavar="URL",
        help=f"gateway of any node of the network (MULU_NODE, or {DEFAULT_NODE})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command print what programs read."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Let a command that lists be told how much."""
    parser.add_argument(
        "--limit", type=number(1, LISTED_MAX), default=LISTED, metavar="N", help=f"list at most N ({LISTED})"
    )


def list_all(node: str, path: str, query: dict[str, object], limit: int) -> dict[str, Any]:
    """Return up to `limit` items of a list that the gateway gives in pages.

    Args:
        query: Parameters; those that are None or empty are left out.

    Returns:
        `items`, `as_of`, and `more`: whether there are others.

    Raises:
        LedgerError: As `gateway_client.ask`.
    """
    wanted = {name: value for name, value in query.items() if value not in (None, "")}
    following: str | None = f"{path}?{urllib.parse.urlencode({**wanted, 'limit': min(limit, PAGE_MAX)})}"
    listed: dict[str, Any] = {"items": [], "as_of": None, "more": False}
    while following is not None and len(listed["items"]) < limit:
        page = ask(node, following, timeout_s=TIMEOUT_S)
        try:
            listed["items"] += page["items"]
            listed["as_of"], following = page["as_of"], page["next"]
        except (KeyError, TypeError) as error:
            raise NotAGatewayError(f"what {node} answers is no list of a gateway ({error!r})") from None
    listed["more"] = following is not None or len(listed["items"]) > limit
    del listed["items"][limit:]
    return listed
