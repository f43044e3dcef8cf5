"""`mulu proof`: fetch the proof of a log entry, in a form that other people's programs read."""

from __future__ import annotations

import argparse
import sys
import urllib.parse
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ledger.consensus.cosigning import OWN_SIZES_MAX
from ledger.crypto.merkle import leaf_hash, verify_inclusion
from ledger.encoding import decode
from ledger.errors import CheckCharacterError, DecodeError, LedgerError, NotYetError, ProofError
from ledger.identifiers import Digest
from ledger.limits import RECORDS_PER_ENVELOPE_MAX
from ledger.proofs.completing import choose_size, complete
from ledger.proofs.cosigned import NotEstablishedError, valid_lines
from ledger.proofs.notes import SignedCheckpoint, parse_note
from ledger.proofs.tlog_policy import TlogPolicy, Witness
from ledger.proofs.tlog_proof import ProofExtra, TlogProof, parse_tlog_proof
from ledger.registers.certificates.identifier import parse_identifier
from nodes.commands.arguments import number
from nodes.commands.gateway_client import NotAGatewayError, ask, check_address, fetch
from nodes.commands.options import add_node
from nodes.commands.output import check_no_terminal, write_output
from nodes.commands.policy import UnreadablePolicyError, read_policy
from nodes.exit_codes import ExitCode

T = TypeVar("T")

DESCRIPTION = """\
Fetch the proof that an entry is in the log: the record that issued a certificate, or any entry by its number. A
tlog-proof (C2SP) rests on a quorum and is checked against a policy; a COSE Receipt (RFC 9942) is the word of one node.
"""

EPILOG = """\
examples:
  mulu proof 1.2.156.3005.2.11100000C00000016E001.11110000A00000230N.20250915001.001.T --out issue.tlog-proof
  mulu verify issue.tlog-proof --policy policy.txt
  mulu proof 41 --for-tools tools-policy.txt --entry entry --out 41.tlog-proof

exit codes: 0 fetched, 1 a file cannot be read or written, or POLICY is none, 2 the identifier is mistyped or the
            command was called wrongly, 5 there is no such entry, 7 a node does not answer, or too few of the
            departments that the policy names have cosigned yet
"""

WORKERS = 16
"""Nodes that are asked at once."""

ATTEMPTS_MAX = 8
"""Sizes that are tried if departments claim to have cosigned what they have not."""

TIMEOUT_S = 10.0

_NUMBER_DIGITS_MAX = 15
"""Of a log entry: more than a log can reach, and less than a number that some readers of JSON would round."""


class NotCompletedError(NotYetError):
    """Too few of the departments that a policy names have cosigned a checkpoint beyond the entry."""

    code = "not_completed"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "proof",
        help="fetch the proof of a certificate's issue or of any log entry, for other people's programs",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("what", metavar="WHAT", help="identifier of a certificate, or the number of a log entry")
    add_node(parser)
    parser.add_argument(
        "--record",
        type=number(0, RECORDS_PER_ENVELOPE_MAX - 1),
        metavar="N",
        help="prove this record of the entry too, from 0",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--cose", action="store_true", help="fetch a COSE Receipt by the node instead of a tlog-proof")
    form.add_argument(
        "--for-tools",
        type=Path,
        metavar="POLICY",
        help="complete the proof for this policy (`mulu policy export --for-tools`): ask each department that it names",
    )
    parser.add_argument(
        "--entry", type=Path, metavar="FILE", help="write the entry's bytes here: other tools want them"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to standard output")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Fetch the proof, print or write it, and return the exit code."""
    try:
        path = _path_of(arguments.what, arguments.record)
    except (CheckCharacterError, ValueError) as error:
        print(f"mulu: {error} [usage]", file=sys.stderr)
        return ExitCode.USAGE
    if arguments.cose and arguments.out is None:
        check_no_terminal("a COSE Receipt", arguments.parser)
    policy = None if arguments.for_tools is None else _read_tools_policy(arguments.for_tools)
    node = arguments.node
    proof = _understood(node, lambda: parse_tlog_proof(fetch(node, path, timeout_s=TIMEOUT_S).decode()))
    if arguments.entry is not None:
        write_output(arguments.entry, _entry_of(node, proof))
    if arguments.cose:
        data = fetch(node, f"/api/v1/entries/{proof.index}/cose-receipt", timeout_s=TIMEOUT_S)
    elif policy is not None:
        data = _completed(node, proof, policy).text().encode()
    else:
        data = proof.text().encode()
    if arguments.out is None:
        sys.stdout.buffer.write(data)
    else:
        write_output(arguments.out, data)
    return ExitCode.GOOD


def _path_of(what: str, record: int | None) -> str:
    """Return the gateway's path to the proof.

    Raises:
        CheckCharacterError: What looks like an identifier is mistyped.
        ValueError: Only an entry's records are numbered: of a certificate it is known which one issued it.
    """
    if what.isdecimal() and what.isascii():
        if len(what) > _NUMBER_DIGITS_MAX:
            raise ValueError(f"no log has an entry of this number: {what}")
        return f"/api/v1/entries/{what}/tlog-proof" + ("" if record is None else f"?record={record}")
    if record is not None:
        raise ValueError("--record goes with the number of an entry, not with a certificate")
    parse_identifier(what)
    return f"/api/v1/certificates/{urllib.parse.quote(what, safe='')}/tlog-proof"


def _read_tools_policy(path: Path) -> TlogPolicy:
    """Return the policy in a file, which says where the departments that it names are asked.

    Raises:
        UnreadablePolicyError: There is none, or it names no addresses.
    """
    policy = read_policy(path)
    if not any(witness.url for witness in policy.witnesses.values()):
        raise UnreadablePolicyError(
            f"the policy {path} names no addresses: make one that does with `mulu policy export --for-tools`"
        )
    return policy


def _completed(node: str, proof: TlogProof, policy: TlogPolicy) -> TlogProof:
    """Return the proof under a checkpoint that counts under `policy`, with the lines of those it names alone.

    Raises:
        NotCompletedError: Too few of them have cosigned a checkpoint beyond the entry, or too few answer.
    """
    checkpoint = _ask_for_checkpoint(policy, above=proof.index)
    size = checkpoint.size
    answer = ask(node, f"/api/v1/proofs/inclusion?index={proof.index}&size={size}", timeout_s=TIMEOUT_S)
    path = _understood(node, lambda: tuple(Digest(bytes.fromhex(sibling)) for sibling in answer["path"]))
    entry = _entry_of(node, proof)
    try:
        verify_inclusion(leaf_hash(entry), index=proof.index, size=size, path=path, root=checkpoint.root)
    except ProofError as error:
        raise NotAGatewayError(f"{node} has another log than the departments that cosigned: {error}") from error
    return replace(proof, path=path, checkpoint=checkpoint)


def _ask_for_checkpoint(policy: TlogPolicy, *, above: int) -> SignedCheckpoint:
    """Return a checkpoint beyond log index `above` that counts under the policy, from what each department says alone.

    Raises:
        NotCompletedError: Too few of them have cosigned one, or too few answer.
    """
    witnesses = [witness for witness in policy.witnesses.values() if witness.url]
    said = dict(_ask_all(witnesses, _sizes_of))
    answered = len(said)
    for _ in range(ATTEMPTS_MAX):
        if (size := choose_size(said, policy, above=above)) is None:
            break
        holders = [witness for witness in witnesses if size in said.get(witness.name, ())]
        notes = dict(_ask_all(holders, partial(_note_of, size=size)))
        try:
            return complete(notes.values(), policy)
        except NotEstablishedError:
            # Who claimed the size and does not show a cosignature of it is not believed again.
            shown = {name for name, note in notes.items() if name in valid_lines(note, policy)[1]}
            claimed = {witness.name for witness in holders}
            said = {name: sizes - {size} for name, sizes in said.items() if name in shown or name not in claimed}
    raise NotCompletedError(
        f"{answered} of {len(policy.witnesses)} departments answer, and too few of them have cosigned one checkpoint "
        f"beyond entry {above}; {policy.rule()}"
    )


def _entry_of(node: str, proof: TlogProof) -> bytes:
    """Return the entry that the proof carries; what is behind it is not checked here."""
    extra = proof.extra or b""
    return _understood(node, lambda: decode(ProofExtra, extra)).entry


def _ask_all(witnesses: Iterable[Witness], question: Callable[[Witness], T]) -> list[tuple[str, T]]:
    """Return name and answer of those who answer."""

    def attempt(witness: Witness) -> tuple[str, T] | None:
        try:
            return witness.name, question(witness)
        except LedgerError as error:
            print(f"mulu: {witness.name} at {witness.url}: {error}", file=sys.stderr)
            return None

    with ThreadPoolExecutor(WORKERS) as threads:
        return [answer for answer in threads.map(attempt, witnesses) if answer is not None]


def _sizes_of(witness: Witness) -> frozenset[int]:
    answer = ask(_address_of(witness), "/api/v1/cosignatures", timeout_s=TIMEOUT_S)
    return _understood(witness.url, lambda: frozenset(map(int, answer["sizes"][:OWN_SIZES_MAX])))


def _note_of(witness: Witness, size: int) -> SignedCheckpoint:
    data = fetch(_address_of(witness), f"/api/v1/cosignatures/{size}", timeout_s=TIMEOUT_S)
    return _understood(witness.url, lambda: parse_note(data.decode()))


def _address_of(witness: Witness) -> str:
    try:
        return check_address(witness.url)
    except argparse.ArgumentTypeError as error:
        raise NotAGatewayError(str(error)) from error


def _understood(node: str, read: Callable[[], T]) -> T:
    """Return what `read` makes of a node's answer.

    Raises:
        NotAGatewayError: The answer is not of the form that a gateway gives.
    """
    try:
        return read()
    except (DecodeError, ValueError, KeyError, TypeError) as error:
        raise NotAGatewayError(f"what {node} answers is not from the gateway of a node: {error}") from error
