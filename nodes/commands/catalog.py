"""`mulu catalog`: look for data of other departments, and put one's own into the catalogue."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from nodes.commands.arguments import department, identifier, text
from nodes.commands.options import add_directory, add_json, add_limit, add_node, list_all
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

exit codes: 0 found, or nothing found; 5 there is no such department; 7 the node does not answer
"""


_PUBLISH_DESCRIPTION = """\
Publish what FILE says a department holds: a responsibility, a data item that comes of it, the table where it lies; its
columns are read from the database that the node is bound to. What is on the ledger in these words already is left
alone, and where an approval is waited for, the command ends; called again, it goes on. docs/sharing.md has an example.
"""

_APPROVE_DESCRIPTION = """\
Approve the newest revision of a responsibility, as the registrar, or of a data item, as the directory authority. A
member without a node signs with the keys in its directory, and hands in at --node.
"""


_EXIT_CODES = """\
exit codes: 0 done, or an approval is waited for, 1 a file cannot be read, 2 the command was called wrongly, or FILE
            says nothing that can be published, 5 there is nothing of this name, 6 refused by a rule: the code in
            brackets is that of docs/refusals.md, 7 a node does not answer, or not now
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command, its subcommand and the options."""
    parser = commands.add_parser(
        "catalog",
        help="look for data of other departments, and publish one's own",
        description="Look for data of other departments, and put one's own into the catalogue.",
        epilog="example:\n  mulu catalog search 许可",
    )
    verbs = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    search = verbs.add_parser(
        "search",
        help="find data items by their names, abstracts and fields",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    search.add_argument("text", nargs="*", metavar="TEXT", help="words; without any, all data items are listed")
    search.add_argument("--department", type=department, metavar="CODE", help="owner: its short code or credit code")
    search.add_argument(
        "--sharing", choices=("1", "2", "3"), help="1 unconditional, 2 on conditions, 3 not shared without a law"
    )
    search.add_argument("--classification", choices=("basic", "theme", "department"), help="kind of resource")
    search.add_argument("--theme", type=text, metavar="CODE", help="code within the classification")
    add_limit(search)
    add_node(search)
    add_json(search)
    search.set_defaults(run=run_search)
    publish = _speaking(verbs, "publish", "put what a file says into the catalogue, as far as it is approved")
    publish.description = _PUBLISH_DESCRIPTION
    publish.epilog = f"example:\n  mulu catalog publish permits.toml --directory network/AY\n\n{_EXIT_CODES}"
    publish.add_argument("file", type=Path, metavar="FILE", help="responsibility, data item and table, in TOML")
    publish.set_defaults(run=lambda arguments: publishing().publish(arguments), parser=publish)
    approve = _speaking(verbs, "approve", "approve the newest revision of a responsibility or a data item")
    approve.description = _APPROVE_DESCRIPTION
    approve.epilog = f"example:\n  mulu catalog approve AY-90 --directory network/X1\n\n{_EXIT_CODES}"
    approve.add_argument("id", type=identifier, metavar="ID", help="of the responsibility or the data item")
    approve.set_defaults(run=lambda arguments: publishing().approve(arguments), parser=approve)


def publishing() -> ModuleType:
    """Return the module that publishes; whoever only looks for data does without what it needs."""
    return importlib.import_module("nodes.commands.publishing")


def _speaking(verbs: Any, name: str, summary: str) -> argparse.ArgumentParser:
    """Return the parser of a subcommand that speaks for a member, be it one without a node."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary)
    add_directory(parser)
    add_node(parser)
    return parser


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
