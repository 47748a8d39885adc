"""A PostgreSQL server of the test's own, and what is loaded into it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg2
import psycopg2.extras

from engines.marts import Marts, in_order
from pipelines.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = {"JSON": "jsonb"}
"""Where PostgreSQL's name of a type is not DuckDB's."""
# A database that sorts by language, as most do: what is to be sorted by code points has to say so.
_CLUSTER = ["-A", "trust", "-U", "convoy", "-E", "UTF8", "--locale=C.UTF-8"]
_LANGUAGE = ["--locale-provider=icu", "--icu-locale=en-US"]
_QUIET = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "timezone=Asia/Tokyo"]


def program(name: str) -> str | None:
    """Return where a program of the server is; Debian keeps them off the path."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(beside[-1]) if beside else shutil.which(name)


@contextmanager
def server() -> Iterator[Postgres]:
    """Run a server on a socket in a folder of its own; it refuses to be run by root."""
    home = Path(tempfile.mkdtemp(prefix="convoy-"))
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    shutil.chown(home, user)
    try:
        _run(["initdb", "-D", f"{home}/data", *_CLUSTER, *_LANGUAGE], user)
        command = ["postgres", "-D", f"{home}/data", "-k", str(home), *_QUIET]
        with _started(command, user, home / "log") as running:
            yield Postgres(_ready(home, running))
    finally:
        shutil.rmtree(home)


class Postgres:
    """A database that is there; its models are those of the profile's target."""

    def __init__(self, host: Path) -> None:
        self.place = {"host": str(host), "user": "convoy", "dbname": "postgres"}
        self.engine = Engine(
            "postgres",
            {
                "CONVOY_POSTGRES_HOST": str(host),
                "CONVOY_POSTGRES_USER": "convoy",
                "CONVOY_POSTGRES_DATABASE": "postgres",
            },
        )

    def load(self, warehouse: Path, folder: Path) -> None:
        """Put the loaded tables of a warehouse in place of those that are there."""
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            for (table,) in connection.execute(_TABLES).fetchall():
                columns = connection.execute(_COLUMNS, [table]).fetchall()
                file = folder / f"{table}.csv"
                connection.execute(f"copy chat.{table} to '{file}' (header false, force_quote *)")
                self._fill(table, columns, file)

    def _fill(self, table: str, columns: list[tuple[Any, ...]], file: Path) -> None:
        fields = ", ".join(f'"{name}" {TYPES.get(kind, kind)}' for name, kind in columns)
        with self.cursor() as cursor:
            cursor.execute("create schema if not exists chat; set client_encoding to 'UTF8'")
            cursor.execute(f"create table if not exists chat.{table} ({fields})")
            cursor.execute(f"truncate chat.{table}")
            with file.open(encoding="utf-8", newline="") as rows:
                cursor.copy_expert(f"copy chat.{table} from stdin (format csv)", rows)

    def marts(self) -> Marts:
        """Return all rows of the marts."""
        with self.cursor() as cursor:
            cursor.execute(_MARTS)
            return {mart: _read(cursor, mart) for (mart,) in cursor.fetchall()}

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Open a connection for a while; what was done in it is kept."""
        connection = psycopg2.connect(**self.place)
        psycopg2.extras.register_default_jsonb(connection, loads=str)
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


_TABLES = """
    select table_name from information_schema.tables
    where table_schema = 'chat' and not starts_with(table_name, '_dlt')
"""
_COLUMNS = """
    select column_name, data_type from duckdb_columns()
    where schema_name = 'chat' and table_name = ? order by column_index
"""
_MARTS = "select table_name from information_schema.tables where table_schema = 'marts'"


def _read(cursor: Any, mart: str) -> list[dict[str, Any]]:  # noqa: ANN401 - ships no types
    cursor.execute(f"select * from marts.{mart}")
    names = [column.name for column in cursor.description]
    return in_order([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])


def _run(command: list[str], user: str) -> None:
    found = program(command[0])
    assert found, f"{command[0]} is not installed"
    done = subprocess.run(  # noqa: S603 - Debian's own
        [found, *command[1:]],
        user=_switched(user),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def _started(command: list[str], user: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    found = program(command[0])
    assert found, f"{command[0]} is not installed"
    with (
        log.open("wb") as said,
        subprocess.Popen(  # noqa: S603 - Debian's own
            [found, *command[1:]], user=_switched(user), cwd="/", stdout=said, stderr=said
        ) as running,
    ):
        try:
            yield running
        finally:
            running.terminate()


def _switched(user: str) -> str | None:
    """Return whom to become; only root can and has to."""
    return user if os.geteuid() == 0 else None


def _ready(home: Path, running: subprocess.Popen[bytes]) -> Path:
    while running.poll() is None:
        try:
            psycopg2.connect(host=str(home), user="convoy", dbname="postgres").close()
        except psycopg2.OperationalError:
            time.sleep(0.05)
        else:
            return home
    raise AssertionError((home / "log").read_text(encoding="utf-8"))
