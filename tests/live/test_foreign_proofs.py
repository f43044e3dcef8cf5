"""Running nodes, the commands, and other people's programs: a certificate's issue is accepted far from here."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ledger.crypto.merkle import leaf_hash, root_of
from ledger.proofs.notes import parse_note
from nodes.exit_codes import ExitCode
from tests.foreign.go_programs import judge_with
from tests.live.conftest import CityAtWork
from tests.live.network import MULU, WAIT_S

pytestmark = pytest.mark.live


def mulu(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MULU, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False)


def test_a_foreign_program_accepts_what_the_commands_make(
    city_at_work: CityAtWork, tmp_path: Path, optional_tool: Callable[[str], Path]
) -> None:
    """The policy for tools comes from the network's directory, the proof from one node and completed by all."""
    judge = judge_with(optional_tool("go"), tmp_path / "go")
    launcher = city_at_work.launcher
    node = launcher.gateway_url(launcher.codes[0])
    page = httpx.get(f"{node}/api/v1/state/certificates", params={"limit": 1}, timeout=WAIT_S, trust_env=False)
    certificate = page.raise_for_status().json()["items"][0]["id"]
    policy, proof, entry = tmp_path / "policy.txt", tmp_path / "issue.tlog-proof", tmp_path / "entry"
    exported = mulu("policy", "export", str(launcher.root), "--for-tools", "--out", str(policy))
    assert exported.returncode == ExitCode.GOOD, exported.stderr
    command = ("proof", certificate, "--node", node, "--for-tools", str(policy), "--entry", str(entry))
    fetched = mulu(*command, "--out", str(proof))
    assert fetched.returncode == ExitCode.GOOD, fetched.stderr
    verified = mulu("verify", str(proof), "--policy", str(policy))
    assert verified.returncode == ExitCode.GOOD, verified.stdout + verified.stderr
    assert "certificates.issue, number" in verified.stdout
    parts = {"entry": entry, "proof": proof, "policy": policy}
    case = {name: base64.b64encode(path.read_bytes()).decode() for name, path in parts.items()}
    for program in ("xmod", "transparencydev"):
        assert judge(program, [{"name": "issue", **case}]) == {"issue": ""}


def test_all_nodes_serve_one_log(city_at_work: CityAtWork) -> None:
    """The same tiles, whoever is asked; and from the entries of one follows the root that a quorum has cosigned."""
    launcher = city_at_work.launcher
    urls = [launcher.gateway_url(code) for code in launcher.codes]
    with httpx.Client(timeout=WAIT_S, trust_env=False) as client:
        notes = [parse_note(client.get(f"{url}/checkpoint").text) for url in urls]
        size = min(note.size for note in notes)
        hashes = b""
        for tile in range(-(-size // 256)):
            width = min(256, size - 256 * tile)
            path = f"/tile/0/{tile:03}" + (f".p/{width}" if width < 256 else "")
            served = {client.get(url + path).raise_for_status().content for url in urls}
            assert len(served) == 1
            hashes += served.pop()
            entries = client.get(urls[0] + path.replace("/0/", "/entries/")).content
            leaves = []
            while entries:
                length = int.from_bytes(entries[:2], "big")
                leaves.append(leaf_hash(entries[2 : 2 + length]))
                entries = entries[2 + length :]
            assert b"".join(leaves) == hashes[-32 * width :]
    (note,) = {note.root: note for note in notes if note.size == size}.values()
    assert root_of([type(note.root)(hashes[at : at + 32]) for at in range(0, len(hashes), 32)]) == note.root
