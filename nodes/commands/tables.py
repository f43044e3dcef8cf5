"""Tables and labelled lines for the terminal: as wide as it is where somebody watches, plain columns in a pipe.

What stands in them was written by any department, so what a terminal would act on is escaped.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from ledger.proofs.statement import printable

WIDE = frozenset("WF")
"""East Asian widths that take two cells."""

GAP = "  "
"""Between two columns."""

INDENT = " " * 6
"""Before what stands on lines of its own below a row."""

WRAPPED_MIN = 12
"""Cells below which a column of texts is not narrowed: a name with a character or two on a line is not read."""


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print rows under titles on standard output, within the width of the terminal if it is one.

    Args:
        right: Titles of the columns whose texts end below each other, as those of numbers do.
    """
    cells = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table_lines(titles, rows, right=right, cells=cells):
        print(line)


def table_lines(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), cells: int | None = None
) -> Iterator[str]:
    """Yield a line of titles and one a row; or, within `cells` of a terminal, as many as it takes, under a rule.

    Texts are wrapped where there is no room for them, the widest columns first. Where that is not enough, the widest
    go below their row, on lines of their own; the first column, by which a row is found, stays. Numbers stay whole.
    """
    texts = zip(*([printable(text) for text in row] for row in rows), strict=True) if rows else [()] * len(titles)
    columns = [_Column(title, tuple(column), title in right) for title, column in zip(titles, texts, strict=True)]
    beside, below = _arranged(columns, cells)
    yield from _lines_of([(column.title, wide, column.right) for column, wide in beside])
    for column in below:
        yield INDENT + column.title
    if cells is not None:
        yield GAP.join("-" * wide for _, wide in beside)
    for position in range(len(rows)):
        yield from _lines_of([(column.texts[position], wide, column.right) for column, wide in beside])
        for column in below:
            # An indented line that is empty would say less than none.
            if text := column.texts[position]:
                yield from (INDENT + line for line in _wrapped(text, (cells or 0) - len(INDENT)))


def labelled_lines(pairs: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each pair whose text is not empty: the label, then the text in a column of its own."""
    widest = max(map(width, pairs), default=0)
    for label, text in pairs.items():
        if text:
            yield f"{_padded(label, widest)}  {printable(text)}"


def width(text: str) -> int:
    """Return how many cells of a terminal a text takes: two for each wide character, none for one that combines."""
    return sum(0 if unicodedata.combining(character) else 1 + _is_wide(character) for character in text)


@dataclass(frozen=True)
class _Column:
    """A column; its widths are in cells."""

    title: str
    texts: tuple[str, ...]
    right: bool

    @cached_property
    def natural(self) -> int:
        """As wide as the widest text."""
        return max(map(width, (self.title, *self.texts)))

    @cached_property
    def least(self) -> int:
        """As narrow as it may be made: no word is cut, and no number goes over two lines."""
        title = max(map(width, self.title.split()))
        if self.right:
            return max(title, *map(width, self.texts), 0)
        longest = max((width(piece.rstrip()) for text in self.texts for piece in _pieces(text)), default=0)
        return max(title, longest, min(self.natural, WRAPPED_MIN))


def _arranged(columns: Sequence[_Column], cells: int | None) -> tuple[list[tuple[_Column, int]], list[_Column]]:
    """Return the columns that stand beside each other, with their widths, and those that go below."""
    beside = list(columns)
    if cells is None:
        return [(column, column.natural) for column in beside], []
    while _total(column.least for column in beside) > cells:
        if not (texts := [column for column in beside[1:] if not column.right]):
            break
        beside.remove(max(texts, key=lambda column: column.natural))
    widths = [column.natural for column in beside]
    while _total(widths) > cells:
        spare = [place for place, column in enumerate(beside) if widths[place] > column.least]
        if not spare:
            break
        widths[max(spare, key=lambda place: widths[place])] -= 1
    return list(zip(beside, widths, strict=True)), [column for column in columns if column not in beside]


def _total(widths: Iterable[int]) -> int:
    """Return the cells that columns of these widths take with what is between them."""
    listed = list(widths)
    return sum(listed) + len(GAP) * (len(listed) - 1)


def _lines_of(row: Sequence[tuple[str, int, bool]]) -> Iterator[str]:
    """Yield the lines of one row: each cell is a text, its column's width, and whether it ends on the right."""
    for texts in zip_longest(*(_wrapped(text, wide) for text, wide, _ in row), fillvalue=""):
        padded = (_padded(text, wide, to_the_right=right) for text, (_, wide, right) in zip(texts, row, strict=True))
        yield GAP.join(padded).rstrip()


def _wrapped(text: str, cells: int) -> list[str]:
    """Return the lines of a text, each at most `cells` wide; a word that alone is wider is cut."""
    if width(text) <= cells:
        return [text]
    lines = [""]
    for piece in _pieces(text):
        if lines[-1] and width(lines[-1] + piece.rstrip()) > cells:
            lines.append("")
        for character in piece:
            if character == " " and (not lines[-1] or width(lines[-1]) >= cells):
                continue
            if lines[-1] and width(lines[-1] + character) > cells:
                lines.append("")
            lines[-1] += character
    return [line.rstrip() for line in lines]


def _pieces(text: str) -> Iterator[str]:
    """Yield what stays on one line: words with the spaces after them, and wide characters each by itself."""
    piece = ""
    for character in text:
        begins = piece[-1:] == " " and character != " "
        if piece and not unicodedata.combining(character) and (begins or _is_wide(character) or _is_wide(piece[-1])):
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in WIDE


def _padded(text: str, wide: int, *, to_the_right: bool = False) -> str:
    space = " " * (wide - width(text))
    return space + text if to_the_right else text + space
