"""What a department states about sharing from the command line, and how what came of it is told."""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import urllib.parse
from pathlib import Path
from typing import Any

from ledger.blocks.record import Record
from ledger.identifiers import Digest
from ledger.registers.sharing.records import (
    AnswerObjection,
    DisputeRefusal,
    DisputeRejection,
    GrantRequest,
    RaiseObjection,
    RefuseRequest,
    RejectDelivery,
    RequestSharing,
    RevokeGrant,
    WithdrawRequest,
)
from ledger.registers.sharing.values import Condition
from nodes.commands.arguments import text
from nodes.commands.gateway_client import ask
from nodes.commands.options import TIMEOUT_S, directory_of
from nodes.commands.share_words import case_lines
from nodes.commands.speaking import carry_out, gateway_of, state
from nodes.exchange.control import ShowKey
from nodes.exit_codes import ExitCode


def request(arguments: argparse.Namespace) -> int:
    """Ask for data. What is not said is taken from the catalogue: all fields, its mode of sharing."""
    directory = directory_of(arguments)
    item = _read(directory, f"/api/v1/state/data-items/{_quoted(arguments.data_item)}")["value"]["metadata"]
    name = arguments.id or _new_id(directory, "R")
    record = RequestSharing(
        id=name,
        data_item=arguments.data_item,
        fields=tuple(arguments.field or (field["name"] for field in item["information_items"])),
        selection=tuple(arguments.where),
        purpose=arguments.purpose,
        legal_basis=arguments.basis,
        mode=arguments.mode or item["sharing"]["mode"],
        volume_max=arguments.rows,
        last_day=arguments.until,
        recipient_key=carry_out(directory, ShowKey()).public,
        renews=arguments.renews,
    )
    return _state_of_request(arguments, record, name)


def grant(arguments: argparse.Namespace) -> int:
    """Grant a request: what is not narrowed is granted as it was asked for."""
    asked = _read(directory_of(arguments), f"/api/v1/sharing/requests/{_quoted(arguments.request)}")["request"]
    record = GrantRequest(
        request=arguments.request,
        fields=tuple(arguments.field or asked["fields"]),
        volume_max=arguments.rows or asked["volume_max"],
        last_day=arguments.until or asked["last_day"],
        conditions=arguments.conditions,
    )
    return _state_of_request(arguments, record, arguments.request)


def refuse(arguments: argparse.Namespace) -> int:
    """Refuse a request."""
    record = RefuseRequest(request=arguments.name, reason=arguments.reason)
    return _state_of_request(arguments, record, arguments.name)


def withdraw(arguments: argparse.Namespace) -> int:
    """Withdraw a request."""
    record = WithdrawRequest(request=arguments.name, reason=arguments.reason)
    return _state_of_request(arguments, record, arguments.name)


def dispute(arguments: argparse.Namespace) -> int:
    """Dispute a refusal, or the rejection of an objection."""
    if arguments.objection:
        return _state(arguments, DisputeRejection(objection=arguments.name, reason=arguments.reason), arguments.name)
    record = DisputeRefusal(request=arguments.name, reason=arguments.reason)
    return _state_of_request(arguments, record, arguments.name)


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke a grant."""
    return _state_of_request(arguments, RevokeGrant(grant=arguments.name, reason=arguments.reason), arguments.name)


def reject(arguments: argparse.Namespace) -> int:
    """Reject a delivery; its rows do not count."""
    record = RejectDelivery(grant=arguments.grant, number=arguments.number, reason=arguments.reason)
    return _state_of_request(arguments, record, arguments.grant)


def raise_objection(arguments: argparse.Namespace) -> int:
    """Object to a data item. The details stay in their file; send it to the owner."""
    with arguments.details.open("rb") as file:
        details = Digest(hashlib.file_digest(file, "sha256").digest())
    name = arguments.id or _new_id(directory_of(arguments), "O")
    return _state(
        arguments, RaiseObjection(id=name, data_item=arguments.data_item, kind=arguments.kind, details=details), name
    )


def answer_objection(arguments: argparse.Namespace) -> int:
    """Answer an objection."""
    record = AnswerObjection(objection=arguments.objection, outcome=arguments.outcome, reason=arguments.reason)
    return _state(arguments, record, arguments.objection)


def condition(argument: str) -> Condition:
    """Return the condition that an option names.

    Raises:
        argparse.ArgumentTypeError: It is not written as FIELD=VALUE or FIELD=VALUE,VALUE.
    """
    field, equals, values = text(argument).partition("=")
    if not field or not equals or not all(values.split(",")):
        raise argparse.ArgumentTypeError(f"not a condition: {argument!r}; write FIELD=VALUE or FIELD=VALUE,VALUE")
    return Condition(information_item=field, values=tuple(values.split(",")))


def _state_of_request(arguments: argparse.Namespace, record: Record, name: str) -> int:
    """State a record about a request or its grant, and print where that stands now."""
    directory = directory_of(arguments)
    state(directory, record, arguments.parser)
    case = _read(directory, f"/api/v1/sharing/requests/{_quoted(name)}")
    if arguments.json:
        _print_json(record, name, case)
    else:
        print("\n".join(case_lines(case)))
    return ExitCode.GOOD


def _state(arguments: argparse.Namespace, record: Record, name: str) -> int:
    """State a record about an objection."""
    directory = directory_of(arguments)
    state(directory, record, arguments.parser)
    value = _read(directory, f"/api/v1/state/objections/{_quoted(name)}")["value"]
    if arguments.json:
        _print_json(record, name, value)
    else:
        print(f"{name}  {value['status']}  {value['data_item']}, {value['kind']}")
    return ExitCode.GOOD


def _print_json(record: Record, name: str, now: Any) -> None:
    told = {"record": record.__struct_config__.tag, "id": name, "result": "accepted", "now": now}
    print(json.dumps(told, ensure_ascii=False, indent=2))


def _read(directory: Path, path: str) -> Any:
    """Return what the gateway of the department's own node, which has executed what was stated, says."""
    return ask(gateway_of(directory), path, timeout_s=TIMEOUT_S)


def _new_id(directory: Path, kind: str) -> str:
    """Return an id that nobody has used: with the department's short code, and 40 random bits."""
    department = _read(directory, "/api/v1/node")["department"]
    return f"{department['code']}-{kind}{secrets.token_hex(5).upper()}"


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
