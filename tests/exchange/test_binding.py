"""The file that binds a node to its department's database."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nodes.exchange.databases import (
    BindingError,
    PostgresBinding,
    SqliteBinding,
    TableNotBoundError,
    open_database,
    read_binding,
)
from nodes.exchange.databases.sqlite import SqliteDatabase

SQLITE = """
format = 1

[database]
kind = "sqlite"
path = "data/permits.db"

[tables]
"AY-01-D1-T1" = "permits"
"""

POSTGRES = """
format = 1

[database]
kind = "postgresql"
reader = "host=db.example dbname=registry user=mulu_reader password=tiger"
steward = "postgresql://mulu_steward:lion@db.example/registry"

[tables]
"AY-01-D1-T1" = "registry.permits"
"""


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    """Return a binding file with `text`."""
    path = folder / "binding.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_file_in_sqlite_is_found_from_the_folder_of_the_binding(tmp_path: Path) -> None:
    """Where the node was started does not matter."""
    binding = read_binding(write(tmp_path, SQLITE, 0o644))
    assert binding.database == SqliteBinding(str(tmp_path / "data/permits.db"))
    assert binding.table("AY-01-D1-T1") == "permits"
    database = open_database(binding)
    assert isinstance(database, SqliteDatabase)
    assert database.path == tmp_path / "data/permits.db"


def test_a_table_that_is_not_bound_is_named(tmp_path: Path) -> None:
    """Who published a table and forgot the binding learns what to add."""
    with pytest.raises(TableNotBoundError, match="no table of the database for AY-01-D9-T1"):
        read_binding(write(tmp_path, SQLITE)).table("AY-01-D9-T1")


def test_a_binding_prints_without_its_passwords(tmp_path: Path) -> None:
    """In either of libpq's two forms; what is printed says where it leads."""
    binding = read_binding(write(tmp_path, POSTGRES))
    assert isinstance(binding.database, PostgresBinding)
    assert "password=tiger" in binding.database.reader
    for text in (repr(binding), str(binding), repr(binding.database), f"{binding.database}"):
        assert "tiger" not in text
        assert "lion" not in text
        assert "host=db.example dbname=registry user=mulu_steward" in text


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The mode is named, the password is not; without a password the mode does not matter."""
    with pytest.raises(BindingError, match=r"mode 0640 shows the reader's password") as caught:
        read_binding(write(tmp_path, POSTGRES, 0o640))
    assert "tiger" not in str(caught.value)
    harmless = POSTGRES.replace(" password=tiger", "").replace(":lion", "")
    assert isinstance(read_binding(write(tmp_path, harmless, 0o644)).database, PostgresBinding)


WRONG = {
    "not TOML": ("format = ", "Invalid value"),
    "a table twice": (SQLITE + '"AY-01-D1-T1" = "other"\n', "overwrite"),
    "another format": (SQLITE.replace("format = 1", "format = 2"), "format"),
    "no format": (SQLITE.replace("format = 1", ""), "format"),
    "no database": (SQLITE.replace("[database]", "[databases]"), "databases"),
    "another product": (SQLITE.replace('"sqlite"', '"oracle"'), r"oracle.*\$.database.kind"),
    "a word too much": (SQLITE.replace("path =", "pass ="), "pass"),
    "no path": (SQLITE.replace("data/permits.db", ""), r"\$.database.path"),
    "no table id": (SQLITE.replace("AY-01-D1-T1", "ay_01"), r"\$.tables"),
    "no table name": (SQLITE.replace('"permits"', '""'), r"\$.tables"),
    "a number": (SQLITE.replace('"permits"', "7"), "int"),
    "no connection text": (POSTGRES.replace("host=db.example dbname", "host=db.example tiger dbname"), "reader is no"),
    "one role for both": (
        POSTGRES.replace("mulu_steward:lion", "mulu_reader:lion"),
        "reader and steward are the same role",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_with_its_place_and_without_secrets(tmp_path: Path, text: str, said: str) -> None:
    """One sentence with the file's name; nothing is chained to it that would show the file."""
    path = write(tmp_path, text)
    with pytest.raises(BindingError, match=said) as caught:
        read_binding(path)
    assert str(path) in str(caught.value)
    assert "tiger" not in str(caught.value)
    assert "lion" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_cannot_be_read_is_no_binding(tmp_path: Path) -> None:
    """Missing, too long, or not text."""
    with pytest.raises(BindingError, match="No such file"):
        read_binding(tmp_path / "missing.toml")
    with pytest.raises(BindingError, match="longer than"):
        read_binding(write(tmp_path, "#" * ((1 << 20) + 1)))
    (tmp_path / "binding.toml").write_bytes(b'format = "\xff"')
    with pytest.raises(BindingError, match="not UTF-8"):
        read_binding(tmp_path / "binding.toml")


def test_without_the_driver_a_node_with_sqlite_still_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binding to PostgreSQL says which extra is missing, when it is read and when it is opened."""
    postgres = read_binding(write(tmp_path, POSTGRES))
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("nodes.exchange.databases.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BindingError, match=r"mulu\[postgres\]"):
        read_binding(write(tmp_path, POSTGRES))
    with pytest.raises(BindingError, match=r"mulu\[postgres\]"):
        open_database(postgres)
    assert isinstance(open_database(read_binding(write(tmp_path, SQLITE))), SqliteDatabase)


def test_the_example_in_the_documents_is_a_binding(tmp_path: Path) -> None:
    """Both examples of docs/databases.md are read as they stand."""
    document = (Path(__file__).resolve().parents[2] / "docs" / "databases.md").read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in document.split("```toml\n")[1:]]
    kinds = [type(read_binding(write(tmp_path, example, 0o644)).database) for example in examples]
    assert kinds == [SqliteBinding, PostgresBinding]
