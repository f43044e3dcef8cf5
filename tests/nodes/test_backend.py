"""The environment chooses the backend of a process, and a choice that cannot be had ends it with a reason."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from ledger.crypto.backend import installed_library, use_backend
from ledger.crypto.signatures import SigningKey
from nodes import cli
from nodes.backend import VARIABLE
from nodes.exit_codes import ExitCode
from nodes.verification import verify_batch

LIBRARY, _ = installed_library()


@pytest.fixture(autouse=True)
def _used_before() -> Iterator[None]:
    """Give the process its backend back."""
    before = os.environ.get(VARIABLE)
    yield
    use_backend(before or "auto")


def doctor_names(capsys: pytest.CaptureFixture[str]) -> str:
    cli.main(["doctor", "--departments", "1", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return str(next(check["detail"] for check in checks if check["name"] == "validation"))


def test_python_can_be_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where there is a native core."""
    monkeypatch.setenv(VARIABLE, "python")
    assert doctor_names(capsys) == "python: chosen for this process"


@pytest.mark.skipif(LIBRARY is None, reason="needs the native core")
def test_the_portable_backend_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also on a processor that can do more."""
    monkeypatch.setenv(VARIABLE, "native-portable")
    assert doctor_names(capsys) == "native-portable: chosen for this process"


def test_a_backend_that_cannot_be_had_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the choices, and the code of every other error."""
    monkeypatch.setenv(VARIABLE, "abacus")
    assert cli.main(["doctor"]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert "'abacus'" in said
    assert "native-portable" in said
    assert said.endswith("[backend_unavailable]\n")


def test_a_node_verifies_each_batch_with_fresh_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knew it beforehand could craft signatures that pass together and not alone."""
    drawn: list[bytes] = []

    def record(items: object, entropy: bytes) -> list[bool]:
        drawn.append(entropy)
        return []

    key = SigningKey.from_seed(bytes(32))
    items = [(key.public, b"one", key.sign(b"one")), (key.public, b"two", key.sign(b"one"))]
    assert verify_batch(items) == [True, False]
    monkeypatch.setattr("ledger.crypto.signatures.verify_batch", record)
    for _ in range(3):
        verify_batch(items)
    assert len({*drawn}) == 3
    assert {len(entropy) for entropy in drawn} == {32}
