"""`mulu verify --batch`: check all bundles of a directory against one policy, the signatures of many at once."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from ledger.proofs.bundle import BUNDLE_BYTES_MAX
from ledger.proofs.statement import Statement, Verdict, printable
from ledger.proofs.verify import Verifier
from nodes.commands.verify import UnreadableError, read_file
from nodes.exit_codes import ExitCode

BUNDLES_AT_ONCE = 128
"""About 5,000 signatures among 53 departments, where batch verification gains no more from a larger number; at most
32 MiB of bundles in memory."""


def verify_directory(directory: Path, verifier: Verifier, *, as_json: bool, quiet: bool) -> int:
    """Print a line for each bundle of a directory, in the order of their names, and a summary; return the exit code.

    With `as_json` each line is one object, the statement with the name of its file, and the summary goes to standard
    error as ever.

    Raises:
        UnreadableError: The directory cannot be read, or has no bundle.
    """
    paths = _bundles_in(directory)
    began = time.perf_counter()
    verdicts: Counter[Verdict] = Counter()
    for path, statement in _verified(paths, verifier):
        verdicts[statement.verdict] += 1
        if not quiet:
            print(_line(path, statement, as_json=as_json))
    took_s = time.perf_counter() - began
    counts = ", ".join(f"{verdicts[verdict]} {verdict.value}" for verdict in Verdict)
    print(f"{len(paths)} bundles: {counts}; {len(paths) / took_s:,.0f} a second", file=sys.stderr)
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


def _verified(paths: Sequence[Path], verifier: Verifier) -> Iterator[tuple[Path, Statement]]:
    remaining = iter(paths)
    while some := list(islice(remaining, BUNDLES_AT_ONCE)):
        read: dict[Path, bytes] = {}
        unreadable: dict[Path, Statement] = {}
        for path in some:
            try:
                read[path] = read_file(path, "bundle", BUNDLE_BYTES_MAX)
            except UnreadableError as error:
                unreadable[path] = Statement.without_evidence(None, str(error), "all")
        # The entropy is drawn once the bundles are there, so that nobody could choose them to fit it.
        verified = verifier.verify_all(list(read.values()), secrets.token_bytes(32))
        statements = dict(zip(read, verified, strict=True)) | unreadable
        yield from ((path, statements[path]) for path in some)


def _line(path: Path, statement: Statement, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"file": path.name} | statement.as_json(), ensure_ascii=False)
    reason = f": {statement.reasons[0]}" if statement.reasons else ""
    return printable(f"{path.name}  {statement.verdict.value}{reason}")
