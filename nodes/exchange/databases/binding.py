"""The file that binds a department's node to the department's own database.

    format = 1

    [database]
    kind = "sqlite"
    path = "permits.db"                      # from the folder of this file

    [tables]                                 # id in the catalogue = name in the database
    "AY-01-D1-T1" = "permits"

    [subjects]                               # may be left out: whom a row of the table is about,
    "AY-01-D1-T1" = "identity number"        # as one of its information items

or, with the extra `postgres` installed,

    [database]
    kind = "postgresql"
    reader = "host=/run/postgresql dbname=registry user=mulu_reader"
    steward = "host=/run/postgresql dbname=registry user=mulu_steward"

    [tables]
    "AY-01-D1-T1" = "registry.permits"       # schema and table; the schema `public` may be left out

Which column holds which information item is not repeated here: the catalogue's entry of the table says it. Passwords
are better kept in libpq's password file (`passfile=` in the connection text, or ~/.pgpass); a binding that has one in
it must be readable by its owner alone. docs/databases.md says what the two roles are for.
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ledger.registers.catalogue import DirectoryId, Name
from nodes.exchange.databases.errors import BindingError, TableNotBoundError

FILE_BYTES_MAX = 1 << 20
"""Ten thousand tables take less."""

PhysicalName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class SqliteBinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sqlite"):
    """A database in one file."""

    path: Annotated[str, msgspec.Meta(min_length=1)]
    """Absolute, once it was read."""


class PostgresBinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="postgresql"):
    """A database in PostgreSQL, and the two roles that the node takes there. Prints without either's secrets."""

    reader: Annotated[str, msgspec.Meta(min_length=1)]
    """Connection text of libpq for the role that reads under grants and has no right of its own."""
    steward: str = ""
    """For the role that makes roles and policies of grants, or empty: then another process of the department does."""

    def __repr__(self) -> str:
        return f"PostgresBinding(reader={without_secrets(self.reader)!r}, steward={without_secrets(self.steward)!r})"


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one file says."""

    format: Literal[1]
    database: SqliteBinding | PostgresBinding
    tables: dict[DirectoryId, PhysicalName]
    subjects: dict[DirectoryId, Name] = msgspec.field(default_factory=dict)
    """By id of a table, the information item that says whom a row is about: who read what can be asked then."""

    def table(self, table_id: str) -> str:
        """Return the name in the database of a table of the catalogue.

        Raises:
            TableNotBoundError: The file does not say.
        """
        try:
            return self.tables[table_id]
        except KeyError:
            raise TableNotBoundError(table_id) from None


def read_binding(path: Path) -> Binding:
    """Return what the file at `path` says.

    Raises:
        BindingError: It cannot be read, is no binding, or has a password that others could read. No message quotes it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise BindingError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise BindingError(f"{path} is longer than {FILE_BYTES_MAX} bytes")
    try:
        return _checked(content.decode(), path.parent, mode)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, BindingError) as error:
        # The reason goes into the sentence and not into a chain, which some log would print with all it holds.
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise BindingError(f"{path} is no binding: {reason}") from None


def _checked(text: str, folder: Path, mode: int) -> Binding:
    binding = msgspec.convert(tomllib.loads(text), Binding)
    match binding.database:
        case SqliteBinding(path):
            absolute = SqliteBinding(str((folder / path).resolve()))
            return msgspec.structs.replace(binding, database=absolute)
        case PostgresBinding(reader, steward):
            for role, text in ("reader", reader), ("steward", steward):
                if "password" in connection_fields(role, text) and mode & 0o077:
                    raise BindingError(f"mode {mode:04o} shows the {role}'s password to others: chmod 600")
            if binding.database.steward and _user(reader) == _user(steward):
                raise BindingError("reader and steward are the same role, and the reader must have no right of its own")
    return binding


def connection_fields(role: str, text: str) -> dict[str, Any]:
    """Return the parts of a connection text, in either of libpq's two forms.

    Raises:
        BindingError: It has neither form, or the extra `postgres` is not installed.
    """
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise BindingError("PostgreSQL needs the extra `postgres`: pip install 'mulu[postgres]'") from None
    try:
        return dict(conninfo_to_dict(text))
    except ProgrammingError:
        # libpq's message quotes the part it does not understand, which may be the password.
        raise BindingError(f"{role} is no connection text that libpq understands") from None


def without_secrets(text: str) -> str:
    """Return a connection text as host, port, database and user alone."""
    fields = connection_fields("a role", text)
    return " ".join(f"{name}={fields[name]}" for name in ("host", "port", "dbname", "user") if name in fields)


def _user(text: str) -> Any:
    return connection_fields("a role", text).get("user")
