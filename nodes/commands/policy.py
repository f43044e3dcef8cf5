"""`mulu policy`: show what a policy says, and hand it to other people's tools."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.errors import DecodeError, LedgerError
from ledger.members.calendar import format_day
from ledger.proofs.policy import POLICY_BYTES_MAX
from ledger.proofs.statement import printable
from ledger.proofs.tlog_policy import TlogPolicy, parse_tlog_policy
from nodes.commands.gateway_client import check_address, fetch
from nodes.commands.output import write_output
from nodes.exit_codes import ExitCode

DESCRIPTION = """\
A policy says whose cosignatures count, and how many of them it takes. Take it from somebody you trust: what a node says
about it is worth comparing, by its hash, with what others hold.
"""

EPILOG = """\
example:
  mulu policy show out/policy.txt

A policy is of one epoch and ends with its last day. Nothing changes validators yet; when something does, records under
the old policy will lead to the new one, and a command `update` will follow them. Until then: get a new policy from whom
you got this one.
"""

SHOW_EPILOG = """\
example:
  mulu policy show out/policy.txt
"""

EXPORT_DESCRIPTION = """\
Print a network's policy, a C2SP tlog-policy. With --for-tools it names at most 32 departments, with their addresses:
some tools know no more witnesses, and `mulu proof --for-tools` asks those that are named.
"""

EXPORT_EPILOG = """\
example:
  mulu policy export http://127.0.0.1:8000 --for-tools --out tools-policy.txt

exit codes: 0 exported, 1 there is no policy at SOURCE, 5 the network is too large for a policy that names so few,
            7 the node does not answer
"""

TIMEOUT_S = 10.0


class UnreadablePolicyError(LedgerError):
    """There is no policy at the place that was named, or none that can be read."""

    code = "unreadable_policy"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "policy",
        help="show what a policy says, and hand it to other people's tools",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    show = verbs.add_parser(
        "show",
        help="say what a policy means: network, epoch, last day, quorum, departments, hash",
        description="Say what a policy means. Two people who see the same SHA-256 hold the same policy.",
        epilog=SHOW_EPILOG,
    )
    show.add_argument("source", metavar="SOURCE", help="a file, the directory of a network, or a gateway's address")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(run=run_show)
    export = verbs.add_parser(
        "export",
        help="print a network's policy, a C2SP tlog-policy",
        description=EXPORT_DESCRIPTION,
        epilog=EXPORT_EPILOG,
    )
    export.add_argument("source", metavar="SOURCE", help="the directory of a network, or a gateway's address")
    export.add_argument(
        "--for-tools",
        action="store_true",
        help="name at most 32 departments, with their addresses, for tools that know no more witnesses",
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to standard output")
    export.set_defaults(run=run_export)


def run_show(arguments: argparse.Namespace) -> int:
    """Print what the policy means and return the exit code."""
    data, policy = _read(arguments.source)
    shown = _as_json(policy, data, now_ms=time.time_ns() // 1_000_000)
    if arguments.json:
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        print("\n".join(map(printable, _lines(shown))))
    return ExitCode.GOOD


def run_export(arguments: argparse.Namespace) -> int:
    """Print the policy, or write it to a file, and return the exit code."""
    data, _ = _read(arguments.source, for_tools=arguments.for_tools)
    if _is_address(arguments.source):
        digest = hashlib.sha256(data).hexdigest()
        print(f"mulu: this is what the node says; compare SHA-256 {digest} with whom you trust", file=sys.stderr)
    if arguments.out is None:
        sys.stdout.write(data.decode())
    else:
        write_output(arguments.out, data)
    return ExitCode.GOOD


def _read(source: str, *, for_tools: bool = False) -> tuple[bytes, TlogPolicy]:
    """Return a policy from a file, a network's directory or a node: its bytes, and what they say.

    Raises:
        UnreadablePolicyError: There is none.
        NoToolsPolicyError: The network is too large for one that is meant for tools.
        NodeUnavailableError: The node does not answer.
    """
    data = _fetch(source, for_tools=for_tools)
    return data, _parse(data, source)


def read_policy(path: Path) -> TlogPolicy:
    """Return the policy in a file.

    Raises:
        UnreadablePolicyError: There is none.
    """
    return _parse(_read_file(path), str(path))


def _parse(data: bytes, source: str) -> TlogPolicy:
    try:
        return parse_tlog_policy(data)
    except DecodeError as error:
        raise UnreadablePolicyError(f"{source} is no policy: {error}") from error


def _fetch(source: str, *, for_tools: bool) -> bytes:
    if _is_address(source):
        try:
            address = check_address(source)
        except argparse.ArgumentTypeError as error:
            raise UnreadablePolicyError(str(error)) from error
        return fetch(address, "/policy/tools" if for_tools else "/policy", timeout_s=TIMEOUT_S)
    path = Path(source)
    if path.is_dir():
        # Imported here, because reading a file needs nothing of a network's.
        from nodes.network import NetworkFileError, load_network, policy_of, tools_policy_of

        try:
            network = load_network(path)
        except NetworkFileError as error:
            raise UnreadablePolicyError(f"{path} is not the directory of a network: {error}") from error
        text = tools_policy_of(network) if for_tools else policy_of(network.genesis, network.validators)
        return text.encode()
    if for_tools:
        raise UnreadablePolicyError(
            f"{path} is a file and does not say where departments are asked: name a network's directory or a node"
        )
    return _read_file(path)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(POLICY_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadablePolicyError(f"the policy {path} cannot be read: {reason}") from None


def _is_address(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _as_json(policy: TlogPolicy, data: bytes, *, now_ms: int) -> dict[str, Any]:
    terms = policy.terms
    group = policy.groups.get(policy.quorum)
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "origins": sorted({name for name, _ in policy.logs}),
        "chain": terms.chain.hex() if terms else None,
        "epoch": terms.epoch if terms else None,
        "valid_until": format_day(terms.valid_until) if terms else None,
        "usable": terms.unusable_at(now_ms) is None if terms else None,
        "quorum": group.threshold if group else None,
        "rule": policy.rule(),
        "logs": len(policy.logs),
        "witnesses": [
            {
                "name": witness.name,
                "department": terms.name_of(witness.name) if terms else None,
                "key_name": witness.key_name,
                "url": witness.url or None,
            }
            for witness in policy.witnesses.values()
        ],
    }


def _lines(shown: dict[str, Any]) -> Iterator[str]:
    yield f"SHA-256      {shown['sha256']}"
    for origin in shown["origins"]:
        yield f"Log          {origin}"
    if shown["chain"] is not None:
        yield f"Chain        {shown['chain']}"
        yield f"Epoch        {shown['epoch']}"
        past = "" if shown["usable"] else ", which is past: get a newer one"
        yield f"Valid until  {shown['valid_until']}{past}"
    yield f"Quorum       {shown['rule']}"
    for witness in shown["witnesses"]:
        address = f", {witness['url']}" if witness["url"] else ""
        yield f"  - {witness['department'] or witness['key_name']}{address}"
