"""The `mulu` command line: results on standard output, progress and problems on standard error.

Commands are imported only when they are called, so that `mulu verify` starts without the web framework of a node.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, NotYetError
from nodes.backend import choose_backend
from nodes.exit_codes import ExitCode


class Command(NamedTuple):
    """Where a command lives and what it is for."""

    module: str
    summary: str


COMMANDS = {
    "simulate": Command("scenarios.command", "launch a multi-department simulation and check what it leaves behind"),
    "verify": Command("nodes.commands.verify", "check a certificate's bundle offline, against a policy"),
    "certificate": Command("nodes.commands.certificate", "make a sealed page or a credential of a certificate"),
    "trace": Command("nodes.commands.trace", "show where a certificate comes from and what became of it"),
    "policy": Command("nodes.commands.policy", "show what a policy says, and hand it to other people's tools"),
    "proof": Command(
        "nodes.commands.proof",
        "fetch the proof of a certificate's issue or of any log entry, for other people's programs",
    ),
    "bench": Command("nodes.commands.bench", "measure throughput on this machine"),
    "catalog": Command("nodes.commands.catalog", "look for data of other departments, and publish one's own"),
    "share": Command(
        "nodes.commands.share", "ask for data of other departments, answer, fetch, and see what became of it"
    ),
    "node": Command("nodes.commands.node", "prepare, run and ask the node of a department"),
    "doctor": Command("nodes.commands.doctor", "say whether this machine can run Mulu, and what is missing"),
}

OWN_PACKAGES = {"ledger", "nodes", "scenarios"}

EPILOG = """\
the three jobs:
  mulu simulate beijing                                    launch 53 departments
  mulu verify CERTIFICATE.json --policy policy.txt         verify where a certificate comes from
  mulu bench validation                                    measure block validation

exit codes: 0 good, 1 failed, 2 usage, 3 verification says no, 4 cannot say, 5 not found,
            6 refused by policy, 7 unavailable, 130 interrupted, 141 the output's reader has gone, 143 terminated
"""


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line with a code, like every other error; the usage is in `--help`.

    Descriptions and examples keep their lines, also those of all its subcommands, which are parsers of this kind.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; a word too many is told by the subcommand that was called, not by `mulu` as a whole."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """End the process."""
        self.exit(ExitCode.USAGE, _problem(f"{message}; see `{self.prog} --help`", "usage") + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a pipe that knows no Chinese gets escapes instead of an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser(called=next((word for word in arguments if not word.startswith("-")), None))
    options = parser.parse_args(arguments)
    _check_texts(arguments, options, parser)
    try:
        choose_backend()
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("mulu: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`mulu ... | head`), and nobody is left to tell. That is never GOOD: a "no" that was cut
        # short would be taken for a "yes".
        _discard_output(sys.stdout, sys.stderr)
        return ExitCode.OUTPUT_CUT_OFF
    except LedgerError as error:
        print(_problem(str(error), error.code), file=sys.stderr)
        return _exit_code_of(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(_problem(f"{place}{error.strerror or error}", "system"), file=sys.stderr)
        return ExitCode.FAILED
    except ModuleNotFoundError as error:
        if (missing := (error.name or "").partition(".")[0]) in OWN_PACKAGES:
            raise
        # The core installs without what serves and draws; whoever asks for more learns how to get it.
        print(f"mulu: {missing} is not installed: pip install 'mulu[all]' [package_missing]", file=sys.stderr)
        return ExitCode.UNAVAILABLE


def program_version() -> str:
    """Return the installed version, or a mark that this is a source tree."""
    # Imported here, because reading the installed version costs a command more than its own arguments do.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mulu")
    except PackageNotFoundError:
        return "not installed"


class _ShowVersion(argparse.Action):
    """Prints the installed version, which is looked up only now, and ends the program."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show program's version number and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"mulu {program_version()}")
        parser.exit()


def build_parser(called: str | None) -> Parser:
    """Return the parser of `mulu`, in which the command that is called is described whole, and the others by a line."""
    parser = Parser(
        prog="mulu",
        description="A ledger on which a city's departments publish who is responsible for which data, have that "
        "approved,\nand issue certificates that anybody can verify.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=_ShowVersion)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        if name == called:
            importlib.import_module(command.module).add_parser(commands)
        else:
            commands.add_parser(name, help=command.summary)
    return parser


def _open_what_is_closed() -> None:
    """Let a closed standard output or error (`mulu ... >&-`) lead nowhere; a file opened later would take its place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we run


def _check_texts(words: Sequence[str], options: argparse.Namespace, parser: Parser) -> None:
    """End the program with a usage error if a word is not in UTF-8; only the names of files may be any bytes."""
    paths = {value for value in vars(options).values() if isinstance(value, Path)}
    for word in words:
        _, equals, after = word.partition("=")
        text = after if equals and word.startswith("--") else word
        # The bytes that are not UTF-8 have become these.
        if any("\ud800" <= character <= "\udfff" for character in text) and Path(text) not in paths:
            getattr(options, "parser", parser).error(f"not a text in UTF-8: {text!r}")


def _problem(message: str, code: str) -> str:
    """Return the one line that tells of a problem, with nothing that a terminal would act on."""
    # Imported here, because most commands end without a problem.
    from ledger.proofs.statement import printable

    return f"mulu: {printable(message)} [{code}]"


def _discard_output(*streams: TextIO) -> None:
    """Let what is still buffered go nowhere, because the interpreter would complain of it on its way out."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _exit_code_of(error: LedgerError) -> ExitCode:
    match error:
        case NotFoundError():
            return ExitCode.NOT_FOUND
        case NotYetError():
            return ExitCode.UNAVAILABLE
        case InvalidInputError():
            return ExitCode.REFUSED_BY_POLICY
    return ExitCode.FAILED


if __name__ == "__main__":
    sys.exit(main())
