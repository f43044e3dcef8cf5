"""`mulu catalog`: look for data of other departments."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from nodes.commands.options import add_json, add_limit, add_node, list_all
from nodes.commands.tables import print_table
from nodes.exit_codes import ExitCode

SHARING = {1: "unconditional", 2: "conditional", 3: "not shared"}

_PATH = "/api/v1/catalogue/data-items"

_DESCRIPTION = """\
Look for data items by any part of their names, abstracts and fields, in Chinese or English. All words must be there;
names come before everything else. Listed are those that the directory authority has approved.
"""

_EPILOG = """\
examples:
  mulu catalog search 许可 --sharing 1
  mulu catalog search business licence --department AY --json

exit codes: 0 found or nothing found, 5 there is no such department, 7 the node does not answer
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command, its subcommand and the options."""
    parser = commands.add_parser(
        "catalog",
        help="look for data of other departments",
        description="Look for data of other departments.",
        epilog="example:\n  mulu catalog search 许可",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    search = verbs.add_parser(
        "search",
        help="find data items by their names, abstracts and fields",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    search.add_argument("text", nargs="*", metavar="TEXT", help="words; without any, all data items are listed")
    search.add_argument("--department", metavar="CODE", help="owner: its short code or credit code")
    search.add_argument(
        "--sharing", choices=("1", "2", "3"), help="1 unconditional, 2 on conditions, 3 not shared without a law"
    )
    search.add_argument("--classification", choices=("basic", "theme", "department"), help="sort of resource")
    search.add_argument("--theme", metavar="CODE", help="code within the classification")
    add_limit(search)
    add_node(search)
    add_json(search)
    search.set_defaults(run=run_search)


def run_search(arguments: argparse.Namespace) -> int:
    """Print what is found."""
    query: dict[str, object] = {
        "text": " ".join(arguments.text),
        "department": arguments.department,
        "sharing": arguments.sharing,
        "classification": arguments.classification,
        "theme": arguments.theme,
    }
    found = list_all(arguments.node, _PATH, query, arguments.limit)
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return ExitCode.GOOD
    if not found["items"]:
        print("No data item has all of this.")
        return ExitCode.GOOD
    print_table(("ID", "NAME", "OWNER", "SHARING", "MODE", "FIELDS"), [_row(item) for item in found["items"]])
    if found["more"]:
        print("There are more: narrow the search, or set --limit.")
    return ExitCode.GOOD


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    sharing = item["sharing"]
    return (
        item["id"],
        " ".join(name for name in (item["name_zh"], item["name_en"]) if name),
        item["department"]["code"] or item["department"]["credit_code"],
        SHARING[sharing["type"]],
        sharing["mode"],
        ", ".join(field["name"] for field in item["fields"]),
    )
