"""A database of PostgreSQL, and what is loaded into it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg2
import psycopg2.extras
from postgres.server import PASSWORD, Server

from engines.marts import Marts, in_order
from pipelines.engine import Engine
from pipelines.postgres import dbt
from pipelines.postgres.server import Server as Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TYPES = {"JSON": "jsonb"}
"""Where PostgreSQL's name of a type is not DuckDB's."""


class Postgres:
    """A database that is there; its models are those of the profile's target."""

    def __init__(self, server: Server, database: str) -> None:
        server.ask("postgres", f'create database "{database}"')
        place = {**server.address(database), "password": PASSWORD}
        self.place = Place.model_validate(place)
        self.engine = Engine(dbt.TARGET, dbt.variables(self.place))

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
        connection = psycopg2.connect(self.place.address())
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
