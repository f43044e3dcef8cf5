"""Where a command's result goes: into a file that is there whole or as it was before, or to standard output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nodes.files import write_file


def write_output(path: Path, content: bytes) -> None:
    """Write `content` to the file that a command was told to make, in the place of one that is there.

    What fails or is cut off on the way leaves what was there before. Through a link the file behind it is written; what
    is no file, such as `/dev/stdout` or a named pipe, is written to as it is.

    Raises:
        OSError: It cannot be written; `filename` is `path`.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            write_file(path.resolve(), content)
    except OSError as error:
        # The system may have complained of the file beside it, of which its user knows nothing.
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_new(path: Path, parser: argparse.ArgumentParser) -> None:
    """End the command with a usage error if it would write over something."""
    if path.exists() or path.is_symlink():
        parser.error(f"argument --out: {path} is there already: name a new file")


def check_no_terminal(what: str, parser: argparse.ArgumentParser) -> None:
    """End the command with a usage error if bytes that no terminal can show would be written to one."""
    if sys.stdout.isatty():
        parser.error(f"{what} is binary, and standard output a terminal: add --out FILE, or redirect it")
