"""`mulu verify`: check a certificate's bundle, or another proof, against a policy, offline.

Nothing here but reading two files and printing: what is checked is in `ledger.proofs.verify`. The command must start
quickly, so that it imports no web framework and no drawing library.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from datetime import datetime
from pathlib import Path

from ledger.errors import LedgerError
from nodes.exit_codes import ExitCode

DESCRIPTION = """\
Check a certificate offline. Three questions are answered: is it genuine, is it valid, and is what we know recent?
The policy says whose cosignatures count. Take it from somebody you trust, never from whoever shows the certificate.
The receipt of a delivery is checked as `mulu share verify` does: what was acknowledged stays so, at whatever age.
"""

EPILOG = """\
examples:
  mulu verify out/bundles/CERTIFICATE.json --policy out/policy.txt
  mulu verify --batch out/bundles --policy out/policy.txt

exit codes: 0 genuine, valid and recent
            3 no: forged or changed, or genuine but suspended, revoked, replaced or expired (the text says which)
            4 cannot say: no policy or that of another network, an unreadable or unknown form, too old
            2 the command was called wrongly
with --batch: 0 if all are; 3 if one of them is "no"; else 4
"""

_FILE = "the certificate's bundle, a tlog-proof, or the receipt of a delivery"
_AGE = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "verify",
        help="check a certificate's bundle offline, against a policy",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, metavar="FILE", help=_FILE)
    which.add_argument(
        "--batch", type=Path, metavar="DIR", help="every *.json in this directory: a line each, and how many of what"
    )
    parser.add_argument("--policy", type=Path, metavar="POLICY", help="policy.txt of the network that is trusted")
    parser.add_argument("--json", action="store_true", help="print the statement as one JSON object")
    parser.add_argument(
        "--now", type=time_ms, metavar="TIME", help="use this time instead of the clock: 2025-10-01T09:00:00+08:00"
    )
    parser.add_argument(
        "--max-age",
        type=_age_s,
        default=_age_s("7d"),
        metavar="AGE",
        help="older is not recent: 90s, 15m, 12h; 7d if not given",
    )
    parser.add_argument(
        "--require",
        choices=("all", "genuine"),
        default="all",
        help="`genuine` asks only the first question; `all` if not given",
    )
    parser.add_argument("--quiet", action="store_true", help="print no statement; the exit code is the answer")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the statement, or those of a directory, and return the exit code."""
    # Imported here, because `mulu verify --help` needs none of it.
    from ledger.proofs.bundle import BUNDLE_BYTES_MAX
    from ledger.proofs.delivery import is_receipt
    from ledger.proofs.policy import POLICY_BYTES_MAX
    from ledger.proofs.statement import Statement
    from ledger.proofs.tlog_proof import PROOF_BYTES_MAX
    from ledger.proofs.verify import Verifier
    from ledger.proofs.verify_entry import is_tlog_proof, verify_entry

    shown = not arguments.quiet
    now_ms = time.time_ns() // 1_000_000 if arguments.now is None else arguments.now
    try:
        if arguments.policy is None:
            raise NoPolicyError("no policy: name the trusted network's policy.txt with --policy")
        policy = read_file(arguments.policy, "policy", POLICY_BYTES_MAX)
        policy_text = text_of(policy, arguments.policy)
        verifier = Verifier(policy_text, now_ms=now_ms, max_age_s=arguments.max_age, require=arguments.require)
        if arguments.batch is not None:
            from nodes.commands.share_verify import judge
            from nodes.commands.verify_batch import verify_directory

            return verify_directory(
                arguments.batch,
                verifier,
                lambda path, data: judge(data, policy_text, receipt=path, policy=arguments.policy, now_ms=now_ms),
                as_json=arguments.json,
                quiet=arguments.quiet,
            )
        data = read_file(arguments.file, "bundle", max(BUNDLE_BYTES_MAX, PROOF_BYTES_MAX))
        if is_receipt(data):
            from nodes.commands.share_verify import exit_code_of, judge, tell

            receipt = judge(data, policy_text, receipt=arguments.file, policy=arguments.policy, now_ms=now_ms)
            return tell(receipt, as_json=arguments.json) if shown else exit_code_of(receipt)
        statement = verify_entry(data, policy, now_ms=now_ms) if is_tlog_proof(data) else verifier.verify(data)
    except UnreadableError as error:
        print(f"mulu: {error} [{error.code}]", file=sys.stderr)
        statement = Statement.without_evidence(None, str(error), arguments.require)
        # People have just read the reason; a program still gets its object.
        shown = shown and arguments.json
    if shown:
        as_json = arguments.json
        print(json.dumps(statement.as_json(), ensure_ascii=False, indent=2) if as_json else statement.as_text())
    return ExitCode(statement.exit_code)


class UnreadableError(LedgerError):
    """A file that is not there, not a file, empty, too long, or not ours to read."""

    code = "unreadable_file"


class NoPolicyError(UnreadableError):
    """Nobody said whom to trust."""

    code = "no_policy"


def read_file(path: Path, what: str, size_max: int) -> bytes:
    """Return what is in the file, of which at most `size_max` bytes make sense."""
    try:
        with path.open("rb") as file:
            # One byte more than may be: enough to see that a file is too long, however long it is.
            data = file.read(size_max + 1)
    except FileNotFoundError:
        raise UnreadableError(f"there is no {what} at {path}") from None
    except IsADirectoryError:
        raise UnreadableError(f"{path} is a directory; the {what} is one file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableError(f"the {what} {path} cannot be read: {reason}") from None
    if not data:
        raise UnreadableError(f"the {what} {path} is empty")
    if len(data) > size_max:
        raise UnreadableError(f"{path} is too long for a {what}: at most {size_max:,} bytes are allowed")
    return data


def text_of(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UnreadableError(f"the policy {path} is not UTF-8 text") from None


def time_ms(text: str) -> int:
    """Return Unix milliseconds of an RFC 3339 time with an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a time: {text!r}; write 2025-10-01T09:00:00+08:00") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} says no offset from UTC; add +08:00 or Z")
    try:
        return round(moment.timestamp() * 1000)
    except (OverflowError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is out of range") from None


def _age_s(text: str) -> int:
    """Return seconds of an age such as `7d`."""
    if not (match := _AGE.fullmatch(text)):
        raise argparse.ArgumentTypeError(f"not an age: {text!r}; write 90s, 15m, 12h or 7d")
    return int(match[1]) * _SECONDS[match[2]]
