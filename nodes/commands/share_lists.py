"""What any node tells of sharing, as tables."""

from __future__ import annotations

import argparse
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from nodes.commands.gateway_client import ask
from nodes.commands.options import TIMEOUT_S, list_all
from nodes.commands.share_words import both, case_lines, code, department, moment, waiting
from nodes.commands.tables import labelled_lines, print_table
from nodes.exit_codes import ExitCode

_PATH = "/api/v1/sharing"


def status(arguments: argparse.Namespace) -> int:
    """Print where requests stand."""
    if arguments.request is not None:
        path = f"{_PATH}/requests/{urllib.parse.quote(arguments.request, safe='')}"
        case = ask(arguments.node, path, timeout_s=TIMEOUT_S)
        print(_json(case) if arguments.json else "\n".join(case_lines(case)))
        return ExitCode.GOOD
    query = {"status": arguments.status, "department": arguments.department, "data_item": arguments.data_item}
    return _list(
        arguments,
        "requests",
        query,
        ("REQUEST", "STATUS", "FROM", "TO", "DATA ITEM", "NAME", "ROWS", "WAITS FOR"),
        lambda item: (
            item["id"],
            item["status"],
            code(item["provider"]),
            code(item["requester"]),
            item["data_item"]["id"],
            both(item["data_item"]),
            f"{item['volume_max']:,}",
            waiting(item["duty"]),
        ),
    )


def receipts(arguments: argparse.Namespace) -> int:
    """Print deliveries with their acknowledgements, and refusals."""
    query = {"grant": arguments.grant, "department": arguments.department, "data_item": arguments.data_item}
    return _list(
        arguments,
        "receipts",
        query,
        ("GRANT", "NO", "OUTCOME", "FROM", "TO", "DATA ITEM", "ROWS", "STATED", "SETTLED", "LOG ENTRIES"),
        _receipt_row,
    )


def breaches(arguments: argparse.Namespace) -> int:
    """Print who was late with what."""
    query = {
        "open": "true" if arguments.open else None,
        "department": arguments.department,
        "data_item": arguments.data_item,
    }
    return _list(
        arguments,
        "breaches",
        query,
        ("DUE", "LATE", "WITH", "OF", "STAGE", "DATA ITEM", "BLOCK", "CURED"),
        lambda item: (
            item["due"][:10],
            code(item["late"]),
            item["duty"],
            item["id"],
            str(item["stage"]),
            item["data_item"]["id"],
            str(item["recorded"]["height"]),
            moment(item["cured"]),
        ),
    )


def scores(arguments: argparse.Namespace) -> int:
    """Print the league table, or one card."""
    if arguments.department is not None:
        path = f"{_PATH}/scores/{urllib.parse.quote(arguments.department, safe='')}"
        card = ask(arguments.node, path, timeout_s=TIMEOUT_S)
        print(_json(card) if arguments.json else "\n".join(labelled_lines(_card(card["score"]))))
        return ExitCode.GOOD
    table = ask(arguments.node, f"{_PATH}/scores", timeout_s=TIMEOUT_S)
    if arguments.json:
        print(_json(table))
        return ExitCode.GOOD
    titles = (
        "RANK",
        "CODE",
        "DEPARTMENT",
        "IN TIME",
        "LATE",
        "OPEN",
        "REFUSED",
        "SERVED",
        "OBTAINED",
        "ITEMS",
        "IDLE",
        "BROKEN",
    )
    rows = [_score_row(item) for item in (*table["items"], table["authority"])]
    print_table(titles, rows, right=tuple(title for title in titles if title not in ("CODE", "DEPARTMENT")))
    return ExitCode.GOOD


def _list(arguments: argparse.Namespace, what: str, query: dict[str, object], titles: Sequence[str], row: Any) -> int:
    listed = list_all(arguments.node, f"{_PATH}/{what}", query, arguments.limit)
    if not listed["items"]:
        _check_that_there_is(arguments)
    if arguments.json:
        print(_json(listed))
        return ExitCode.GOOD
    if not listed["items"]:
        print(f"There are no such {what}.")
        return ExitCode.GOOD
    print_table(titles, [row(item) for item in listed["items"]], right=("ROWS", "NO", "STAGE", "BLOCK"))
    if listed["more"]:
        print("There are more: narrow the list, or set --limit.")
    return ExitCode.GOOD


def _check_that_there_is(arguments: argparse.Namespace) -> None:
    """Check that a list is not empty for the sake of a name that nothing has; of a department the gateway says so.

    Raises:
        NotFoundError: The ledger has no such request or data item.
    """
    if (grant := getattr(arguments, "grant", None)) is not None:
        ask(arguments.node, f"{_PATH}/requests/{grant}", timeout_s=TIMEOUT_S)
    if arguments.data_item is not None:
        ask(arguments.node, f"/api/v1/state/data-items/{arguments.data_item}", timeout_s=TIMEOUT_S)


def _receipt_row(item: Mapping[str, Any]) -> tuple[str, ...]:
    delivery = item["delivery"] or {}
    return (
        item["request"],
        str(delivery.get("number", "")),
        item["outcome"],
        code(item["provider"]),
        code(item["requester"]),
        item["data_item"]["id"],
        f"{delivery['rows']:,}" if delivery else "",
        moment(delivery.get("delivered")),
        moment(delivery["settled"] if delivery else item["statements"][-1]["recorded"]),
        ", ".join(str(statement["log_index"]) for statement in item["statements"]),
    )


def _score_row(score: Mapping[str, Any]) -> tuple[str, ...]:
    named = score["department"]
    return (
        str(score["rank"] or ""),
        code(named) if named else "",
        both(named) if named else department(None),
        _share(score),
        str(score["answered_late"] + score["corrections_late"]),
        str(score["breaches_open"]),
        str(score["refused"]),
        f"{score['rows_served']:,}",
        f"{score['rows_obtained']:,}",
        str(score["data_items"]),
        str(len(score["idle_items"])),
        str(len(score["broken_links"])),
    )


def _card(score: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Department": department(score["department"]),
        "Rank": str(score["rank"] or "none yet"),
        "In time": _share(score),
        "Requests": f"{score['requests_received']:,} received, {score['requests_sent']:,} sent",
        "Answered": f"{score['answered_at_once']:,} at once, {score['answered_in_time']:,} in time, "
        f"{score['answered_late']:,} late; {score['refused']:,} of them refused",
        "Corrections": f"{score['corrections_in_time']:,} in time, {score['corrections_late']:,} late",
        "Rows": f"{score['rows_served']:,} served, {score['rows_obtained']:,} obtained",
        "Rejected": f"{score['deliveries_rejected']:,} deliveries",
        "Breaches": f"{score['breaches_open']:,} open of {score['breaches']:,}",
        "Data items": f"{score['data_items']:,}",
        "Idle": ", ".join(score["idle_items"]),
        "Broken links": ", ".join(score["broken_links"]),
    }


def _share(score: Mapping[str, Any]) -> str:
    permille = score["answered_in_time_permille"]
    return "-" if permille is None else f"{permille // 10}.{permille % 10} %"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
