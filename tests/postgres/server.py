"""A PostgreSQL server of the tests' own, and projects whose warehouse is a database of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.extras
from project import Project, Row

from pipelines.postgres.server import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.settings import Place
    from pipelines.simulator import Simulator

PASSWORD = "a p@ss:word/of%41 its'own"
# A database that sorts by language, as most do, in a zone that is not UTC.
_CLUSTER = ["-A", "scram-sha-256", "-U", "convoy", "-E", "UTF8", "--locale=C.UTF-8"]
_LANGUAGE = ["--locale-provider=icu", "--icu-locale=en-US"]
_SORTED = " order by all"
_QUICK = ["-c", "fsync=off", "-c", "timezone=Asia/Tokyo"]


def program(name: str) -> str | None:
    """Return where a program of the server is; Debian keeps them off the path."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(beside[-1]) if beside else shutil.which(name)


class Server:
    """A server that runs, on loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    def address(self, database: str = "postgres", user: str = "convoy") -> dict[str, Any]:
        """Return the place of a database as dlt's table of credentials, without the password."""
        return {"host": "127.0.0.1", "port": self.port, "username": user, "database": database}

    def ask(self, database: str, query: str, *parameters: object) -> list[Row]:
        """Run a statement in a transaction of its own; instants come in UTC, JSON as text."""
        with self._opened(database) as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            names = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall() if names else []
        return [dict(zip(names, row, strict=True)) for row in rows]

    @contextmanager
    def reading(self, database: str, table: str) -> Iterator[None]:
        """Read a table in a transaction that does not end before the block does."""
        with self._opened(database) as connection, connection.cursor() as cursor:
            cursor.execute(f"begin; select count(*) from {table}")
            yield

    @contextmanager
    def _opened(self, database: str) -> Iterator[Any]:
        place = self.address(database)
        place |= {"user": place.pop("username"), "dbname": place.pop("database")}
        connection = psycopg2.connect(**place, password=PASSWORD, options="-c timezone=UTC")
        connection.autocommit = True
        psycopg2.extras.register_default_json(connection, loads=str)
        try:
            yield connection
        finally:
            connection.close()


class PostgresProject(Project):
    """A directory whose warehouse is a database of the server."""

    def __init__(self, folder: Path, server: Server, database: str) -> None:
        super().__init__(folder)
        self.server = server
        self.database = database
        self.dying = Path(__file__).parent / "killed.py"

    @property
    def at(self) -> Place:
        """Where the database is."""
        return read({**self.server.address(self.database), "password": PASSWORD})

    def back_up(self) -> bool:
        """Copy the database."""
        return self._copy_database(self.database, f"{self.database} backup")

    def go_back(self) -> bool:
        """Put the copy in its place; tell if there was one."""
        return self._copy_database(f"{self.database} backup", self.database)

    def _copy_database(self, of: str, to: str) -> bool:
        there = self.server.ask("postgres", "select from pg_database where datname = %s", of)
        if there:
            self.await_alone()
            self.server.ask("postgres", f'drop database if exists "{to}"')
            self.server.ask("postgres", f'create database "{to}" template "{of}"')
        return bool(there)

    def configure(self, upstream: Simulator, **given: Any) -> None:  # noqa: ANN401 - as Project
        """Write the TOML files; the password is among the secrets."""
        super().configure(upstream, **given)
        self.place()

    def place(self, password: str = PASSWORD, **other: object) -> None:
        """Write where the database is."""
        place = {**self.server.address(self.database), **other}
        fields = [f'{n} = "{v}"' if isinstance(v, str) else f"{n} = {v}" for n, v in place.items()]
        table = "destination.postgres.credentials"
        self._append("config.toml", '[destination]\nname = "postgres"', f"[{table}]", *fields)
        self._append("secrets.toml", f"[{table}]", f'password = "{password}"')

    def _append(self, name: str, *lines: str) -> None:
        with (self.folder / ".dlt" / name).open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(lines) + "\n")

    def await_alone(self) -> None:
        """Wait until the server has noticed that nobody is connected any more."""
        others = "select 1 from pg_stat_activity where datname = %s"
        until = time.monotonic() + 60
        while self.server.ask("postgres", others, self.database):
            assert time.monotonic() < until, "somebody is still connected"
            time.sleep(0.02)

    def rows(self, query: str, *parameters: object) -> list[Row]:
        """Ask the database; what DuckDB has for a whole table, and for any order, is understood."""
        query = f"select * {query}" if query.startswith("from ") else query
        asked = query.removesuffix(_SORTED)
        rows = self.server.ask(self.database, asked.replace("?", "%s"), *parameters)
        return rows if asked == query else sorted(rows, key=lambda row: repr(row.values()))


@contextmanager
def running() -> Iterator[Server]:
    """Run a server in a folder of its own; it refuses to be run by root."""
    home = Path(tempfile.mkdtemp(prefix="convoy-"))
    user = "nobody" if os.geteuid() == 0 else None
    (home / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    if user:
        for path in (home, home / "password"):
            shutil.chown(path, user)
    try:
        made = [*_CLUSTER, *_LANGUAGE, f"--pwfile={home}/password", "-D", f"{home}/data"]
        subprocess.run(  # noqa: S603 - Debian's own
            [str(program("initdb")), *made], user=user, cwd="/", capture_output=True, check=True
        )
        yield from _served(home, user)
    finally:
        shutil.rmtree(home)


def _served(home: Path, user: str | None) -> Iterator[Server]:
    server = Server(_free_port())
    places = ["-D", f"{home}/data", "-k", str(home), "-p", str(server.port)]
    with (
        (home / "log").open("wb") as said,
        subprocess.Popen(  # noqa: S603 - Debian's own
            [str(program("postgres")), *places, *_QUICK, "-c", "listen_addresses=127.0.0.1"],
            user=user,
            cwd="/",
            stdout=said,
            stderr=said,
        ) as process,
    ):
        try:
            _await(server, process, home / "log")
            yield server
        finally:
            process.send_signal(2)  # fast: whoever is still connected is cut off


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            server.ask("postgres", "select 1")
        except psycopg2.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text(encoding="utf-8"))
