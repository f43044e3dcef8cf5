"""What may import what, and what the core may not touch.

The order stands in ARCHITECTURE.md ("Layers of `ledger/`"), the ban in pyproject.toml (ruff's `banned-api`, which ruff
itself enforces in editors and in `make lint`). Both are read from there, so neither can drift from what is checked.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))

BANNED: dict[str, str] = {
    name: rule["msg"] for name, rule in PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"].items()
}
BANNED_CALLS = {
    "open": "no files in ledger/",
    "input": "no input in ledger/",
    "print": "no output in ledger/",
    "generate": "no randomness in ledger/: keys are made in nodes/",
}
"""Builtins, which are not imported, and `Ed25519PrivateKey.generate()`, whose module is otherwise welcome."""

IMPORT_NAMES = {"google-crc32c": "google_crc32c"}
"""Distributions whose import name differs from their own."""
LIBRARIES = {
    IMPORT_NAMES.get(name, name)
    for name in (re.split(r"[<>=~!;\[ ]", requirement)[0] for requirement in PYPROJECT["project"]["dependencies"])
}

STAND_ALONE = ("ledger", "verify")
"""The verifier of one file: a program to be copied and read by itself, so that it is no layer. It reads files and the
clock, imports the two libraries below and nothing of the project, and nothing of the project imports it."""
STAND_ALONE_MAY_IMPORT = {"cryptography", "msgpack"}
NO_FILE_NEEDS = {"asyncio", "ctypes", "http", "importlib", "multiprocessing", "os", "socket", "subprocess", "urllib"}
"""Parts of the standard library by which a program that checks one file against another could do more than that."""

CONSENSUS_MAY_IMPORT = {"errors", "identifiers", "limits", "encoding", "crypto", "storage", "blocks", "members"}
"""The engine orders blocks and never looks at what they mean."""


def read_layers(text: str) -> tuple[str, ...]:
    """Return the names in the layer table of ARCHITECTURE.md, first what imports nothing.

    Read row by row and, inside a row, from left to right: a module imports only from names before its own.
    """
    _, _, section = text.partition("## Layers of `ledger/`")
    section, _, _ = section.partition("\n## ")
    first_cells = re.findall(r"^\| (`[^|]*`) \|", section, flags=re.MULTILINE)
    return tuple(name for cell in first_cells for name in re.findall(r"`(\w+)/?`", cell))


LAYERS = read_layers((PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Violation:
    """One line that imports or uses what it must not."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def check_tree(root: Path) -> list[Violation]:
    """Return every violation in the packages below `root`, in the order of files and lines."""
    registers = frozenset(folder.name for folder in (root / "ledger" / "registers").glob("*/"))
    found: list[Violation] = []
    for package in ("ledger", "nodes", "scenarios"):
        for path in sorted((root / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
            problems = list(_check_imports(path.relative_to(root), tree, registers))
            if package == "ledger" and path != root.joinpath(*STAND_ALONE).with_suffix(".py"):
                problems += _check_uses(tree)
            found += [Violation(f"{path.relative_to(root)}:{line}", reason) for line, reason in sorted(problems)]
    return found


def _check_imports(path: Path, tree: ast.Module, registers: frozenset[str]) -> Iterator[tuple[int, str]]:
    *package, name = path.with_suffix("").parts
    module = tuple(package) if name == "__init__" else (*package, name)
    for line, target in _imports(tree, tuple(package)):
        reason = _why_not(module, target, registers)
        if reason:
            yield line, f"{'.'.join(module)} imports {'.'.join(target)}: {reason}"


def _imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield line and full name of everything imported, wherever it stands: under `if TYPE_CHECKING`, in a function.

    Args:
        package: The package that holds the module, from which relative imports count.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = package[: len(package) - node.level + 1] + base
            for alias in node.names:
                # `from ledger import errors` names a module, `from ledger.errors import DecodeError` a thing in one.
                yield node.lineno, (*base, alias.name)


def _why_not(module: tuple[str, ...], target: tuple[str, ...], registers: frozenset[str]) -> str | None:
    """Return the rule that `module` breaks by importing `target`, or None."""
    if module == STAND_ALONE:
        allowed = (sys.stdlib_module_names - NO_FILE_NEEDS) | STAND_ALONE_MAY_IMPORT
        return None if target[0] in allowed else "the verifier of one file stands alone"
    if target[:2] == STAND_ALONE:
        return "the verifier of one file shares no code with the project"
    match module[0], target[0]:
        case "ledger", "nodes" | "scenarios" | "tests" | "benchmarks":
            return "ledger/ imports nothing of the project but itself"
        case "ledger", "ledger":
            return _why_not_inside_ledger(module, target, registers)
        case "ledger", outside:
            banned = next((BANNED[name] for name in _prefixes(target) if name in BANNED), None)
            if banned is None and outside not in sys.stdlib_module_names | LIBRARIES:
                return "not among the dependencies of the core"
            return banned
        case "nodes", "scenarios":
            return "nodes/ does not know scenarios/"
        case "scenarios", "nodes" if target[:2] != ("nodes", "launcher"):
            return "scenarios/ may start processes through nodes.launcher and nothing else"
    return None


def _why_not_inside_ledger(module: tuple[str, ...], target: tuple[str, ...], registers: frozenset[str]) -> str | None:
    if len(module) == 1:
        return "the package itself stays empty, so that importing a part of it loads only that part"
    if len(target) == 1 or target[1] == "*":
        return "names no layer"
    own, other = module[1], target[1]
    for name in (own, other):
        if name not in LAYERS:
            return f"{name} is not in the layer table of ARCHITECTURE.md"
    if own == "registers" == other:
        return _why_not_between_registers(module[2:], target[2:], registers)
    if own == "consensus" != other and other not in CONSENSUS_MAY_IMPORT:
        return "consensus orders blocks and knows nothing of what they mean"
    if LAYERS.index(other) > LAYERS.index(own):
        return f"{other} stands below {own} in the layer table"
    return None


def _why_not_between_registers(own: tuple[str, ...], other: tuple[str, ...], registers: frozenset[str]) -> str | None:
    """As `_why_not`, for names without their `ledger.registers`."""
    # `registers/__init__.py`, whose own name is empty here, is the list of them all.
    if not own or not registers.intersection(other[:1]) or own[0] == other[0]:
        return None
    if own[0] in registers:
        return "registers do not import each other: read the state through the context"
    return "what the registers share knows none of them"


def _prefixes(name: tuple[str, ...]) -> Iterator[str]:
    for length in range(1, len(name) + 1):
        yield ".".join(name[:length])


def _check_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and reason of banned calls and of banned attributes such as `datetime.now`."""
    clocks = {tuple(name.split(".")[-2:]): reason for name, reason in BANNED.items() if name.startswith("datetime.")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if (owner, node.attr) in clocks:
                yield node.lineno, f"uses {owner}.{node.attr}: {clocks[owner, node.attr]}"
        if isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            # `text.open()` would be a method of a value; the builtins are bare names, `generate` never is.
            if name in BANNED_CALLS and isinstance(function, ast.Name) != (name == "generate"):
                yield node.lineno, f"calls {name}(): {BANNED_CALLS[name]}"


def test_every_import_points_upwards_and_the_core_touches_nothing_outside() -> None:
    """No module of the project breaks the import order or the ban."""
    violations = check_tree(PROJECT)
    assert not violations, "\n" + "\n".join(map(str, violations))


def test_the_table_names_the_layers_from_errors_to_the_replica() -> None:
    """The table in ARCHITECTURE.md is there, has no name twice, and names every module and package of the core."""
    assert LAYERS[0] == "errors"
    assert LAYERS[-1] == "replica"
    assert len(set(LAYERS)) == len(LAYERS)
    present = {path.stem for path in (PROJECT / "ledger").glob("*.py")} | {
        path.parent.name for path in (PROJECT / "ledger").glob("*/__init__.py")
    }
    assert present - {"__init__", STAND_ALONE[1]} <= set(LAYERS)


FORBIDDEN = {
    "upwards only": ("ledger/crypto/merkle.py", "from ledger.blocks.log import entry", "stands below"),
    "upwards only, by module": ("ledger/errors.py", "from ledger import limits", "stands below"),
    "upwards only, relative": ("ledger/state/store.py", "from ..proofs import bundle", "stands below"),
    "upwards only, relative in a package": ("ledger/crypto/__init__.py", "from ..blocks import log", "stands below"),
    "upwards only, for types": (
        "ledger/blocks/log.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ledger.replica import Replica",
        "stands below",
    ),
    "upwards only, inside a function": ("ledger/limits.py", "def f():\n    import ledger.replica", "stands below"),
    "unknown layer": ("ledger/helpers.py", "import ledger.errors", "layer table"),
    "empty top": ("ledger/__init__.py", "from ledger.errors import LedgerError", "stays empty"),
    "consensus without registers": ("ledger/consensus/leader.py", "import ledger.registers.members", "orders blocks"),
    "consensus without state": ("ledger/consensus/safety.py", "from ledger.state import store", "orders blocks"),
    "registers apart": (
        "ledger/registers/alpha/rules.py",
        "from ledger.registers.beta.values import Value",
        "do not import each other",
    ),
    "registers apart, and what they share": (
        "ledger/registers/context.py",
        "from ledger.registers import alpha",
        "knows none of them",
    ),
    "core without nodes": ("ledger/replica.py", "import nodes.journal", "nothing of the project"),
    "core without scenarios": ("ledger/replica.py", "from scenarios import simulator", "nothing of the project"),
    "nodes without scenarios": ("nodes/runner.py", "import scenarios.beijing", "does not know"),
    "scenarios only start nodes": ("scenarios/beijing/live.py", "from nodes import journal", "nodes.launcher"),
    "no clock": ("ledger/replica.py", "import time", "no clock"),
    "no clock by from": ("ledger/replica.py", "from time import monotonic as tick", "no clock"),
    "no now": ("ledger/replica.py", "from datetime import datetime\nx = datetime.now()", "no clock"),
    "no today": ("ledger/replica.py", "import datetime\nx = datetime.date.today", "no clock"),
    "no randomness": ("ledger/replica.py", "import random", "no randomness"),
    "no new keys": ("ledger/replica.py", "x = Ed25519PrivateKey.generate()", "no randomness"),
    "no environment": ("ledger/replica.py", "import os.path", "no files"),
    "no event loop": ("ledger/replica.py", "import asyncio", "no event loop"),
    "no sockets": ("ledger/replica.py", "from socket import socket", "no network"),
    "no threads": ("ledger/replica.py", "import concurrent.futures", "no threads"),
    "no files": ("ledger/replica.py", "from pathlib import Path", "no files"),
    "no files without an import": ("ledger/replica.py", "x = open('/dev/urandom').read()", "no files"),
    "no output": ("ledger/replica.py", "print('executed')", "no output"),
    "the verifier of one file alone": ("ledger/verify.py", "from ledger.errors import ProofError", "stands alone"),
    "the verifier of one file without a codec": ("ledger/verify.py", "import msgspec", "stands alone"),
    "the verifier of one file without a network": ("ledger/verify.py", "import socket", "stands alone"),
    "nobody needs the verifier of one file": ("nodes/cli.py", "from ledger import verify", "shares no code"),
    "no other library": ("ledger/replica.py", "import fastapi", "dependencies"),
}


@pytest.mark.parametrize(("path", "source", "reason"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_planted_violation_is_found(tmp_path: Path, path: str, source: str, reason: str) -> None:
    """Each rule catches a file that breaks it, and names the file and the rule."""
    violations = _check_planted(tmp_path, path, source)
    assert [violation.place.rpartition(":")[0] for violation in violations] == [path]
    assert reason in violations[0].reason


ALLOWED = {
    "upwards": ("ledger/replica.py", "from ledger.consensus import engine\nimport ledger.errors"),
    "inside a package": ("ledger/crypto/merkle.py", "from ledger.crypto.hashing import Tag\nfrom . import edwards"),
    "the list of registers": ("ledger/registers/__init__.py", "from ledger.registers.alpha.rules import ALPHA"),
    "inside a register": ("ledger/registers/alpha/rules.py", "from ledger.registers.alpha.values import Value"),
    "dates": ("ledger/members/calendar.py", "from datetime import UTC, datetime\nx = datetime.fromtimestamp(0, UTC)"),
    "the verifier of one file": ("ledger/verify.py", "import time, msgpack\nfrom pathlib import Path\nopen('bundle')"),
    "libraries of the core": ("ledger/encoding.py", "import msgspec\nimport cryptography.hazmat.primitives"),
    "launcher": ("scenarios/beijing/live.py", "from nodes.launcher import launch\nfrom nodes import launcher"),
    "nodes do what the core may not": ("nodes/runner.py", "import asyncio, time, random\nopen('journal')"),
}


@pytest.mark.parametrize(("path", "source"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_the_rules_allow_is_not_reported(tmp_path: Path, path: str, source: str) -> None:
    """The check does not cry wolf on what the layers are there for."""
    assert _check_planted(tmp_path, path, source) == []


def _check_planted(root: Path, path: str, source: str) -> list[Violation]:
    for register in ("alpha", "beta"):
        (root / "ledger" / "registers" / register).mkdir(parents=True)
    planted = root / path
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(source, encoding="utf-8")
    return check_tree(root)
