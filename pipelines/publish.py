"""The published file: what dashboards read, so that they never meet a sync.

Written aside and put in place by a rename: a reader has the whole of one publication open, the
former or the new one. DuckDB clients from 1.2 on can read it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines import built, tables
from pipelines.built import Built
from pipelines.errors import ConvoyError, WarehouseFailed
from pipelines.lake.place import Lake
from pipelines.settings import Settings
from pipelines.warehouse import connect_file, translated

FRESH = timedelta(hours=1)
"""After that a publication is made anew though nothing but the syncs' times changed."""

_STORAGE = "v1.2.0"
_NO_NEED = "{} needs no published file; dashboards read its schema marts"
_NONE_HERE = "{} is a lakehouse, its models are built by dbt on Spark: dashboards ask that"
_WRITE = 0o222  # one who opens it for writing would lock all others out


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
    found = _publication(settings.publish)
    if found is None or (settings.publish_parquet and not settings.publish_files.is_dir()):
        return False
    with connect_file(settings.file, read_only=True) as connection:
        last, published_at = found
        return last == _shown(connection) and datetime.now(UTC) - published_at < FRESH


def published_at(settings: Settings) -> datetime | None:
    """Return when the published file was made, None where there is none."""
    if not isinstance(settings.warehouse, Path):
        return None
    found = _publication(settings.publish)
    return found[1] if found else None


def publish(settings: Settings) -> Published:
    """Write the schemas `marts` and `chat` to the published file; the marts as Parquet if asked.

    Raises:
        NothingToPublish: there are no marts yet, or readers have them in a database already.
        WarehouseBusy: another program holds the warehouse.
        WarehouseFailed: the file can't be written, or is no publication of this warehouse; the
            former one stays.
    """
    assert_possible(settings)
    started = time.monotonic()
    to = settings.publish.resolve()  # the file that a link leads to, not the link
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with _aside(to) as aside:
            count = _write(settings, to, aside)
            aside.chmod(aside.stat().st_mode & ~_WRITE)
            _wal(to).unlink(missing_ok=True)  # of a former file that someone has written to
            aside.replace(to)
        if settings.publish_parquet:
            _write_parquet(to, settings.publish_files)
    except OSError as error:
        message = f"{error.filename or to}: {error.strerror or error}; nothing was published"
        raise WarehouseFailed(message) from None
    return Published(to, count, to.stat().st_size, time.monotonic() - started)


def assert_possible(settings: Settings) -> None:
    """Let only a warehouse pass that is a file.

    Raises:
        NothingToPublish: it is a database, that readers have already.
    """
    if isinstance(settings.warehouse, Lake):
        raise NothingToPublish(_NONE_HERE.format(settings.warehouse))
    if not isinstance(settings.warehouse, Path):
        raise NothingToPublish(_NO_NEED.format(settings.warehouse))


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Name a file beside another one; nothing is left of it, also of one that was killed."""
    aside = path.with_name(f".{path.name}.new")
    try:
        _remove(aside)
        yield aside
    finally:
        _remove(aside)


def _remove(file: Path) -> None:
    for left in (file, _wal(file)):
        left.unlink(missing_ok=True)


def _publication(path: Path) -> tuple[Built, datetime] | None:
    """Return what a published file shows, and since when; None where it is none."""
    if not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            found = connection.execute(_PUBLICATION).fetchone()
    except duckdb.Error:
        return None
    return (Built(*found[:2]), found[2]) if found else None


def _shown(connection: duckdb.DuckDBPyConnection) -> Built | None:
    """Return what a publication would show now: the models, and whether syncs go well."""
    last = built.built(connection)
    if last is None:
        return None
    return Built(last.warehouse_id, f"{last.built_from} {connection.execute(_TROUBLE).fetchone()}")


def _write(settings: Settings, to: Path, aside: Path) -> int:
    """Write the file; return how many tables it holds."""
    try:
        with duckdb.connect() as connection:
            for statement in _OPEN:
                connection.execute(statement.format(_quoted(settings.file), _quoted(aside)))
            shown = _shown(connection)
            names = _names(connection)
            if shown is None or not names:
                message = "the warehouse has no marts yet; run `convoy models` first"
                raise NothingToPublish(message)
            _assert_ours(to, shown)
            _copy(connection, names)
            connection.execute(_NOTE, [shown.warehouse_id, shown.built_from])
            for statement in _CLOSE:
                connection.execute(statement)
    except duckdb.Error as error:
        raise translated(error, aside if aside.name in str(error) else settings.file) from None
    return len(names)


def _assert_ours(to: Path, shown: Built) -> None:
    """Take nothing else's place: a publication of another warehouse, a database of another kind.

    Raises:
        WarehouseFailed: that is what the file is. A damaged one is replaced.
    """
    found = _publication(to)
    if found and found[0].warehouse_id != shown.warehouse_id:
        message = (
            f"{to} is what another warehouse has published; configure another [publish] path, "
            "or remove the file"
        )
        raise WarehouseFailed(message)
    if to.exists() and not found and _is_foreign(to):
        message = f"{to} is a database of another kind; configure another [publish] path"
        raise WarehouseFailed(message)


def _is_foreign(path: Path) -> bool:
    """Tell whether it is a database, and not what the first versions published, without a note."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(_SYNCS).fetchone() is None
    except duckdb.Error:
        return False


def _names(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return (schema, table) of all that is published, marts first."""
    found = connection.execute(_TABLES, [[table.name for table in tables.ALL]]).fetchall()
    return found if any(schema == "marts" for schema, _ in found) else []


def _copy(connection: duckdb.DuckDBPyConnection, names: list[tuple[str, str]]) -> None:
    connection.begin()
    for schema in {schema for schema, _ in names}:
        connection.execute(f"create schema published.{schema}")
    for schema, name in names:
        if (schema, name) != _FRESHNESS:
            table = name.replace('"', '""')
            connection.execute(_COPY.format(schema=schema, name=table))
    connection.execute(_COPY_SYNCS)
    connection.commit()


def _write_parquet(published: Path, folder: Path) -> None:
    """Write a file for each mart that was published, each put in place by a rename."""
    folder.mkdir(parents=True, exist_ok=True)
    with connect_file(published, read_only=True) as connection:
        for (name,) in connection.execute("show tables from marts").fetchall():
            with _aside(folder / f"{name}.parquet") as aside:
                connection.execute(
                    _COPY_OUT.format(name=name.replace('"', '""'), to=_quoted(aside))
                )
                aside.replace(folder / f"{name}.parquet")


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
        table_catalog = current_catalog()
        and (table_schema = 'marts' or table_schema = 'chat' and table_name in (select unnest(?)))
    order by all
"""
_TROUBLE = """
    select
        (select count(*) from chat.sync_windows where not certified),
        (select count(*) from chat.rejected_rows)
"""
_COPY = 'create table published.{schema}."{name}" as from warehouse.{schema}."{name}"'
_COPY_OUT = 'copy marts."{name}" to {to} (format parquet, compression zstd)'
# A lag is as of the query, here as in the warehouse.
_FRESHNESS = ("marts", "freshness")
_COPY_SYNCS = """
    create table published.marts.last_syncs as
    select * exclude (lag_seconds) from warehouse.marts.freshness
"""
_SYNCS = """
    select 1 from information_schema.tables
    where table_schema = 'marts' and table_name = 'last_syncs'
"""
_PUBLICATION = "select warehouse_id, built_from, published_at from marts.publication"
_NOTE = """
    create table published.marts.publication as
    select now() as published_at, ?::varchar as warehouse_id, ?::varchar as built_from
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
