"""Moving data under grants from the command line, and what a department's own node knows of it."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.parse
from pathlib import Path
from typing import Any

from nodes.commands.gateway_client import ask
from nodes.commands.options import TIMEOUT_S, directory_of
from nodes.commands.output import check_new, write_output
from nodes.commands.share_words import code, moment
from nodes.commands.speaking import carry_out, check_sayable, gateway_of
from nodes.commands.tables import print_table
from nodes.exchange.control import FetchData, FindReaders, Forget, ShowReceipt
from nodes.exchange.messages import Question
from nodes.exchange.progress_bar import progress_bar
from nodes.exit_codes import ExitCode


def fetch(arguments: argparse.Namespace) -> int:
    """Fetch rows under a grant; what was cut goes on where it stopped."""
    question = Question(
        grant=arguments.grant,
        table=arguments.table or "",
        fields=tuple(arguments.field),
        selection=tuple(arguments.where),
    )
    check_sayable(question, arguments.parser)
    directory, output = directory_of(arguments), str(Path(arguments.out).absolute())
    with progress_bar(quiet=arguments.quiet) as report:
        fetched = carry_out(directory, FetchData(question=question, output=output), report)
    if arguments.json:
        told = {"grant": fetched.grant, "number": fetched.number, "rows": fetched.rows, "output": fetched.output}
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        print(f"Delivery {fetched.number} under {fetched.grant}: {fetched.rows:,} rows in {fetched.output}")
    return ExitCode.GOOD


def receipt(arguments: argparse.Namespace) -> int:
    """Write what proves a delivery to anybody with the network's policy."""
    check_new(arguments.out, arguments.parser)
    found = carry_out(directory_of(arguments), ShowReceipt(grant=arguments.grant, number=arguments.number))
    write_output(arguments.out, found.text)
    if arguments.json:
        told = {"grant": arguments.grant, "number": arguments.number, "output": str(arguments.out)}
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        print(f"The receipt of delivery {arguments.number} under {arguments.grant} is in {arguments.out}")
    return ExitCode.GOOD


def readers(arguments: argparse.Namespace) -> int:
    """Print who was delivered data about a subject. Its identifier stays on this machine."""
    subject = arguments.subject if arguments.subject != "-" else _line_of_input(arguments.parser)
    if not subject:
        arguments.parser.error("whose data? name an identifier")
    search = FindReaders(identifier=subject)
    check_sayable(search, arguments.parser)
    directory = directory_of(arguments)
    found = carry_out(directory, search)
    node = gateway_of(directory)
    # What was sealed and never stated has left nobody's hands.
    rows = [row for served in found.deliveries if (row := _reader(node, served.grant, served.number)) is not None]
    if arguments.json:
        print(json.dumps({"items": rows, "not_searched": found.not_searched}, ensure_ascii=False, indent=2))
        return ExitCode.GOOD
    if rows:
        print_table(
            ("GRANT", "NO", "TO", "DATA ITEM", "STATED", "OUTCOME", "PURPOSE"),
            [
                (
                    row["grant"],
                    str(row["number"]),
                    code(row["requester"]),
                    row["data_item"]["id"],
                    moment(row["delivered"]),
                    row["status"],
                    row["purpose"],
                )
                for row in rows
            ],
            right=("NO",),
        )
    else:
        print("No delivery that can be searched was about this subject.")
    if found.not_searched:
        print(f"Not searched, because forgotten or silent about whom they are: {found.not_searched}")
    return ExitCode.GOOD


def forget(arguments: argparse.Namespace) -> int:
    """Destroy what this node has of a delivery."""
    carry_out(directory_of(arguments), Forget(grant=arguments.grant, number=arguments.number))
    if arguments.json:
        print(json.dumps({"grant": arguments.grant, "number": arguments.number, "forgotten": True}, indent=2))
    else:
        print(f"Keys and data of delivery {arguments.number} under {arguments.grant} are gone from this node.")
    return ExitCode.GOOD


def _line_of_input(parser: argparse.ArgumentParser) -> str:
    """Return the first line of standard input, or end the command with a usage error."""
    try:
        line = sys.stdin.readline()
        # In some locales bytes that are no text come as characters that cannot be written.
        line.encode()
    except UnicodeError:
        parser.error("what comes on standard input is not a text in UTF-8")
    return line.rstrip("\r\n")


def _reader(node: str, grant: str, number: int) -> dict[str, Any] | None:
    """Return what the ledger says of a delivery, with the purpose for which it was asked; None if it says nothing."""
    named = urllib.parse.quote(grant, safe="")
    # The page that follows the delivery before it begins with this one.
    path = f"/api/v1/sharing/deliveries?grant={named}&limit=1"
    if number > 1:
        path += f"&cursor={named}/{number - 1:010d}"
    listed = ask(node, path, timeout_s=TIMEOUT_S)["items"]
    if not listed:
        return None
    (delivery,) = listed
    request = ask(node, f"/api/v1/sharing/requests/{named}", timeout_s=TIMEOUT_S)["request"]
    wanted = ("grant", "number", "status", "requester", "data_item", "rows", "delivered", "settled")
    return {**{name: delivery[name] for name in wanted}, "purpose": request["purpose"]}
