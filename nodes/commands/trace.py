"""`mulu trace`: ask a node where a certificate comes from and what became of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from ledger.errors import CheckCharacterError
from ledger.registers.certificates.identifier import parse_identifier
from nodes.commands.gateway_client import ask, check_address
from nodes.exit_codes import ExitCode

DESCRIPTION = """\
Show where a certificate comes from and what became of it: responsibility, approval, type, issue, changes, each with its
block and time. The node is taken at its word; `mulu verify` on the certificate's bundle needs nobody's.
"""

EPILOG = """\
example:
  mulu trace 1.2.156.3005.2.11100000C00000016E001.11110000A00000230N.20250915001.001.T --node http://127.0.0.1:8000

exit codes: 0 found, 2 the identifier is mistyped or the command was called wrongly, 5 the ledger has no such
            certificate, 7 the node does not answer
"""

DEFAULT_NODE = "http://127.0.0.1:8000"

TIMEOUT_S_MAX = 3_600
"""Far longer than any gateway takes, and within what a socket can be told."""

TITLES = {
    "members.carry_out_reorganisation": "Passed on",
    "directories.publish_responsibility": "Responsibility published",
    "directories.approve_responsibility": "Approval",
    "directories.withdraw_responsibility": "Responsibility withdrawn",
    "certificates.define_type": "Type defined",
    "certificates.retire_type": "Type retired",
    "certificates.issue": "Issue",
    "certificates.change": "Change",
    "certificates.suspend": "Suspension",
    "certificates.lift": "Suspension lifted",
    "certificates.revoke": "End",
    "certificates.copy": "Copy drawn",
    "certificates.verify": "Verification recorded",
}
"""What the kinds of records are called here. Others are called by their tags."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "trace",
        help="show where a certificate comes from and what became of it",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("certificate", metavar="CERTIFICATE", help="identifier of the certificate (GB/T 36904)")
    parser.add_argument(
        "--node",
        type=check_address,
        default=os.environ.get("MULU_NODE", DEFAULT_NODE),
        metavar="URL",
        help=f"gateway of any node of the network (MULU_NODE, or {DEFAULT_NODE})",
    )
    parser.add_argument("--timeout", type=_timeout_s, default=10.0, metavar="SECONDS", help="how long to wait (10)")
    parser.add_argument("--json", action="store_true", help="print the node's answer as one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the trace and return the exit code."""
    try:
        parse_identifier(arguments.certificate)
    except CheckCharacterError as error:
        print(f"mulu: {error} [{error.code}]", file=sys.stderr)
        return ExitCode.USAGE
    quoted = urllib.parse.quote(arguments.certificate, safe="")
    trace = ask(arguments.node, f"/api/v1/certificates/{quoted}/trace", timeout_s=arguments.timeout)
    print(json.dumps(trace, ensure_ascii=False, indent=2) if arguments.json else "\n".join(_lines(trace)))
    return ExitCode.GOOD


def _timeout_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # Written so that what is not a number fails too.
    if not 0 < seconds <= TIMEOUT_S_MAX:
        raise argparse.ArgumentTypeError(f"not a time to wait: {text!r}; write seconds, at most {TIMEOUT_S_MAX}")
    return seconds


def _lines(trace: Mapping[str, Any]) -> Iterator[str]:
    as_of = trace["as_of"]
    yield f"Certificate     {trace['certificate']}"
    yield f"Status          {trace['status'].replace('_', ' ')}, as of block {as_of['height']} ({as_of['time']})"
    yield f"Issued by       {_department(trace['issuer'])}"
    if trace["issuer_formerly"]:
        yield f"Formerly        {trace['issuer_formerly']}"
    if trace["issuer_ended"] is not None:
        yield f"Ended           with block {trace['issuer_ended']}"
    if successor := trace["successor"]:
        yield f"Passed to       {_department(successor['department'])} (block {successor['height']})"
    yield f"Type            {trace['type']['id']} {_both(trace['type'])}"
    yield f"Responsibility  {trace['responsibility']['id']} {_both(trace['responsibility'])}"
    yield f"Term            {trace['valid_from']} to {trace['valid_until'] or 'no fixed end'}"
    for label, key in (("Replaces", "replaces"), ("Replaced by", "replaced_by")):
        if trace[key]:
            yield f"{label:<15} {trace[key]}"
    yield ""
    for step in trace["steps"]:
        title = TITLES.get(step["kind"], step["kind"]) if step["kind"] else "Deadline passed"
        by = _department(step["department"]) if step["department"] else "nobody"
        recorded = step["recorded"]
        yield f"{title:<24}  block {recorded['height']:>6}  {recorded['time']}  {by}"


def _department(department: Mapping[str, str]) -> str:
    return f"{department['code']} {_both(department)} [{department['credit_code']}]"


def _both(named: Mapping[str, str]) -> str:
    return " ".join(name for name in (named["name_en"], named["name_zh"]) if name)
