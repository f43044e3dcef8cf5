"""Tables of the commands: aligned by cells, within the width of a terminal, and nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.commands.tables import labelled_lines, print_table, table_lines, width

TITLES = ("ID", "NAME", "ROWS", "FIELDS")
ROWS = [
    ("AY-01-D1", "营业执照登记信息 Business licences", "1,000", "permit number, holder, issued on"),
    ("AY-01-D2", "许可", "5", ""),
]

cells_of_text = st.text(st.sampled_from("ab许é\u0301 ,-"), max_size=40)


def test_columns_are_as_wide_as_their_cells() -> None:
    """Wide characters take two, combining ones none; numbers end below each other."""
    assert width("许可 a") == 6
    assert width("e\u0301") == 1
    assert list(table_lines(("NAME", "ROWS"), [("许可", "5"), ("a", "1,000")], right=("ROWS",))) == [
        "NAME   ROWS",
        "许可      5",
        "a     1,000",
    ]


def test_a_table_that_fits_is_ruled_and_not_wrapped() -> None:
    """On a terminal with room for it a row is a line, as in a pipe."""
    title, *rows = table_lines(TITLES, ROWS, right=("ROWS",))
    shown = list(table_lines(TITLES, ROWS, right=("ROWS",), cells=100))
    assert [shown[0], *shown[2:]] == [title, *rows]
    assert shown[1].split() == ["-" * wide for wide in (8, 34, 5, 32)]


def test_the_widest_texts_are_wrapped_between_words_and_wide_characters() -> None:
    """Identifiers and numbers stay whole, and columns stay aligned by cells."""
    assert list(table_lines(TITLES, ROWS, right=("ROWS",), cells=50)) == [
        "ID        NAME              ROWS  FIELDS",
        "--------  ---------------  -----  ----------------",
        "AY-01-D1  营业执照登记信   1,000  permit number,",
        "          息 Business             holder, issued",
        "          licences                on",
        "AY-01-D2  许可                 5",
    ]


def test_what_has_no_room_beside_goes_below() -> None:
    """Where wrapping is not enough, the widest texts are indented below their row, under a title of their own."""
    assert list(table_lines(TITLES, ROWS, right=("ROWS",), cells=32)) == [
        "ID         ROWS  FIELDS",
        "      NAME",
        "--------  -----  ---------------",
        "AY-01-D1  1,000  permit number,",
        "                 holder, issued",
        "                 on",
        "      营业执照登记信息 Business",
        "      licences",
        "AY-01-D2      5",
        "      许可",
    ]


@given(st.lists(st.tuples(cells_of_text, cells_of_text, cells_of_text), max_size=4), st.integers(20, 60))
def test_no_line_is_wider_than_the_terminal_and_no_character_is_lost(rows: list[tuple[str, ...]], cells: int) -> None:
    """Whatever stands in the texts: the first column stays whole, here an id; spaces alone may go."""
    numbered = [(f"R{number}", *row) for number, row in enumerate(rows)]
    shown = list(table_lines(("ID", "A", "B", "C"), numbered, cells=cells))
    assert max(map(width, shown)) <= cells
    told, written = "".join(shown), "".join("".join(row) for row in numbered)
    for character in set(written) - {" ", "-"}:
        assert told.count(character) == written.count(character) + "IDABC".count(character)


@pytest.mark.parametrize(("watched", "lines"), [(True, 6), (False, 3)])
def test_only_a_terminal_has_a_width(
    watched: bool, lines: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes into a file or a pipe is a line a row, for other programs."""
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr("sys.stdout.isatty", lambda: watched)
    print_table(TITLES, ROWS, right=("ROWS",))
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_no_text_of_the_ledger_reaches_the_terminal_as_a_command() -> None:
    """Names and reasons are any department's: escape sequences and line ends are shown, not acted on."""
    foreign = "\x1b[2J\nEstablished  yes"
    lines = [*table_lines(("NAME", "X"), [(foreign, "1")]), *labelled_lines({"Purpose": foreign})]
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
