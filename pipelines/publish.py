"""The published file: what dashboards read, so that they never meet a sync.

Written aside and put in place by a rename: a reader has the whole of one publication open, the
former or the new one. DuckDB clients from 1.2 on can read it.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines import tables
from pipelines.errors import ConvoyError, WarehouseFailed
from pipelines.settings import Settings
from pipelines.warehouse import translated

FRESH = 3600.0
"""Seconds after which a publication is made anew though nothing but the syncs' times changed."""

_STORAGE = "v1.2.0"
_READ_ONLY = 0o444  # one who opens it for writing would lock all others out


@dataclass(frozen=True)
class Published:
    """One publication: where, how many tables and bytes, and what it took."""

    path: Path
    tables: int
    bytes: int
    seconds: float


class NothingToPublish(ConvoyError):
    """There are no marts yet."""


def is_current(settings: Settings) -> bool:
    """Tell whether readers see what the models show, and when that was last synced."""
    try:
        made = settings.published.stat().st_mtime
        models = settings.models_current.stat().st_mtime
        there = settings.published.read_text(encoding="utf-8") == _whereabouts(settings)
    except OSError:
        return False
    return there and settings.publish.exists() and made >= models and time.time() - made < FRESH


def published_at(settings: Settings) -> datetime | None:
    """Return when the published file was made, None where there is none."""
    try:
        return datetime.fromtimestamp(settings.publish.stat().st_mtime, UTC)
    except OSError:
        return None


def publish(settings: Settings) -> Published:
    """Write the schemas `marts` and `chat` to the published file; the marts as Parquet if asked.

    Raises:
        NothingToPublish: there are no marts yet.
        WarehouseBusy: another program holds the warehouse.
        WarehouseFailed: the file can't be written; the former one stays.
    """
    started = time.monotonic()
    to, aside = settings.publish, settings.publish.with_name(f".{settings.publish.name}.new")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        for left in (aside, _wal(aside)):  # by a publication that died
            left.unlink(missing_ok=True)
        count = _write(settings, aside)
        aside.chmod(_READ_ONLY)
        _wal(to).unlink(missing_ok=True)  # of a former file that someone has written to
        aside.replace(to)
        settings.published.write_text(_whereabouts(settings), encoding="utf-8")
    except OSError as error:
        message = f"{error.filename or to}: {error.strerror or error}; nothing was published"
        raise WarehouseFailed(message) from None
    return Published(to, count, to.stat().st_size, time.monotonic() - started)


def _write(settings: Settings, aside: Path) -> int:
    """Write the file, and the Parquet files; return how many tables those are."""
    try:
        with duckdb.connect() as connection:
            for statement in _OPEN:
                connection.execute(statement.format(_quoted(settings.warehouse), _quoted(aside)))
            names = _names(connection)
            _copy(connection, names)
            if settings.publish_parquet:
                _write_parquet(connection, settings.publish_files, names)
            for statement in _CLOSE:
                connection.execute(statement)
    except duckdb.Error as error:
        raise translated(error, aside if aside.name in str(error) else settings.warehouse) from None
    return len(names)


def _names(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return (schema, table) of all that is published."""
    found = connection.execute(_TABLES, [[table.name for table in tables.ALL]]).fetchall()
    if not any(schema == "marts" for schema, _ in found):
        message = "the warehouse has no marts yet; run `convoy models` first"
        raise NothingToPublish(message)
    return found


def _copy(connection: duckdb.DuckDBPyConnection, names: list[tuple[str, str]]) -> None:
    connection.begin()
    for schema in {schema for schema, _ in names}:
        connection.execute(f"create schema published.{schema}")
    for schema, name in names:
        if (schema, name) != _FRESHNESS:
            connection.execute(_COPY.format(schema=schema, name=name))
    connection.execute(_COPY_SYNCS)
    connection.commit()


def _write_parquet(
    connection: duckdb.DuckDBPyConnection, folder: Path, names: list[tuple[str, str]]
) -> None:
    """Write a file for each mart, each put in place by a rename; remove those of no mart."""
    folder.mkdir(parents=True, exist_ok=True)
    marts = [name for schema, name in names if schema == "marts"]
    for name in marts:
        aside = folder / f".{name}.new"
        connection.execute(
            f"copy warehouse.marts.{name} to {_quoted(aside)} (format parquet, compression zstd)"
        )
        aside.replace(folder / f"{name}.parquet")
    for file in folder.glob("*.parquet"):
        if file.stem not in marts:
            file.unlink()


def _whereabouts(settings: Settings) -> str:
    return f"{settings.publish}\n{settings.publish_parquet}\n"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


_OPEN = (
    "set TimeZone = 'UTC'",
    "set autoinstall_known_extensions = false",
    "attach {0} as warehouse (read_only)",
    f"attach {{1}} as published (storage_version '{_STORAGE}')",
    "use warehouse",  # its views name no database
)
_TABLES = """
    select table_schema, table_name
    from information_schema.tables
    where
        table_catalog = 'warehouse'
        and (table_schema = 'marts' or table_schema = 'chat' and table_name in (select unnest(?)))
    order by all
"""
_COPY = "create table published.{schema}.{name} as from warehouse.{schema}.{name}"
# A lag is as of the query, here as in the warehouse.
_FRESHNESS = ("marts", "freshness")
_COPY_SYNCS = """
    create table published.marts.last_syncs as
    select * exclude (lag_seconds) from warehouse.marts.freshness
"""
_CLOSE = (
    "use published",
    """
    create view marts.freshness as
    select *, date_diff('second', last_complete_sync_at, now()) as lag_seconds
    from marts.last_syncs
    """,
    "use memory",
    "detach published",  # writes all of it to the file
)
