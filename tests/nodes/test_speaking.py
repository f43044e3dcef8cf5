"""How a command tells apart what became of what it had its node do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.cli import main
from nodes.exchange.databases import ColumnNotGrantedError
from nodes.exchange.errors import CommandFailedError, CommandNotYetError


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (CommandFailedError("request_not_open", "it was answered"), 6),
        (CommandFailedError("unknown_request", "there is none"), 5),
        (CommandFailedError("not_found", "there is no such delivery"), 5),
        (CommandFailedError("unknown_key", "not a key of the department"), 6),
        (CommandFailedError(ColumnNotGrantedError.code, "not granted"), 6),
        (CommandFailedError("bad_question", "no such question"), 6),
        (CommandFailedError("delivery_tampered", "it was changed"), 1),
        (CommandFailedError("output", "the file exists"), 1),
        (CommandNotYetError("connection_cut", "ask again"), 7),
        (CommandNotYetError("delivery_open", "another question waits"), 7),
    ],
    ids=lambda value: value.code if isinstance(value, CommandFailedError) else str(value),
)
def test_what_a_node_could_not_do_has_an_exit_code(
    error: CommandFailedError,
    exit_code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """6 refused by a rule, 5 nothing of this name, 7 not now, 1 failed; with the code in brackets."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("nodes.commands.speaking.command", refuse)
    words = ["share", "fetch", "AL-R1", "--out", str(tmp_path / "rows.csv"), "--directory", str(tmp_path)]
    assert main(words) == exit_code
    assert capsys.readouterr().err == f"mulu: {error} [{error.code}]\n"
