"""Files that commands write: whole, or as they were before."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nodes.cli import main
from nodes.commands.output import write_output
from nodes.data_directory import CHAIN_ID_FILE
from nodes.exchange.control import ReceiptText


def test_a_file_is_replaced_with_its_permissions(tmp_path: Path) -> None:
    """And one that is new has those that any new file gets."""
    write_output(tmp_path / "new", b"first")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~mask
    (tmp_path / "new").chmod(0o600)
    write_output(tmp_path / "new", b"second")
    assert (tmp_path / "new").read_bytes() == b"second"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("before", [None, b"the old one"])
def test_what_fails_on_the_way_leaves_what_was_there(
    before: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full: the old file or none, nothing beside it, and an error that names what was asked for."""
    path = tmp_path / "page.pdf"
    if before is not None:
        path.write_bytes(before)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_output(path, b"the new one")
    assert caught.value.filename == str(path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_folder_that_is_not_there_is_named_with_the_file(tmp_path: Path) -> None:
    """Not the name of the file beside it, under which the bytes would be collected."""
    with pytest.raises(FileNotFoundError) as caught:
        write_output(tmp_path / "nowhere" / "page.pdf", b"")
    assert caught.value.filename == str(tmp_path / "nowhere" / "page.pdf")
    with pytest.raises(IsADirectoryError):
        write_output(tmp_path, b"")


def test_links_and_pipes_are_written_through(tmp_path: Path) -> None:
    """A link stays one and leads to the new bytes; what is no file is never replaced by one."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    write_output(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_output(tmp_path / "pipe", b"through")
        assert os.read(reader, 10) == b"through"
    finally:
        os.close(reader)


def test_a_receipt_goes_into_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is there is kept, and the node is not even asked."""
    (tmp_path / CHAIN_ID_FILE).touch()
    monkeypatch.setattr("nodes.commands.speaking.command", lambda *_: ReceiptText(text=b"{}"))
    words = ["share", "receipt", "AL-R1", "1", "--out", str(tmp_path / "r.json"), "--directory", str(tmp_path)]
    assert main(words) == 0
    assert (tmp_path / "r.json").read_bytes() == b"{}"
    capsys.readouterr()
    monkeypatch.delattr("nodes.commands.speaking.command")
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "r.json is there already: name a new file" in capsys.readouterr().err
