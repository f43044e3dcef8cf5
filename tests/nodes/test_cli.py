"""The command line as people and scripts meet it: versions, help with examples, one line for each error, exit codes."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nodes import cli
from nodes.exit_codes import ExitCode
from scripts.generate_docs import command_parsers

PROJECT = Path(__file__).resolve().parents[2]

PARSERS = {parser.prog: parser for parser in command_parsers()}
"""Every command and subcommand by its full name."""


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of a command."""
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def check_one_line_with_code(stderr: str, code: str) -> None:
    """Check that an error is one line that ends with its code."""
    assert re.fullmatch(rf"mulu: [^\n]+ \[{code}\]\n", stderr), stderr


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`mulu --version` names the program and its version, and succeeds."""
    code, out, err = call(capsys, "--version")
    assert (code, err) == (ExitCode.GOOD, "")
    assert re.fullmatch(r"mulu (\d+\.\d+\.\d+\S*|not installed)\n", out)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("node",),
        ("node", "fly"),
        ("node", "init"),
        ("node", "init", "--departments", "two", "--out", "somewhere"),
        ("node", "status", "not a url"),
        ("node", "status", "http://127.0.0.1:99999"),
        ("trace", "x", "--node", "http://["),
        ("trace", "x", "--node", "file:///etc/passwd"),
        ("trace", "x", "--timeout", "-1"),
        ("trace", "x", "--timeout", "nan"),
        ("simulate",),
        ("simulate", "shanghai"),
        ("simulate", "beijing", "--engine", "solo"),
        ("simulate", "beijing", "--keep", __file__),
        ("bench", "validation", "--rounds", "0"),
        ("bench", "validation", "--seed", "-1"),
        ("bench", "targets", "--seed", "x"),
        ("bench", "validation", "--directory", "/nonexistent"),
        ("doctor", "--departments", "0"),
        ("doctor", "--departments", "54"),
        ("doctor", "--fly"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_ends_with_2_and_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Whoever calls wrongly learns in one line what is wrong and where to read on."""
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    check_one_line_with_code(err, "usage")
    assert "--help` [usage]" in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("verify", "a", "b"), "unrecognized arguments: b; see `mulu verify --help`"),
        (
            ("share", "status", "--directory", "AY"),
            "unrecognized arguments: --directory; see `mulu share status --help`",
        ),
        (("bench", "validation", "--report", "out"), "see `mulu bench validation --help`"),
        (
            ("node", "init", "--departments", "x", "--out", "n"),
            "argument --departments: not a number from 1 to 500: 'x'",
        ),
    ],
)
def test_a_wrong_call_is_sent_to_the_help_of_what_was_called(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    """That of `mulu` as a whole says nothing of a subcommand's arguments."""
    code, _, err = call(capsys, *arguments)
    assert code == ExitCode.USAGE
    assert complaint in err


@pytest.mark.parametrize("name", PARSERS)
def test_every_help_has_an_example_that_calls_it(name: str) -> None:
    """The help of each command and subcommand shows at least one call of itself, which it would take."""
    text = PARSERS[name].format_help()
    examples = re.findall(rf"^  {name} ?.*$", text.partition("example")[2], flags=re.MULTILINE)
    assert examples, text


@pytest.mark.parametrize("name", PARSERS)
def test_every_argument_says_what_it_means(name: str) -> None:
    """Nobody has to guess at a word in capitals."""
    arguments = [each for each in PARSERS[name]._actions if not isinstance(each, argparse._SubParsersAction)]
    assert [each.dest for each in arguments if not each.help] == []


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """`mulu --help` names all commands, and the meaning of the exit codes."""
    code, out, _ = call(capsys, "--help")
    assert code == ExitCode.GOOD
    assert all(re.search(rf"^    {name}(?: |$)", out, flags=re.MULTILINE) for name in cli.COMMANDS)
    assert "exit codes: 0 good" in out


def test_a_package_that_is_not_installed_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core alone installs without what serves; the error says how to get the rest."""

    def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        parser = commands.add_parser("doctor")
        parser.set_defaults(run=lambda _: importlib.import_module("fastapi_that_is_not_here.app"))

    monkeypatch.setattr("nodes.commands.doctor.add_parser", add_parser)
    code, out, err = call(capsys, "doctor")
    assert (code, out) == (ExitCode.UNAVAILABLE, "")
    check_one_line_with_code(err, "package_missing")
    assert "fastapi_that_is_not_here is not installed" in err


def test_an_error_of_the_system_is_one_line_with_the_path(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A path below a file cannot be made, and no traceback says so."""
    (tmp_path / "notes").write_text("a file")
    out = tmp_path / "notes" / "network"
    code, stdout, err = call(capsys, "node", "init", "--departments", "1", "--out", str(out))
    assert (code, stdout) == (ExitCode.FAILED, "")
    check_one_line_with_code(err, "system")
    assert str(tmp_path / "notes") in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("share", "refuse", "AL-R1", "--reason", "\udcff"),
        ("share", "grant", "AL-R1", "--conditions", "\udcff"),
        ("share", "fetch", "AL-R1", "--out", "rows.csv", "--where", "district=\udcff", "--directory", "."),
        ("catalog", "search", "permits", "\udcff"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_argument_that_is_no_text_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Bytes that are not UTF-8 reach the program as lone surrogates, which nothing can send or sign."""
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    check_one_line_with_code(err, "usage")
    assert re.search(r"not a text in UTF-8: '[^']*\\udcff'", err)


def test_a_problem_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A path with line breaks and escape sequences in its name is shown, and no terminal acts on it."""
    code, out, err = call(capsys, "policy", "show", "no\nsuch\x1b[31m \u202efile")
    assert (code, out) == (ExitCode.FAILED, "")
    check_one_line_with_code(err, "unreadable_policy")
    assert "no\\nsuch\\x1b[31m \\u202efile" in err


@pytest.mark.parametrize(
    ("closing", "arguments", "code"),
    [
        (">&-", "--help", ExitCode.GOOD),
        (">&-", "node status", ExitCode.USAGE),
        ("2>&-", "verify no-such-file --policy none", ExitCode.CANNOT_SAY),
        (">&-", "doctor --departments 1 --json", ExitCode.GOOD),
        (">&- 2>&-", "node status", ExitCode.USAGE),
    ],
)
def test_a_closed_stream_leads_nowhere(closing: str, arguments: str, code: ExitCode) -> None:
    """The exit code is what it would be; nothing else is said, on neither stream."""
    program = f"{sys.executable} -c 'import sys; from nodes.cli import main; sys.exit(main())' {arguments} {closing}"
    ended = subprocess.run(["sh", "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == code
    assert ended.stdout == ""


def test_results_that_could_not_be_kept_are_not_computed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The directory of `--keep` is made before the run, not after it."""
    (tmp_path / "notes").write_text("a file")
    keep = tmp_path / "notes" / "out"
    code, out, err = call(capsys, "simulate", "beijing", "--departments", "4", "--virtual", "--keep", str(keep))
    assert (code, out) == (ExitCode.FAILED, "")
    check_one_line_with_code(err, "system")


@pytest.mark.parametrize(
    ("content", "label"), [("junk", "unreadable_file"), ("[]", "unreadable_file"), (None, "system")]
)
def test_figures_that_cannot_be_read_are_not_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None, label: str
) -> None:
    """A file that is none of `mulu bench targets` ends the report before anything is measured or made, with 1."""
    file, report = tmp_path / "targets.json", tmp_path / "out"
    if content is not None:
        file.write_text(content)
    code, out, err = call(capsys, "bench", "--report", str(report), "--targets", str(file))
    assert (code, out, report.exists()) == (ExitCode.FAILED, "", False)
    check_one_line_with_code(err, label)
    assert str(file) in err


def test_the_days_of_a_virtual_run_have_their_limits_in_the_help() -> None:
    """Nobody has to guess what is too few."""
    assert "7 to 400" in " ".join(PARSERS["mulu simulate"].format_help().split())


def test_an_interrupted_command_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and no traceback."""

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nodes.commands.doctor.examine", interrupt)
    assert call(capsys, "doctor") == (ExitCode.INTERRUPTED, "", "mulu: interrupted\n")


def test_an_output_that_nobody_reads_is_never_a_yes() -> None:
    """`mulu verify ... | head` must not end well because the reader had seen enough; and no traceback says it."""
    call = [sys.executable, "-m", "nodes.cli", "verify", "nowhere.json", "--json"]
    assert subprocess.run(call, cwd=PROJECT, capture_output=True, check=False).returncode == ExitCode.CANNOT_SAY
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(call, cwd=PROJECT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert done.returncode == ExitCode.OUTPUT_CUT_OFF
    assert re.fullmatch(r"mulu: [^\n]+ \[no_policy\]\n", done.stderr)
