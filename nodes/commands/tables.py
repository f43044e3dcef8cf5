"""Tables and labelled lines for the terminal: ruled and in colour where somebody watches, plain columns in a pipe.

What stands in them was written by any department, so what a terminal would act on is escaped.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from ledger.proofs.statement import printable

WIDE = frozenset("WF")
"""East Asian widths that take two cells."""


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print rows under titles on standard output.

    Args:
        right: Titles of the columns whose texts end below each other, as those of numbers do.
    """
    if not sys.stdout.isatty():
        for line in plain_lines(titles, rows, right=right):
            print(line)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    for row in rows:
        # As Text, because a name may hold what would be markup.
        table.add_row(*map(Text, map(printable, row)))
    Console().print(table)


def plain_lines(titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> Iterator[str]:
    """Yield a line of titles and one a row, in columns as wide as their widest text."""
    lines = [titles, *([printable(text) for text in row] for row in rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        cells = [
            _padded(text, wide, to_the_right=title in right)
            for text, wide, title in zip(row, widths, titles, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def labelled_lines(pairs: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each pair whose text is not empty: the label, then the text in a column of its own."""
    widest = max(map(width, pairs), default=0)
    for label, text in pairs.items():
        if text:
            yield f"{_padded(label, widest)}  {printable(text)}"


def width(text: str) -> int:
    """Return how many cells of a terminal a text takes: two for each wide character, none for one that combines."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in WIDE)
        for character in text
    )


def _padded(text: str, wide: int, *, to_the_right: bool = False) -> str:
    space = " " * (wide - width(text))
    return space + text if to_the_right else text + space
