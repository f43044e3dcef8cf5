"""Programs from outside that a few tests need: what each is called, and the Debian package that brings it.

Run as a script it prints the packages of those that some test asks for and this machine lacks, one a line. `.ci/run`
installs them, so that a test which needs one more tool needs no change there.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tool:
    """One program."""

    commands: tuple[str, ...]
    """Names it goes by, the usual one first."""
    debian: str
    folders: str = ""
    """Pattern of folders where it lies when its package does not put it on the PATH."""

    def find(self) -> Path | None:
        """Return where it is, or None."""
        for command in self.commands:
            if found := shutil.which(command):
                return Path(found)
        beside = sorted(Path("/").glob(f"{self.folders}/{self.commands[0]}")) if self.folders else []
        return beside[-1] if beside else None


TOOLS = {
    "cargo": Tool(("cargo",), "cargo"),
    "chromium": Tool(("chromium", "chromium-browser", "google-chrome"), "chromium"),
    "dot": Tool(("dot",), "graphviz"),
    "go": Tool(("go",), "golang-go"),
    "node": Tool(("node",), "nodejs"),
    "pdfsig": Tool(("pdfsig",), "poppler-utils"),
    "postgres": Tool(("postgres",), "postgresql", folders="usr/lib/postgresql/*/bin"),
    "promtool": Tool(("promtool",), "prometheus"),
    "zbarimg": Tool(("zbarimg",), "zbar-tools"),
}


def asked_for(tests: Path) -> set[str]:
    """Return the names of the tools that tests and fixtures below `tests` ask for with `optional_tool("name")`."""
    return {
        name
        for path in (*tests.rglob("test_*.py"), *tests.rglob("conftest.py"))
        for name in re.findall(r"""\boptional_tool\(["'](\w+)["']\)""", path.read_text(encoding="utf-8"))
    }


if __name__ == "__main__":
    for name in sorted(asked_for(Path(__file__).parent)):
        if TOOLS[name].find() is None:
            print(TOOLS[name].debian)
