"""`mulu verify --batch`: check all bundles and receipts of a directory against one policy, many signatures at once."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from ledger.proofs.bundle import BUNDLE_BYTES_MAX
from ledger.proofs.delivery import is_receipt
from ledger.proofs.statement import Statement, Verdict, printable
from ledger.proofs.verify import Verifier
from nodes.commands.share_verify import ReceiptStatement
from nodes.commands.verify import UnreadableError, read_file
from nodes.exit_codes import ExitCode

BUNDLES_AT_ONCE = 128
"""About 5,000 signatures among 53 departments, where batch verification gains no more from a larger number; at most
32 MiB of bundles in memory."""


JudgeReceipt = Callable[[Path, bytes], ReceiptStatement]
"""What can be said of the receipt of a delivery with these bytes, from the file of this name."""


def verify_directory(
    directory: Path, verifier: Verifier, judge_receipt: JudgeReceipt, *, as_json: bool, quiet: bool
) -> int:
    """Print a line for each file of a directory, in the order of their names, and a summary; return the exit code.

    With `as_json` each line is one object, the statement with the name of its file, and the summary goes to standard
    error as ever.

    Raises:
        UnreadableError: The directory cannot be read, or has no bundle.
    """
    paths = _bundles_in(directory)
    began = time.perf_counter()
    verdicts: Counter[Verdict] = Counter()
    for path, statement in _verified(paths, verifier, judge_receipt):
        verdicts[statement.verdict] += 1
        if not quiet:
            print(_line(path, statement, as_json=as_json))
    took_s = time.perf_counter() - began
    counts = ", ".join(f"{verdicts[verdict]} {verdict.value}" for verdict in Verdict)
    print(f"{len(paths)} files: {counts}; {len(paths) / took_s:,.0f} a second", file=sys.stderr)
    if verdicts[Verdict.REFUTED]:
        return ExitCode.VERIFICATION_SAYS_NO
    return ExitCode.CANNOT_SAY if verdicts[Verdict.NOT_ESTABLISHED] else ExitCode.GOOD


def _bundles_in(directory: Path) -> Sequence[Path]:
    try:
        # Sorted by name: two runs print the same lines in the same order.
        names = sorted(entry.name for entry in os.scandir(directory) if entry.name.endswith(".json"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableError(f"the directory {directory} cannot be read: {reason}") from None
    if not names:
        raise UnreadableError(f"there is no *.json in {directory}")
    return [directory / name for name in names]


def _verified(
    paths: Sequence[Path], verifier: Verifier, judge_receipt: JudgeReceipt
) -> Iterator[tuple[Path, Statement | ReceiptStatement]]:
    remaining = iter(paths)
    while some := list(islice(remaining, BUNDLES_AT_ONCE)):
        read: dict[Path, bytes] = {}
        others: dict[Path, Statement | ReceiptStatement] = {}
        for path in some:
            try:
                data = read_file(path, "bundle", BUNDLE_BYTES_MAX)
                if is_receipt(data):
                    others[path] = judge_receipt(path, data)
                else:
                    read[path] = data
            except UnreadableError as error:
                others[path] = Statement.without_evidence(None, str(error), "all")
        # The entropy is drawn once the bundles are there, so that nobody could choose them to fit it.
        verified = verifier.verify_all(list(read.values()), secrets.token_bytes(32))
        statements = dict(zip(read, verified, strict=True)) | others
        yield from ((path, statements[path]) for path in some)


def _line(path: Path, statement: Statement | ReceiptStatement, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"file": path.name} | statement.as_json(), ensure_ascii=False)
    reason = f": {statement.reasons[0]}" if statement.reasons else ""
    return printable(f"{path.name}  {statement.verdict.value}{reason}")
