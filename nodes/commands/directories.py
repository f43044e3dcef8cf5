"""Which directories a command can take: that of a department's node, or of a member that has keys and no node."""

from __future__ import annotations

from pathlib import Path

from nodes.data_directory import DataDirectory
from nodes.network import GENESIS_FILE, KEYS_DIRECTORY, NETWORK_FILE, POLICY_FILE

_NAMED = 4
"""Departments of a network that a complaint names; it may have many."""


def complaint_of_node(directory: Path) -> str:
    """Return why `directory` is not that of a department's node, and what to name instead; nothing if it is.

    One that has lost a part of what a node needs is one: what is missing, the node itself says.
    """
    if DataDirectory.exists(directory):
        return ""
    if _holds_keys(directory) and not (directory / GENESIS_FILE).exists():
        return f"{directory} is of a member without a node: it has keys and nothing else"
    return complaint_of_member(directory)


def complaint_of_member(directory: Path) -> str:
    """Return why `directory` is not that of a member, be it one without a node; nothing if it is."""
    if DataDirectory.exists(directory) or _holds_keys(directory):
        return ""
    if not directory.is_dir():
        return f"there is no directory {directory}: name that of a department, as `mulu node init` made it"
    if (directory / POLICY_FILE).exists() and (directory / NETWORK_FILE).exists():
        nodes = sorted(inside for inside in directory.iterdir() if DataDirectory.exists(inside))
        named = f", such as {', '.join(map(str, nodes[:_NAMED]))}" if nodes else ""
        return f"{directory} is the directory of a whole network: name a department's in it{named}"
    return f"{directory} is no department's directory: name one that `mulu node init` made"


def _holds_keys(directory: Path) -> bool:
    return (directory / KEYS_DIRECTORY).is_dir()
