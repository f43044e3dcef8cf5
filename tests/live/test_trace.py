"""`mulu trace` against a running node: from the responsibility to the last change, each with block and time."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import httpx
import pytest

from ledger.registers.certificates.identifier import format_identifier, parse_identifier
from nodes.exit_codes import ExitCode
from tests.live.conftest import CityAtWork
from tests.live.network import MULU, WAIT_S

pytestmark = pytest.mark.live

STEP = re.compile(r"(\S.*?) {2,}block +([0-9]+)  ([0-9T:.+-]+)  (\S.*); (?:not )?proven.*")

USES = ("Copy drawn", "Verification recorded")


def trace(identifier: str, node: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    command = [MULU, "trace", identifier, "--node", node]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    return done.returncode, done.stdout, done.stderr


def changed_certificate(node: str) -> dict[str, Any]:
    """A certificate that has been changed since its issue, as the register has it."""
    page = httpx.get(f"{node}/api/v1/state/certificates", params={"limit": 200}, timeout=WAIT_S, trust_env=False)
    values = [item["value"] for item in page.raise_for_status().json()["items"]]
    return max(values, key=lambda value: int(value["changes"]))


def test_the_chain_is_the_same_at_every_node(city_at_work: CityAtWork) -> None:
    """Responsibility, approval, type, issue, changes: in the order of their blocks, and every node says the same."""
    launcher = city_at_work.launcher
    urls = [launcher.gateway_url(code) for code in launcher.codes]
    certificate = changed_certificate(urls[0])
    assert certificate["changes"] > 0
    answers = [trace(certificate["identifier"], url) for url in urls]
    assert [code for code, _, _ in answers] == [ExitCode.GOOD] * len(urls), answers
    chains = [[match.groups() for match in map(STEP.fullmatch, out.splitlines()) if match] for _, out, _ in answers]
    assert all(chain == chains[0] for chain in chains)
    # What no checkpoint covers yet is not proven yet; what was issued long ago is.
    assert all("CONTRADICTED" not in out and "; proven" in out for _, out, _ in answers)
    # Copies and verifications follow after the changes: they are uses, and change nothing.
    changes = [(step[0], int(step[1])) for step in chains[0] if step[0] not in USES]
    heights = [height for _, height in changes]
    assert [title for title, _ in changes[:4]] == ["Responsibility published", "Approval", "Type defined", "Issue"]
    assert heights == sorted(heights)
    assert heights[3] == certificate["issued_height"]
    assert len(heights) == 4 + certificate["changes"]
    assert heights[-1] == certificate["changed_height"]


def test_a_certificate_that_was_never_issued(city_at_work: CityAtWork) -> None:
    """A right identifier that the ledger does not know: exit code 5 and one line."""
    launcher = city_at_work.launcher
    url = launcher.gateway_url(launcher.codes[0])
    parts = parse_identifier(changed_certificate(url)["identifier"])
    code, out, err = trace(format_identifier(parts._replace(serial="20991231ZZZZZZZZ")), url)
    assert (code, out) == (ExitCode.NOT_FOUND, "")
    assert re.fullmatch(r"mulu: [^\n]+ \[not_found\]\n", err)
