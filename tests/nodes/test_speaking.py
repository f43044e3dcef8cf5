"""How a command tells apart what became of what it had its node do."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nodes.cli import main
from nodes.data_directory import CHAIN_ID_FILE
from nodes.exchange.databases import ColumnNotGrantedError, FieldNotHeldError
from nodes.exchange.errors import CommandFailedError, CommandNotYetError


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (CommandFailedError("request_not_open", "it was answered"), 6),
        (CommandFailedError("unknown_request", "there is none"), 5),
        (CommandFailedError("not_found", "there is no such delivery"), 5),
        (CommandFailedError(FieldNotHeldError.code, "no column holds it"), 5),
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
    (tmp_path / CHAIN_ID_FILE).touch()
    words = ["share", "fetch", "AL-R1", "--out", str(tmp_path / "rows.csv"), "--directory", str(tmp_path)]
    assert main(words) == exit_code
    assert capsys.readouterr().err == f"mulu: {error} [{error.code}]\n"


def a_network(root: Path) -> None:
    """Make the directories of a network as far as a command looks at them: two nodes, and a member without one."""
    for name in ("genesis", "network.json", "policy.txt", "AY/chain-id", "AL/chain-id", "AL/keys/x", "X1/keys/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("words", "inside", "complaint"),
    [
        (["share", "refuse", "AL-R1", "--reason", "r"], "X1", "is of a member without a node: it has keys and"),
        (["share", "grant", "AL-R1"], "", "is the directory of a whole network: name a department's in it, such as "),
        (["share", "grant", "AL-R1"], "ZZ", "there is no directory"),
        (["share", "fetch", "AL-R1", "--out", "x.csv"], "AY/journal", "there is no directory"),
        (["share", "readers", "x"], "X1/keys", "is no department's directory"),
        (["catalog", "approve", "AY-90"], "", "name a department's in it, such as "),
        (["catalog", "approve", "AY-90"], "ZZ", "there is no directory"),
    ],
)
def test_a_directory_that_no_department_speaks_from_is_named(
    words: list[str], inside: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, with the argument, what the directory is, and which ones would do; no node is asked."""
    a_network(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main([*words, "--directory", str(tmp_path / inside)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("mulu: argument --directory: ")
    assert complaint in error
    if "such as" in complaint:
        assert f"such as {tmp_path / 'AL'}, {tmp_path / 'AY'};" in error


FETCH = ("fetch", "AL-R1", "--out", "x.csv")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([*FETCH, "--field", "x" * 201], "fields: has a text of more than 200 characters"),
        ([*FETCH, *["--field", "x"] * 501], "fields: has more than 500 parts"),
        ([*FETCH, "--where", "x=" + "y" * 201], "selection: has a text of more than 200 characters"),
        (["readers", "x" * 1001], "identifier: has a text of more than 1000 characters"),
    ],
)
def test_what_a_question_cannot_say_is_told_in_words(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, with the field: the decoder's own wording is for programmers."""
    with pytest.raises(SystemExit) as caught:
        main(["share", *words, "--directory", str(tmp_path)])
    assert caught.value.code == 2
    assert f"mulu: {complaint}; see `mulu share {words[0]} --help`" in capsys.readouterr().err


def test_broken_files_of_a_network_are_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1: 6 is for what a rule of the ledger refuses, and the ledger has not been asked."""
    for name in (CHAIN_ID_FILE, "keys/tls.certificate.pem", "genesis", "network.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("junk")
    assert main(["share", "grant", "AL-R1", "--directory", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("[bad_network_file]\n")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_an_identifier_in_another_encoding_is_a_usage_error(
    errors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever Python makes of the bytes in this locale; nothing of them is repeated, for they name a person."""
    (tmp_path / CHAIN_ID_FILE).touch()
    lines = io.TextIOWrapper(io.BytesIO("张三\n".encode("gbk")), encoding="utf-8", errors=errors)
    monkeypatch.setattr("sys.stdin", lines)
    with pytest.raises(SystemExit) as ended:
        main(["share", "readers", "-", "--directory", str(tmp_path)])
    assert ended.value.code == 2
    assert "standard input is not a text in UTF-8; see" in capsys.readouterr().err
