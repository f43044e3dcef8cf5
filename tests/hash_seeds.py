"""Programs run again under other hash seeds, which change the order of sets and of nothing else that may be seen."""

from __future__ import annotations

import os
import subprocess
import sys


def printed_under_hash_seeds(*arguments: str) -> set[str]:
    """Run this Python twice with the arguments and this process's imports; return what it prints, once if equal."""
    return {
        subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "4711")
    }
