"""What the documents name is there: files, records, roles, metrics, codes, paths."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import ledger
import nodes
from ledger.blocks.refusals import RecordRefusal, Refused
from ledger.crypto.hashing import Tag
from ledger.errors import LedgerError
from ledger.members.departments import AUDITOR, DEPARTMENT, DIRECTORY_AUTHORITY, PROVIDER, REGISTRAR
from ledger.registers import RULEBOOK
from ledger.registers.sharing.permissions import PERMISSIONS
from nodes.gateway.app import create_app
from nodes.observe import Gauges, NodeMetrics

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "scenarios/**/*.md", "ledger/decisions/*.md")
    for path in PROJECT.glob(pattern)
)
COLUMNS = (DEPARTMENT, PROVIDER, REGISTRAR, DIRECTORY_AUTHORITY, AUDITOR)


def text_of(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    """A document that moves takes its links along."""
    # What stands in code is an example, not a link.
    prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", prose):
        if not target.startswith("https://"):
            assert (document.parent / target).exists(), target


def documented_roles() -> dict[str, list[bool]]:
    """Return the table of docs/registers.md, by record."""
    _, _, section = text_of("docs/registers.md").partition("## Who may state what")
    section, _, _ = section.partition("\n## ")
    roles: dict[str, list[bool]] = {}
    for row in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE):
        first, *cells = [cell.strip() for cell in row.split("|")]
        register = ""
        for name in re.findall(r"`([^`]+)`", first):
            register = name.partition(".")[0] if "." in name else register
            record = name if "." in name else f"{register}.{name}"
            roles[record] = [cell == "yes" for cell in cells[: len(COLUMNS)]]
    return roles


def test_the_table_of_roles_is_what_the_rules_ask_for() -> None:
    """A rule asks for the role before it looks at the record, so that an empty ledger and no record show it.

    In sharing it depends on what the record is about: docs/roles.md.
    """
    found = {
        str(kind.__struct_config__.tag): [_may_state(rule, role) for role in COLUMNS]
        for kind, rule in RULEBOOK.rules.items()
        if kind not in PERMISSIONS
    }
    assert documented_roles() == found


def _may_state(rule: object, role: str) -> bool:
    context = SimpleNamespace(roles=frozenset({role}))
    try:
        rule(SimpleNamespace(), context)  # type: ignore[operator]
    except Refused as refused:
        return refused.code is not RecordRefusal.NOT_AUTHORISED
    except AttributeError:
        # It went on to what the record says.
        return True
    raise AssertionError(f"{rule} took a record without fields")


def test_operations_names_every_metric_and_no_other() -> None:
    """Who sets an alarm finds the name here, and the metric under that name."""
    metrics = NodeMetrics(
        lambda: Gauges(
            height=0,
            checkpoint_height=0,
            round=0,
            pool_envelopes=0,
            peers_connected=0,
            peers_expected=0,
            journal_bytes=0,
            index_height=0,
            index_failed=False,
        )
    )
    served = set(re.findall(r"^# TYPE (\S+)", metrics.text().decode(), re.MULTILINE))
    served = {name for name in served if not name.endswith("_created")}
    assert set(re.findall(r"`(mulu_[a-z_]+)", text_of("docs/operations.md"))) == served


def error_codes() -> Iterator[str]:
    """Yield the code of every class of error in the core and the nodes."""
    for package in (ledger, nodes):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name != "ledger._native":
                importlib.import_module(module.name)
    waiting = [LedgerError]
    while waiting:
        kind = waiting.pop()
        yield kind.code
        waiting += kind.__subclasses__()


def test_codes_in_troubleshooting_exist() -> None:
    """A code that a reader looks up is one that a node prints."""
    known = {*error_codes(), *(code.label for code in RULEBOOK.codes.values()), "package_missing"}
    _, _, section = text_of("README.md").partition("## Troubleshooting")
    named = set(re.findall(r"\[([a-z_]+)\]`", section))
    assert named
    assert named <= known
    _, _, disk = text_of("docs/operations.md").partition("## The disk")
    disk, _, _ = disk.partition("\n## ")
    assert set(re.findall(r"^\| `([a-z_]+)`", disk, re.MULTILINE)) <= known


def test_every_kind_of_hash_in_the_formats_exists() -> None:
    """A second implementation that takes a kind from the page hashes as the ledger does."""
    page = text_of("docs/formats.md")
    kinds = {tag.value.decode().split("/")[1] for tag in Tag}
    named = {*re.findall(r'tagged\("([a-z-]+)"', page), *re.findall(r"mulu/([a-z-]+)/1\\0", page)}
    assert named
    assert named <= kinds


def test_paths_in_the_guide_to_the_gateway_exist() -> None:
    """Each path that is written out in full is one that the gateway describes."""
    described = create_app(SimpleNamespace()).openapi()["paths"]  # type: ignore[arg-type]
    patterns = [re.sub(r"\\\{[a-z]+\\\}", "[^/]+", re.escape(path)) for path in described]
    named = set(re.findall(r"(?:`|\$MULU_NODE)((?:/api/v1)?/[a-zA-Z0-9/{}-]+)", text_of("docs/gateway.md")))
    full = {path for path in named if path.startswith("/api/v1/") and "{sort}" not in path}
    assert len(full) >= 8
    for path in full:
        assert any(re.fullmatch(pattern, path) for pattern in patterns), path
