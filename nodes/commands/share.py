"""`mulu share`: ask for data of other departments, answer those who ask, fetch, and see what became of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.registers.sharing.values import Mode, Rejection, RequestStatus
from nodes.commands import share_data, share_lists, share_statements, share_verify
from nodes.commands.arguments import day, department, identifier, number, remark, text
from nodes.commands.options import add_directory, add_json, add_limit, add_node
from nodes.commands.verify import time_ms

_DESCRIPTION = """\
Ask for data of other departments, answer those who ask, fetch what was granted, and see what became of it.

What a department states goes through its running node: it signs, waits until a quorum has attested to it, and says
what came of it. Lists are asked of any node.
"""

_EPILOG = """\
examples:
  mulu share request AY-01-D1 --purpose "to check permits" --rows 1000 --until 2026-12-31 --directory network/AL
  mulu share grant AL-R1 --directory network/AY
  mulu share fetch AL-R1 --out permits.csv --directory network/AL
  mulu share receipts --department AY

exit codes: 0 done, 2 the command was called wrongly, 5 there is nothing of this name, 6 refused by a rule: the code in
            brackets is that of docs/refusals.md, 7 a node does not answer, or not now
"""

_EXAMPLES = {
    "request": 'AY-01-D1 --purpose "to check permits" --rows 1000 --until 2026-12-31 --directory network/AL',
    "grant": 'AL-R1 --field "permit number" --field holder --rows 500 --directory network/AY',
    "refuse": 'AL-R1 --reason "the purpose needs no names" --directory network/AY',
    "withdraw": 'AL-R1 --reason "asked for by mistake" --directory network/AL',
    "dispute": 'AL-R1 --reason "article 12 of the rules grants it" --directory network/AL',
    "revoke": 'AL-R1 --reason "the counter was closed" --directory network/AY',
    "object": "AY-01-D1 --kind outdated --details details.txt --directory network/AL",
    "correct": 'AL-O1 --outcome corrected --reason "three rows were late" --directory network/AY',
    "fetch": "AL-R1 --out permits.csv --where district=east --directory network/AL",
    "reject": "AL-R1 2 --reason truncated --directory network/AL",
    "receipt": "AL-R1 1 --out receipt.json --directory network/AL",
    "verify": "receipt.json --policy policy.txt",
    "readers": "- --directory network/AY < name.txt",
    "forget": "AL-R1 1 --directory network/AY",
    "status": "--department AY --status awaiting-provider",
    "receipts": "--grant AL-R1",
    "breaches": "--open --department AY",
    "scores": "AY",
}
"""What stands after the name of each subcommand in the call that its help shows."""

ROWS_MAX, DELIVERY_MAX = 10**12, (1 << 31) - 1
"""As `ledger.registers.sharing.values` bounds what a record says."""

_REQUEST_HELP = "its id, as `mulu share status` prints it"
_MODES: tuple[Mode, ...] = ("database", "file", "service", "verification")
_REJECTIONS: tuple[Rejection, ...] = ("beyond-grant", "tampered", "truncated", "commitment", "schema")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command, its subcommands and their options."""
    parser = commands.add_parser(
        "share",
        help="ask for data of other departments, answer, fetch, and see what became of it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    verbs = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    _add_request(verbs)
    _add_answers(verbs)
    _add_objections(verbs)
    _add_data(verbs)
    _add_lists(verbs)


def _subcommand(verbs: Any, name: str, summary: str, description: str = "") -> argparse.ArgumentParser:
    """Return the parser of a subcommand, without arguments yet."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=description or f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  mulu share {name} {_EXAMPLES[name]}",
    )
    return parser


def _speaking(verbs: Any, name: str, summary: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """Return the parser of a subcommand that speaks for a department."""
    parser = _subcommand(verbs, name, summary)
    add_directory(parser)
    add_json(parser)
    parser.set_defaults(run=run, parser=parser)
    return parser


def _listing(verbs: Any, name: str, summary: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """Return the parser of a subcommand that asks any node."""
    parser = _subcommand(verbs, name, summary)
    add_node(parser)
    add_json(parser)
    parser.set_defaults(run=run, parser=parser)
    return parser


def _add_request(verbs: Any) -> None:
    request = _speaking(verbs, "request", "ask for fields of another department's data item", share_statements.request)
    request.add_argument(
        "data_item", type=identifier, metavar="DATA-ITEM", help="its id, as `mulu catalog search` prints it"
    )
    request.add_argument(
        "--purpose", type=text, metavar="TEXT", required=True, help="what the data is for; it never names persons"
    )
    request.add_argument(
        "--rows", type=number(1, ROWS_MAX), required=True, metavar="N", help="rows of all deliveries together"
    )
    request.add_argument("--until", type=day, required=True, metavar="DAY", help="last day of use, YYYY-MM-DD")
    request.add_argument(
        "--id", type=identifier, metavar="ID", help="of the request and its grant, never used before (made up)"
    )
    _add_fields(request, "ask for this field; may be repeated (all fields)")
    _add_conditions(request)
    request.add_argument("--basis", type=remark, default="", metavar="LAW", help="needed for what is not shared")
    request.add_argument("--mode", choices=_MODES, help="how data are handed over (as the catalogue says)")
    request.add_argument("--renews", type=identifier, metavar="GRANT", help="a grant that ends when this is granted")


def _add_answers(verbs: Any) -> None:
    grant = _speaking(verbs, "grant", "give what was asked for, or less", share_statements.grant)
    grant.add_argument("request", type=identifier, metavar="REQUEST", help=_REQUEST_HELP)
    _add_fields(grant, "grant this field; may be repeated (all that were asked for)")
    grant.add_argument(
        "--rows", type=number(1, ROWS_MAX), metavar="N", help="rows of all deliveries together (as asked for)"
    )
    grant.add_argument("--until", type=day, metavar="DAY", help="last day of use, YYYY-MM-DD (as asked for)")
    grant.add_argument("--conditions", type=remark, default="", metavar="TEXT", help="what the requester must keep to")
    for name, summary, run in (
        ("refuse", "say no to a request, and why", share_statements.refuse),
        ("withdraw", "no longer wait for an answer", share_statements.withdraw),
        ("dispute", "let the directory authority decide upon what was refused or rejected", share_statements.dispute),
        ("revoke", "end a grant", share_statements.revoke),
    ):
        parser = _speaking(verbs, name, summary, run)
        if name == "revoke":
            _add_grant(parser, "name")
        else:
            parser.add_argument("name", type=identifier, metavar="REQUEST", help=_REQUEST_HELP)
        parser.add_argument("--reason", type=text, required=True, metavar="TEXT", help="it never names persons")
        if name == "dispute":
            parser.add_argument("--objection", action="store_true", help="REQUEST is an objection that was rejected")


def _add_objections(verbs: Any) -> None:
    raising = _speaking(verbs, "object", "say that a data item is wrong", share_statements.raise_objection)
    raising.add_argument(
        "data_item", type=identifier, metavar="DATA-ITEM", help="its id, as `mulu catalog search` prints it"
    )
    raising.add_argument(
        "--kind", choices=("wrong", "incomplete", "outdated"), required=True, help="what is the matter with it"
    )
    raising.add_argument(
        "--details",
        type=Path,
        required=True,
        metavar="FILE",
        help="stays here; its digest is stated",
    )
    raising.add_argument("--id", type=identifier, metavar="ID", help="of the objection, never used before (made up)")
    answer = _speaking(verbs, "correct", "answer an objection", share_statements.answer_objection)
    answer.add_argument("objection", type=identifier, metavar="OBJECTION", help="its id, from who has raised it")
    answer.add_argument(
        "--outcome", choices=("corrected", "rejected"), required=True, help="whether the data were wrong"
    )
    answer.add_argument("--reason", type=text, required=True, metavar="TEXT", help="it never names persons")


def _add_data(verbs: Any) -> None:
    fetch = _speaking(verbs, "fetch", "fetch rows under a grant and acknowledge them", share_data.fetch)
    _add_grant(fetch)
    fetch.add_argument("--out", required=True, metavar="FILE", help="new file: .csv, .jsonl, or .db for SQLite")
    fetch.add_argument(
        "--table", type=identifier, metavar="ID", help="of the catalogue, if the data item lies in several"
    )
    _add_fields(fetch, "fetch this field; may be repeated (all that are granted)")
    _add_conditions(fetch)
    fetch.add_argument("--quiet", action="store_true", help="show no progress")
    reject = _speaking(
        verbs, "reject", "say that a delivery is not what was granted or stated", share_statements.reject
    )
    _add_grant(reject)
    _add_number(reject)
    reject.add_argument("--reason", choices=_REJECTIONS, required=True, help="what is the matter with it")
    receipt = _speaking(
        verbs, "receipt", "write the proof of an acknowledged delivery, which is checked offline", share_data.receipt
    )
    _add_grant(receipt)
    _add_number(receipt)
    receipt.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file")
    verify = _subcommand(
        verbs,
        "verify",
        "check such a proof offline, against a policy",
        "Check the proof of a delivery offline. Exit code 3: it does not hold; 4: cannot say.",
    )
    verify.add_argument("receipt", type=Path, metavar="FILE", help="as `mulu share receipt` writes it")
    verify.add_argument(
        "--policy", type=Path, required=True, metavar="POLICY", help="from somebody you trust, never with the receipt"
    )
    verify.add_argument(
        "--now", type=time_ms, metavar="TIME", help="use this time instead of the clock: 2025-10-01T09:00:00+08:00"
    )
    add_json(verify)
    verify.set_defaults(run=share_verify.verify, parser=verify)
    readers = _speaking(
        verbs,
        "readers",
        "who read data of this department about a subject, under which grant",
        share_data.readers,
    )
    readers.add_argument("subject", metavar="SUBJECT", help="its identifier, or - to read it from standard input")
    forget = _speaking(
        verbs, "forget", "destroy keys and data of a delivery; the ledger's proofs still verify", share_data.forget
    )
    _add_grant(forget)
    _add_number(forget)


def _add_lists(verbs: Any) -> None:
    status = _listing(verbs, "status", "where requests stand, or one request with its grant", share_lists.status)
    status.add_argument("request", type=identifier, nargs="?", metavar="REQUEST", help="show this one alone")
    statuses = [status.value for status in RequestStatus]
    status.add_argument("--status", choices=statuses, help="only those that stand there")
    receipts = _listing(verbs, "receipts", "deliveries with who acknowledged them, and refusals", share_lists.receipts)
    receipts.add_argument("--grant", type=identifier, metavar="GRANT", help="only those of this request and its grant")
    breaches = _listing(verbs, "breaches", "who did not do what in time", share_lists.breaches)
    breaches.add_argument("--open", action="store_true", help="only those that are not cured")
    for parser in (status, receipts, breaches):
        parser.add_argument(
            "--department", type=department, metavar="CODE", help="only those of this department, in whatever part"
        )
        parser.add_argument("--data-item", type=identifier, metavar="ID", help="only those of this data item")
        add_limit(parser)
    scores = _listing(verbs, "scores", "how departments compare, or one department's card", share_lists.scores)
    scores.add_argument("department", type=department, nargs="?", metavar="CODE", help="show the card of this one")


def _add_grant(parser: argparse.ArgumentParser, name: str = "grant") -> None:
    parser.add_argument(name, type=identifier, metavar="GRANT", help="id of the grant, which is that of its request")


def _add_number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "number", type=number(1, DELIVERY_MAX), metavar="NUMBER", help="of the delivery, from `mulu share receipts`"
    )


def _add_fields(parser: argparse.ArgumentParser, summary: str) -> None:
    parser.add_argument("--field", type=text, action="append", default=[], metavar="NAME", help=summary)


def _add_conditions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--where",
        type=share_statements.condition,
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="only rows with this value, or one of several: FIELD=VALUE,VALUE; may be repeated for other fields",
    )
