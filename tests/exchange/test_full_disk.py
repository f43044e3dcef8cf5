"""Files on a disk that takes no more: what was begun of them goes, and the error is the one of the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.exchange.chunk_files import ChunkFolder
from nodes.exchange.outputs import open_output

ROOM = 4_096


@contextlib.contextmanager
def little_room() -> Iterator[None]:
    """Let the system refuse every byte of a file behind the first `ROOM`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [ROOM + 1, 100 * ROOM])
def test_a_file_of_chunks_that_finds_no_room_is_gone(tmp_path: Path, size: int) -> None:
    """A delivery that fills the disk must not keep it full; what waits in the buffer finds no room either."""
    folder = ChunkFolder(tmp_path / "outbox")

    def deliver() -> None:
        with folder.write("AL-90-1.sealed") as file:
            file.append(b"\x00" * size)
            file.finish()

    with little_room(), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        deliver()
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize("rows", [[("x" * (ROOM + 1),)], [("x" * ROOM,)] * 100])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_an_output_that_finds_no_room_is_gone(tmp_path: Path, name: str, rows: list[tuple[str]]) -> None:
    """Discarding it does not fail for what waits in the buffer: nobody wants that any more."""
    output = open_output(tmp_path / name)
    output.begin(("name",))

    def fill() -> None:
        output.write(rows)
        output.complete()

    with little_room():
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            fill()
        output.discard()
    assert list(tmp_path.iterdir()) == []
