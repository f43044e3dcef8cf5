"""Turn every byte of the bundles that a run has kept, one at a time, and see that none is ever established.

    python -m scenarios.evidence.tamper out

reads `out/policy.txt` and `out/bundles/*.json`, takes one bundle for each type of certificate, and prints how often the
verdict was "no" (3) and "cannot say" (4). It ends with 1 if a single changed byte was not noticed. All processors share
the work: at 53 departments a bundle has some 12,000 bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from ledger.proofs.verify import verify_bundle
from ledger.registers.certificates.identifier import parse_identifier

TURNED = 0x01
"""The bit that is turned: it changes every digit, letter and bracket of JSON into another character."""


def main() -> int:
    """Run the check from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.evidence.tamper", description=__doc__.splitlines()[0])
    parser.add_argument("kept", type=Path, help="what `mulu simulate --keep` left")
    parser.add_argument("--now", type=int, help="Unix time in milliseconds at which the bundles are fresh")
    options = parser.parse_args()
    policy = (options.kept / "policy.txt").read_text()
    bundles = one_a_type(sorted((options.kept / "bundles").glob("*.json")))
    verdicts: Counter[int] = Counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for path, counted in zip(
            bundles, pool.map(partial(turn_every_byte, policy=policy, now_ms=options.now), bundles), strict=True
        ):
            verdicts += counted
            print(f"{path.name}: {dict(sorted(counted.items()))}", file=sys.stderr, flush=True)
    print(json.dumps({"bundles": len(bundles), "bytes": verdicts.total(), "verdicts": dict(sorted(verdicts.items()))}))
    return 0 if bundles and not verdicts.keys() - {3, 4} else 1


def one_a_type(paths: list[Path]) -> list[Path]:
    """Return the first bundle of each type, by the certificate's identifier that is its name."""
    chosen: dict[str, Path] = {}
    for path in paths:
        chosen.setdefault(parse_identifier(path.stem).type_code, path)
    return list(chosen.values())


def turn_every_byte(path: Path, *, policy: str, now_ms: int | None) -> Counter[int]:
    """Return how often each exit code came out, over all bytes of the bundle at `path`.

    Raises:
        ValueError: The bundle is not good as it stands, so that turning its bytes would show nothing.
    """
    content = path.read_bytes()
    now_ms = int(path.stat().st_mtime * 1000) if now_ms is None else now_ms
    untouched = verify_bundle(content, policy, now_ms=now_ms)
    if untouched.exit_code != 0:
        raise ValueError(f"{path} is not established as it stands: {untouched.as_text()}")
    turned = bytearray(content)
    verdicts: Counter[int] = Counter()
    for position in range(len(content)):
        turned[position] ^= TURNED
        verdicts[verify_bundle(bytes(turned), policy, now_ms=now_ms).exit_code] += 1
        turned[position] ^= TURNED
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
