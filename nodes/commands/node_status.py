"""What `mulu node status` prints: a node's own word on where it stands, from its gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodes.commands.gateway_client import NotAGatewayError, ask
from nodes.exit_codes import ExitCode

PATH = "/api/v1/node"

TIMEOUT_S = 10


def print_status(url: str, *, as_json: bool) -> int:
    """Print the status of the node whose gateway is at `url`; return the exit code.

    Returns:
        GOOD if the node is ready to do its part, UNAVAILABLE if it is not.

    Raises:
        NodeUnavailableError: Nobody answers there.
        NotAGatewayError: Somebody answers who is no node.
    """
    node = ask(url, PATH, timeout_s=TIMEOUT_S)
    try:
        text, ready = describe(node), bool(node["ready"])
    except (KeyError, TypeError) as error:
        raise NotAGatewayError(f"what answers at {url} tells not of itself what a node tells ({error!r})") from None
    print(json.dumps(node, ensure_ascii=False, indent=2) if as_json else text)
    return ExitCode.GOOD if ready else ExitCode.UNAVAILABLE


def describe(node: Mapping[str, Any]) -> str:
    """Return the status as lines for a person.

    Raises:
        KeyError, TypeError: Something a node always tells is missing.
    """
    head, department = node["head"], node["department"]
    missing = [peer["code"] for peer in node["peers"] if not peer["connected"]]
    lines = [
        f"{department['code']} {department['name_en']}: {'ready' if node['ready'] else 'not ready'}",
        *(f"  {reason}" for reason in node["why_not_ready"]),
        f"network     {node['origin']} ({node['engine']}, quorum {node['quorum']} of {node['validators']})",
        f"head        block {head['height']} at {head['time']}, {node['log_size']} log entries",
        f"checkpoint  {_checkpoint(node['checkpoint_height'])}",
        f"peers       {len(node['peers']) - len(missing)} of {len(node['peers'])} connected",
    ]
    if missing:
        lines.append(f"missing     {', '.join(missing)}")
    return "\n".join(lines)


def _checkpoint(height: int | None) -> str:
    return "none with a quorum yet" if height is None else f"block {height}, cosigned by a quorum"
