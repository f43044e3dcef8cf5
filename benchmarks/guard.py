"""A guard against becoming slower: `make bench-guard` compares this tree with the ratios in `ratios.json`.

Everything is a ratio to the loop over the same signatures, the median of seven interleaved rounds. The guard fails when
one is lower than the stored one by more than machines vary: 15 % where native code does the work, 25 % where Python has
a part. Ratios differ between processors: they are kept by processor and backend, and stored anew with `--store`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from nodes.machine import cpu_name, validation_backend
from nodes.measurements.rounds import Figure
from nodes.measurements.targets import Settings, measure_in_turn
from nodes.measurements.targets_report import RECORDS_PER_DEPARTMENT, commit_of
from scenarios.beijing.corpus import make_corpus

RATIOS = Path(__file__).with_name("ratios.json")

NATIVE_TASKS = {"batch", "portable", "accept", "refuse"}
"""Tasks that native code does nearly alone; the others have stages in Python."""
NATIVE_MARGIN, PYTHON_MARGIN = 0.15, 0.25

BLOCKS = 2


def measure() -> dict[str, Figure]:
    """Return the ratio of each task to the loop."""
    with tempfile.TemporaryDirectory(prefix="mulu-guard-") as folder:
        taken = measure_in_turn(
            Settings(
                rows=("1", "2", "3", "4", "5", "6", "9"),
                directory=Path(folder),
                make_corpus=partial(
                    make_corpus, 1, records_per_department=BLOCKS * RECORDS_PER_DEPARTMENT, state_keys=1_000
                ),
                say=lambda text: print(f"guard: {text}", file=sys.stderr),
            )
        )
    return {task: taken.ratio(task, "loop") for task in taken.samples if task != "loop"}


def fallen(found: Mapping[str, float], stored: Mapping[str, float]) -> dict[str, float]:
    """Return the stored tasks whose ratio is now too low, each with the part of it that is left; 0 if it is gone."""
    left = {task: found.get(task, 0.0) / ratio for task, ratio in stored.items()}
    return {
        task: part
        for task, part in left.items()
        if part < 1 - (NATIVE_MARGIN if task in NATIVE_TASKS else PYTHON_MARGIN)
    }


def main() -> int:
    """Measure and compare; 1 if something has become slower, 2 if there is nothing to compare with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help="keep what is measured as the ratios to compare with")
    arguments = parser.parse_args()
    machine = f"{cpu_name()}, {validation_backend().name}"
    kept = json.loads(RATIOS.read_text(encoding="utf-8")) if RATIOS.exists() else {}
    if not arguments.store and machine not in kept:
        print(f"guard: no ratios are stored for {machine}: store them with --store [no_ratios]", file=sys.stderr)
        return 2
    found = {task: round(figure.median, 3) for task, figure in measure().items()}
    if arguments.store:
        kept[machine] = {"commit": commit_of(RATIOS.parent), "ratios": found}
        RATIOS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return 0
    stored = kept[machine]["ratios"]
    slower = fallen(found, stored)
    for task, ratio in stored.items():
        mark = f"  slower by {1 - slower[task]:.0%}" if task in slower else ""
        print(f"{task:16} {found.get(task, 0.0):9.2f} x loop, stored {ratio:9.2f}{mark}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
