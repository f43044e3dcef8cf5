"""`mulu node`: prepare the directories of a network, run one department's node, ask a running one how it is."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import ipaddress
import re
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from ledger.limits import VALIDATORS_MAX
from nodes.commands.arguments import number
from nodes.exit_codes import ExitCode

CITIES = {"beijing": "scenarios.beijing.city_files"}
"""Where a network's members come from, as modules with `load_city()`: by name, because nodes know no scenario."""

LOOPBACK = "127.0.0.1"

PORT_MAX = 65_535

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")


class _Subcommand(NamedTuple):
    summary: str
    description: str
    example: str


_INIT = _Subcommand(
    "make the directories of a new network",
    """\
Make the keys of every department, the genesis that names the network, and the policy that a verifier trusts.
Each department with a vote gets a directory that is all its node needs: take it to the machine where it will run.
Without --host-template all nodes are on this machine, on consecutive ports. DIR must not exist, or be empty.""",
    """\
examples:
  mulu node init --departments 4 --out network
  mulu node init --departments 4 --out network --host-template '{code}.ledger.example' --listen 0.0.0.0""",
)
_RUN = _Subcommand(
    "run the node in a directory",
    """\
Run one department's node until SIGTERM or Ctrl-C. It listens where network.json says, and logs to standard error.""",
    """\
example:
  mulu node run network/BM --log-level INFO

exit codes: 0 it was told to stop, 1 it cannot start or go on: the last line says why, 2 DIR is not that of a node""",
)
_STATUS = _Subcommand(
    "ask a running node how it is",
    """\
Ask the gateway of a node where it stands. Exit code 0 if the node is ready to do its part, 7 if it is not or does not
answer.""",
    """\
example:
  mulu node status http://127.0.0.1:8000""",
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command, its subcommands and their options."""
    parser = commands.add_parser(
        "node",
        help="prepare, run and ask the node of a department",
        description="Prepare the directories of a network, run one department's node, or ask a running one how it is.",
        epilog="example:\n  mulu node init --departments 4 --out network && mulu node run network/BM",
    )
    verbs = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    _add_init(_add(verbs, "init", _INIT))
    _add_run(_add(verbs, "run", _RUN))
    _add_status(_add(verbs, "status", _STATUS))


def _add(verbs: Any, name: str, subcommand: _Subcommand) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=subcommand.summary,
        description=subcommand.description,
        epilog=subcommand.example,
    )
    return parser


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--departments",
        type=number(1, VALIDATORS_MAX),
        required=True,
        metavar="N",
        help="nodes: the first N of the city by rank, 1 to 53",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory to make")
    parser.add_argument("--city", choices=sorted(CITIES), default="beijing", help="whose departments (beijing)")
    parser.add_argument("--name", type=_network_name, metavar="NAME", help="name of the network (mulu.CITY.example)")
    parser.add_argument(
        "--host-template",
        type=_host_template,
        metavar="TEMPLATE",
        help="host of each node; {code} is the department's short code in lower case",
    )
    parser.add_argument(
        "--peer-port", type=_port, default=7000, metavar="PORT", help="where nodes listen to each other (7000)"
    )
    parser.add_argument(
        "--gateway-port", type=_port, default=8000, metavar="PORT", help="where applications are answered (8000)"
    )
    parser.add_argument(
        "--exchange-port", type=_port, default=9000, metavar="PORT", help="where data under grants is fetched (9000)"
    )
    parser.add_argument("--listen", type=_address, metavar="ADDRESS", help="address that every node binds (its host's)")
    parser.add_argument(
        "--seed", metavar="TEXT", help="make the same signing keys each time, for trials: who knows TEXT has the keys"
    )
    parser.set_defaults(run=init, parser=parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the node's directory, as `mulu node init` made it")
    parser.add_argument("--listen", type=_address, metavar="ADDRESS", help="address to bind instead")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="INFO", help="least severity that is logged (INFO)")
    parser.set_defaults(run=run, parser=parser)


def _add_status(parser: argparse.ArgumentParser) -> None:
    from nodes.commands.gateway_client import check_address

    parser.add_argument(
        "url", type=check_address, metavar="URL", help="the node's gateway, for example http://127.0.0.1:8000"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    parser.set_defaults(run=status)


def init(arguments: argparse.Namespace) -> int:
    """Make the network's directories and say what to do next."""
    from ledger.blocks.genesis import CalendarDay
    from nodes.network import NodeAddress, default_parameters, prepare_network

    city = importlib.import_module(CITIES[arguments.city]).load_city()
    try:
        city = city.first(arguments.departments)
    except ValueError as error:
        arguments.parser.error(f"argument --departments: {error}")
    nodes, hosted_apart = city.validators, arguments.host_template is not None
    ports = {
        "--peer-port": arguments.peer_port,
        "--gateway-port": arguments.gateway_port,
        "--exchange-port": arguments.exchange_port,
    }
    if not hosted_apart and (reason := _ports_collide(ports, len(nodes))):
        arguments.parser.error(reason)
    addresses = {}
    for position, row in enumerate(nodes):
        # On hosts of their own all nodes use the same ports; on one host each needs the next.
        offset = 0 if hosted_apart else position
        addresses[row.uscc] = NodeAddress(
            host=arguments.host_template.format(code=row.code.lower()) if hosted_apart else LOOPBACK,
            peer_port=arguments.peer_port + offset,
            gateway_port=arguments.gateway_port + offset,
            listen=arguments.listen or "",
            exchange_port=arguments.exchange_port + offset,
        )
    prepared = prepare_network(
        arguments.out,
        name=arguments.name or f"mulu.{arguments.city}.example",
        members=[row.profile for row in city.departments],
        addresses=addresses,
        parameters=default_parameters(len(addresses), utc_offset_hours=city.workload.utc_offset_hours),
        calendar=[CalendarDay(date=row.date, working=row.working) for row in city.calendar_days],
        now=datetime.now(UTC),
        # A seed in words for people; the keys hang from its hash.
        seed=None if arguments.seed is None else hashlib.sha256(arguments.seed.encode()).digest(),
    )
    network = prepared.network
    print(f"network {network.genesis.origin}: {len(network.nodes)} nodes, {len(city.members)} members without a vote")
    for entry in network.nodes.values():
        print(f"  mulu node run {arguments.out / entry.code}    # {entry.address.gateway_url}")
    return ExitCode.GOOD


def run(arguments: argparse.Namespace) -> int:
    """Run the node until it is told to stop."""
    from nodes.commands.directories import complaint_of_node
    from nodes.process import NodeOptions, run_node

    if complaint := complaint_of_node(arguments.directory):
        arguments.parser.error(f"argument DIR: {complaint}")
    return run_node(
        arguments.directory.resolve(),
        options=NodeOptions(listen=arguments.listen or "", log_level=arguments.log_level),
    )


def status(arguments: argparse.Namespace) -> int:
    """Print what the node says of itself."""
    from nodes.commands.node_status import print_status

    return print_status(arguments.url, as_json=arguments.json)


def _ports_collide(ports: Mapping[str, int], nodes: int) -> str:
    """Return why `nodes` consecutive ports from each of these do not fit on one host, or nothing if they do."""
    for (name, port), (other, other_port) in combinations(ports.items(), 2):
        if abs(port - other_port) < nodes:
            return (
                f"{name} {port} and {other} {other_port} overlap for {nodes} nodes on one host: "
                f"set them at least {nodes} apart"
            )
    if (last := max(ports.values()) + nodes - 1) > PORT_MAX:
        return f"{nodes} nodes on one host would need port {last}; {PORT_MAX} is the last"
    return ""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"not a port: {text!r}; write a number from 1 to {PORT_MAX}")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"not an address to bind: {text!r}; write 127.0.0.1 or 0.0.0.0") from None


def _network_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"not a network's name: {text!r}; use 0-9, a-z, dots and hyphens")
    return text


def _host_template(text: str) -> str:
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError:
        fields = []
    if fields != ["code"]:
        raise argparse.ArgumentTypeError(f"{text!r} does not hold {{code}} exactly once, as in {{code}}.ledger.example")
    return text
