"""What people see of a run while it goes on."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest

from scenarios.progress import Bars, Progress, open_progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _clock() -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += 1.5


def _play(progress: Progress) -> None:
    progress.phase("publish [responsibilities]", 3)
    progress.advance(2, height=4)
    progress.advance(1, height=1_200, refused=1)
    progress.note("all departments are up")
    progress.phase("issue certificates", 10)
    progress.advance(4)


def test_a_pipe_gets_one_line_a_phase() -> None:
    """Count, refusals, height and time when a phase ends; what stopped early says so."""
    stream, ticks = io.StringIO(), _clock()
    with open_progress(stream=stream, clock=lambda: next(ticks)) as progress:
        _play(progress)
    assert stream.getvalue().splitlines() == [
        "all departments are up",
        "publish [responsibilities]: 3, 1 refused, height 1,200, 1.5 s",
        "issue certificates: stopped at 4 of 10, height 1,200, 1.5 s",
    ]


def test_a_failed_run_still_says_where_it_stopped() -> None:
    """The line of the phase that was under way is written although the run ends in an error."""
    stream = io.StringIO()
    with pytest.raises(RuntimeError), open_progress(stream=stream) as progress:  # noqa: PT012
        progress.phase("issue certificates", 10)
        raise RuntimeError
    assert stream.getvalue().startswith("issue certificates: stopped at 0 of 10")


def test_quiet_says_nothing() -> None:
    """Neither phases nor notes, on a terminal or not."""
    for stream in (io.StringIO(), Terminal()):
        with open_progress(quiet=True, stream=stream) as progress:
            _play(progress)
        assert stream.getvalue() == ""


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both phases with their counts and the height, names as they are, brackets included."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with open_progress(stream=stream) as progress:
        assert isinstance(progress, Bars)
        _play(progress)
    shown = stream.getvalue()
    for text in ("publish [responsibilities]", "3/3", "height 1,200", "1 refused", "4/10", "all departments are up"):
        assert text in shown


def test_a_narrow_terminal_keeps_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts, height and refusals stay whole; the bar goes and the name is shortened, each phase on one line."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    with open_progress(stream=stream) as progress:
        progress.phase("publish systems, define certificate types", 175)
        progress.advance(175, height=1_200, refused=17)
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue()).splitlines()[-1]
    assert re.fullmatch(r"✓ publish sys.*… 175/175 height 1,200, 17 refused 0:00:0\d", last)
    assert len(last) == 60


def test_no_color_leaves_out_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the bars move the cursor and set no colour."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with open_progress(stream=stream) as progress:
        _play(progress)
    assert "\x1b[3" not in stream.getvalue()
    assert "\x1b[38" not in stream.getvalue()


def test_a_dumb_terminal_is_as_good_as_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """No control characters where the terminal cannot move its cursor."""
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with open_progress(stream=stream) as progress:
        _play(progress)
    assert "\x1b" not in stream.getvalue()
