"""Write `scenarios/beijing/sample/`: a bundle that a reader can verify before running anything.

python scripts/make_sample.py

It comes from a virtual run of four departments with a fixed seed, so that anybody gets the same files to the byte. When
a byte form changes on purpose, run it again and commit what it wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a file, the repository is not on the path.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ledger.proofs.verify import verify_bundle
from scenarios.beijing.city_files import load_city
from scenarios.beijing.story import BeijingStory
from scenarios.virtual import found, play

DIRECTORY = Path(__file__).resolve().parent.parent / "scenarios" / "beijing" / "sample"

DEPARTMENTS = 4
SEED = 3
"""With this seed the certificate was changed once after its issue, so that there is something to see."""

TYPE_CODE = "11100000C00000016E040"
"""Business licence."""

NOW = "2025-09-17T18:00:00+08:00"
"""The evening of the run's last day."""
NOW_MS = 1_758_103_200_000


def sample_files() -> dict[str, bytes]:
    """Return the generated files by name."""
    city = load_city().first(DEPARTMENTS)
    start_ms = city.workload.start_ms
    network = found(city, seed=SEED, start_ms=start_ms)
    story = BeijingStory(city, seed=SEED, start_ms=start_ms, span="virtual", chain=network.genesis.chain)
    evidence = play(network, story, seed=SEED).evidence
    bundle = next(bundle for bundle in evidence.bundles if f".{TYPE_CODE}." in bundle.name)
    statement = verify_bundle(bundle.content, evidence.policy, now_ms=NOW_MS)
    return {
        "bundle.json": bundle.content,
        "policy.txt": evidence.policy.encode(),
        "statement.json": (json.dumps(statement.as_json(), ensure_ascii=False, indent=2) + "\n").encode(),
    }


def main() -> None:
    """Write the files."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, content in sample_files().items():
        (DIRECTORY / name).write_bytes(content)
        print(f"{DIRECTORY / name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
