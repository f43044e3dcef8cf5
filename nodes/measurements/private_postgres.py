"""A private PostgreSQL server for measurements and tests, made from the installed programs and gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from ledger.errors import LedgerError

DEBIAN_FOLDERS = "usr/lib/postgresql/*/bin"
"""Where the programs lie when their package does not put them on the PATH."""


class NoPostgresError(LedgerError):
    """There is no server program, or it could not be started; the message says why."""

    code = "no_postgres"


@dataclass(frozen=True)
class Cluster:
    """A running server. Whoever can reach its socket may be any role."""

    sockets: Path

    def connection_text(self, database: str, role: str) -> str:
        """Return how libpq gets there."""
        return f"host={self.sockets} dbname={database} user={role}"

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Make a database; yield its name; drop it with all that roles have in it."""
        with psycopg.connect(self.connection_text("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            yield name
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def find_postgres() -> Path:
    """Return the server program.

    Raises:
        NoPostgresError: It is not installed.
    """
    if found := shutil.which("postgres"):
        return Path(found)
    if beside := sorted(Path("/").glob(f"{DEBIAN_FOLDERS}/postgres")):
        return beside[-1]
    raise NoPostgresError("the program `postgres` is not installed")


@contextlib.contextmanager
def private_cluster(postgres: Path) -> Iterator[Cluster]:
    """Yield a running server with no TCP port, on a folder that is removed at the end.

    Args:
        postgres: The server program; `initdb` and `pg_ctl` lie beside it. None of them runs as root, so for root they
            run as `nobody`.

    Raises:
        NoPostgresError: One of the programs failed.
    """
    programs = postgres.resolve().parent
    # Not below pytest's folders, which are closed to other users; and a socket's path has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="mulu-postgres-"))
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(0o711)

    def run(program: str, *arguments: str) -> None:
        as_user: dict[str, Any] = (
            {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        said = folder / f"{program}.out"
        # Into a file, for the server inherits it and would hold a pipe open as long as it runs.
        with said.open("wb") as output:
            done = subprocess.run(
                [programs / program, *arguments],
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **as_user,
            )
        if done.returncode != 0:
            raise NoPostgresError(f"{program} ended with {done.returncode}: {said.read_text(encoding='utf-8')[-500:]}")

    try:
        data = str(folder / "data")
        run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        settings = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=20 -c shared_buffers=32MB"
        run("pg_ctl", "start", "-D", data, "-w", "-t", "60", "-l", str(folder / "log"), "-o", settings)
        try:
            yield Cluster(folder)
        finally:
            run("pg_ctl", "stop", "-D", data, "-m", "immediate", "-w")
    finally:
        shutil.rmtree(folder)
