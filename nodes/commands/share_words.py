"""How what stands on the ledger about sharing is put into lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodes.commands.tables import labelled_lines

_DUTIES = {
    "answer": "the provider to answer",
    "decide": "the directory authority to decide",
    "deliver": "the provider to deliver",
    "acknowledge": "the requester to acknowledge",
    "correct": "the provider to answer",
}


def case_lines(case: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a request and its grant."""
    request, grant = case["request"], case["grant"]
    status = grant["status"] if grant and grant["status"] != "live" else request["status"]
    duty = (grant or request)["duty"] or request["duty"]
    pairs = {
        "Request": f"{request['id']}  {status}",
        "Data item": f"{request['data_item']['id']} {both(request['data_item'])}",
        "From": department(request["provider"]),
        "To": department(request["requester"]),
        "Fields": ", ".join((grant or request)["fields"]),
        "Rows with": "; ".join(condition(part) for part in request["selection"]),
        "Purpose": request["purpose"],
        "Legal basis": request["legal_basis"],
        "Mode": request["mode"],
        "Rows": _rows(request, grant),
        "Until": (grant or request)["last_day"],
        "Conditions": grant["conditions"] if grant else "",
        "Waits for": waiting(duty),
        "Answered": _answer(request),
        "Ended": grant["ended_reason"] if grant else "",
    }
    yield from labelled_lines(pairs)


def waiting(duty: Mapping[str, Any] | None) -> str:
    """Return what is waited for and until when, or nothing."""
    if duty is None:
        return ""
    late = f", late {len(duty['passed'])} times" if len(duty["passed"]) > 1 else ", late" if duty["passed"] else ""
    due = f" by {duty['due'][:10]}" if duty["due"] else ""
    return _DUTIES[duty["kind"]] + due + late


def department(named: Mapping[str, str] | None) -> str:
    """Return a department's code and names; None is the directory authority as such."""
    if named is None:
        return "directory authority"
    return " ".join(part for part in (named["code"] or named["credit_code"], both(named)) if part)


def code(named: Mapping[str, str] | None) -> str:
    """Return a department's short code."""
    return "authority" if named is None else named["code"] or named["credit_code"]


def both(named: Mapping[str, str]) -> str:
    """Return the names in both languages."""
    return " ".join(name for name in (named["name_zh"], named["name_en"]) if name)


def moment(recorded: Mapping[str, Any] | None) -> str:
    """Return the minute of a block, or nothing."""
    return "" if recorded is None else str(recorded["time"][:16]).replace("T", " ")


def condition(part: Mapping[str, Any]) -> str:
    """Return a condition."""
    return f"{part['information_item']} = {' or '.join(part['values'])}"


def _rows(request: Mapping[str, Any], grant: Mapping[str, Any] | None) -> str:
    if grant is None:
        return f"{request['volume_max']:,}"
    return f"{grant['used']:,} of {grant['volume_max']:,} used, {grant['left']:,} left"


def _answer(request: Mapping[str, Any]) -> str:
    if request["answered"] is None:
        return ""
    by = f" by {code(request['answered_by'])}" if request["answered_by"] else ""
    reason = f": {request['answer_reason']}" if request["answer_reason"] else ""
    return f"{moment(request['answered'])}{by}{reason}"
