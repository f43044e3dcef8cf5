"""How a command speaks for a department: through the socket of its node, which signs with the department's key.

One key belongs to one node, and the node knows the key's next number; a command that signed by itself would get in its
way. Who may open the socket may speak (`nodes.exchange.control`). Only for members without a node, whose directory has
keys and nothing else, a command signs itself (`nodes.commands.signing`).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger.blocks.record import Record
from ledger.blocks.refusals import EnvelopeRefusal
from ledger.encoding import Canonical, decode
from ledger.errors import DecodeError, InvalidInputError, NotFoundError
from ledger.registers import RULEBOOK
from nodes.commands.complaints import in_words
from nodes.commands.signing import sign_and_hand_in
from nodes.data_directory import DataDirectory
from nodes.exchange.control import Command, TellLedger, command
from nodes.exchange.databases import BadConditionError, ColumnNotGrantedError, FieldNotHeldError
from nodes.exchange.errors import CommandFailedError, CommandNotYetError, QuestionError
from nodes.exchange.requester import Report
from nodes.keystore import TLS_CERTIFICATE
from nodes.network import KEYS_DIRECTORY, load_network

REFUSALS = {code.label for code in RULEBOOK.codes.values()} | {
    kind.code for kind in (QuestionError, ColumnNotGrantedError, BadConditionError)
}
"""Codes of what a rule of the ledger refuses, and of questions that go beyond a grant."""
_NOT_THERE = {NotFoundError.code, FieldNotHeldError.code} | {
    code.label
    for code in RULEBOOK.codes.values()
    if code.label.startswith("unknown_") and not isinstance(code, EnvelopeRefusal)
}
"""Those of them that say that there is nothing of the name in a record or a question, and what a node says of its own
files."""

_PLACE = re.compile(r" - at `\$\[(\d+)\].*`$")


class RefusedByRuleError(InvalidInputError):
    """The ledger, or the other department's node, refuses it by a rule; `code` is that of the refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NothingNamedSoError(NotFoundError):
    """The ledger has nothing of this name; `code` is that of the refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def gateway_of(directory: Path) -> str:
    """Return the address of the gateway of the node in `directory`, as its network's files have it.

    Raises:
        NetworkFileError: They cannot be read.
        NothingNamedSoError: No node of the network has this directory's keys.
    """
    certificate = (directory / KEYS_DIRECTORY / TLS_CERTIFICATE).read_text(encoding="ascii")
    for entry in load_network(directory).nodes.values():
        if entry.certificate_pem == certificate:
            return entry.address.gateway_url
    raise NothingNamedSoError("not_found", f"{directory} has the keys of no node in its network.json")


def gateway_for(directory: Path, node: str) -> str:
    """Return the address of the gateway of the node in `directory`, or `node` for a member without one."""
    return gateway_of(directory) if DataDirectory.exists(directory) else node


def state(directory: Path, record: Record, parser: argparse.ArgumentParser, *, node: str = "") -> None:
    """Have the department state a record, and return once a quorum has attested to it.

    A value that no record can have ends the command with a usage error.

    Args:
        node: Gateway at which a member without a node hands in; empty if it has to have one.

    Raises:
        RefusedByRuleError, NothingNamedSoError: The ledger has refused it; the message is cause and next step.
        NotYetError: The node does not run, or cannot now; or nothing was heard of the record in time.
    """
    check_sayable(record, parser)
    if node and not DataDirectory.exists(directory):
        with _told_apart():
            sign_and_hand_in(directory, node, record)
        return
    carry_out(directory, TellLedger(record=record.encode()))


def check_sayable(value: Canonical, parser: argparse.ArgumentParser) -> None:
    """End the command with a usage error that names the field if the value cannot be said to a node."""
    try:
        decode(type(value), value.encode())
    except DecodeError as error:
        parser.error(_said_of_field(value, str(error)))


def carry_out(directory: Path, what: Command, report: Report = lambda _: None) -> Any:
    """Have the node carry out a command, and return its answer; a refusal has an error of its own kind.

    Raises:
        RefusedByRuleError, NothingNamedSoError: The ledger, or the other node, refuses by a rule.
        LedgerError: As `nodes.exchange.control.command`.
    """
    with _told_apart():
        return command(directory, what, report)


@contextmanager
def _told_apart() -> Iterator[None]:
    """Give a refusal an error of its own kind."""
    try:
        yield
    except CommandNotYetError:
        raise
    except CommandFailedError as error:
        if error.code not in REFUSALS | _NOT_THERE:
            raise
        kind = NothingNamedSoError if error.code in _NOT_THERE else RefusedByRuleError
        raise kind(error.code, str(error)) from error


def _said_of_field(value: Canonical, complaint: str) -> str:
    """Return a complaint about a value with the name of the field in the place of its position, in words."""
    if (place := _PLACE.search(complaint)) is None:
        return complaint
    # The tag stands first and is no field.
    field = value.__struct_fields__[int(place[1]) - 1]
    wrong = complaint[: place.start()].rpartition(": ")[2]
    return f"{field.replace('_', ' ')}: {in_words(wrong)}"
