"""What `mulu node status` prints: a node's own word on where it stands, from its gateway."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any

from nodes.exit_codes import ExitCode

PATH = "/api/v1/node"

TIMEOUT_S = 10
ANSWER_BYTES_MAX = 1 << 20
"""53 peers take a few kilobytes."""


class NoAnswerError(Exception):
    """The gateway did not answer, or not as one does; the message says what came instead."""


def print_status(url: str, *, as_json: bool) -> int:
    """Print the status of the node whose gateway is at `url`; return the exit code.

    Returns:
        GOOD if the node is ready to do its part, UNAVAILABLE if it is not or nobody answers.
    """
    try:
        node = ask(url)
        text = json.dumps(node, ensure_ascii=False, indent=2) if as_json else describe(node)
    except NoAnswerError as error:
        print(f"mulu: {error} [node_unavailable]", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    print(text)
    return ExitCode.GOOD if node["ready"] else ExitCode.UNAVAILABLE


def ask(url: str) -> dict[str, Any]:
    """Return what the node says of itself.

    Raises:
        NoAnswerError: Nobody answers there, or somebody who is no node.
    """
    try:
        with urllib.request.urlopen(url + PATH, timeout=TIMEOUT_S) as response:
            node = json.loads(response.read(ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        raise NoAnswerError(f"{url} answers {error.code} to {PATH}: is this the gateway of a node?") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NoAnswerError(f"no node answers at {url} ({reason}): is it running, and is this its gateway?") from error
    if not isinstance(node, dict) or not isinstance(node.get("ready"), bool):
        raise NoAnswerError(f"what answers at {url} is not the gateway of a node")
    return node


def describe(node: dict[str, Any]) -> str:
    """Return the status as lines for a person.

    Raises:
        NoAnswerError: Something a node always tells is missing.
    """
    try:
        head = node["head"]
        connected = sum(peer["connected"] for peer in node["peers"])
        department = node["department"]
        lines = [
            f"{department['code']} {department['name_en']}: {'ready' if node['ready'] else 'not ready'}",
            *(f"  {reason}" for reason in node["why_not_ready"]),
            f"network     {node['origin']} ({node['engine']}, quorum {node['quorum']} of {node['validators']})",
            f"head        block {head['height']} at {head['time']}, {node['log_size']} log entries",
            f"checkpoint  {_checkpoint(node['checkpoint_height'])}",
            f"peers       {connected} of {len(node['peers'])} connected",
        ]
        missing = [peer["code"] for peer in node["peers"] if not peer["connected"]]
    except (KeyError, TypeError) as error:
        raise NoAnswerError(f"the answer lacks what a node tells of itself ({error!r})") from error
    if missing:
        lines.append(f"missing     {', '.join(missing)}")
    return "\n".join(lines)


def _checkpoint(height: int | None) -> str:
    return "none with a quorum yet" if height is None else f"block {height}, cosigned by a quorum"
