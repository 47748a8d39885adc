"""The warehouse: opened, read back, and its errors in plain words."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines import tables
from pipelines.connection import Connection, is_duckdb
from pipelines.errors import ConfigurationError, ConvoyError, WarehouseBusy, WarehouseFailed
from pipelines.lake.place import Lake
from pipelines.settings import Place


@dataclass(frozen=True)
class Known:
    """What the warehouse holds of some conversations, as Arrow tables."""

    conversations: pa.Table
    last_messages: pa.Table
    changes: pa.Table


NOTHING_KNOWN = Known(*(table.schema.empty_table() for table in tables.READ))


def exists(place: Place) -> bool:
    """Tell whether there is anything: a file, or what was loaded into."""
    if isinstance(place, Path):
        return place.exists()
    if isinstance(place, Lake) and not place.dataset.is_dir():
        return False
    with connect(place, read_only=True) as connection:
        return has_tables(connection)


@contextmanager
def connect(place: Place, *, read_only: bool = False) -> Iterator[Connection]:
    """Open the warehouse, instants in UTC.

    Raises:
        WarehouseBusy: another process writes to it.
        WarehouseFailed: it can't be opened or read.
    """
    if isinstance(place, Path):
        with connect_file(place, read_only=read_only) as file:
            yield file
    elif isinstance(place, Lake):
        from pipelines.lake import connection as lake  # noqa: PLC0415 - of an extra

        with ExitStack() as opened:
            with writing(place):
                views = opened.enter_context(lake.connect(place))
            with told(place):
                yield views
    else:
        from pipelines.postgres import connection  # noqa: PLC0415 - of an extra, seldom needed

        with connection.connect(place, read_only=read_only) as database:
            yield database


@contextmanager
def connect_file(path: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file likewise."""
    try:
        connection = duckdb.connect(str(path), read_only=read_only)
    except duckdb.Error as error:
        raise translated(error, path) from None
    try:
        with told(path):
            connection.execute("set TimeZone = 'UTC'")
            yield connection
    finally:
        connection.close()


@contextmanager
def told(place: Place) -> Iterator[None]:
    """Tell what DuckDB says of a warehouse in plain words.

    Raises:
        WarehouseBusy: another process writes to it.
        WarehouseFailed: it can't be read or written.
    """
    try:
        yield
    except duckdb.Error as error:
        raise translated(error, place) from None


@contextmanager
def writing(lake: Lake) -> Iterator[None]:
    """Tell what goes wrong when a lakehouse is opened or written to; as `told`."""
    try:
        yield
    except ConvoyError:
        raise
    except Exception as error:  # deltalake's have no base of their own
        raise translated(error, lake) from error


def translated(error: BaseException, place: Place) -> ConvoyError:
    """Say in one sentence what an error of the database means to the user."""
    if isinstance(place, Path):
        return _of_file(error, place)
    if isinstance(place, Lake):
        return _of_lake(error, place)
    if isinstance(error, OSError):  # of the files that are loaded, here
        return WarehouseFailed(f"{error.filename or 'the work folder'}: {error.strerror or error}")
    from pipelines.postgres import errors  # noqa: PLC0415 - seldom needed

    return errors.translated(error, place)


def _of_file(error: BaseException, path: Path) -> ConvoyError:
    message = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    if "Could not set lock" in str(error) or "being used by another process" in str(error):
        return WarehouseBusy(f"{path} is open in another program; close it or try again later")
    if "No space left" in str(error):
        return WarehouseFailed(f"the disk that holds {path} is full; make room and sync again")
    if "not a valid DuckDB database" in str(error):
        return ConfigurationError(f"{path} is no DuckDB file; move it or configure another one")
    return WarehouseFailed(f"{path}: {message}")


def _of_lake(error: BaseException, lake: Lake) -> ConvoyError:
    message = (str(error).strip() or repr(error)).splitlines()[0]
    if isinstance(error, OSError) and error.filename and not _lies_in(lake, error.filename):
        return WarehouseFailed(f"{error.filename}: {error.strerror or error}")
    if "No space left" in str(error):
        return WarehouseFailed(
            f"the disk that holds {lake} or .convoy is full; make room and sync again"
        )
    if type(error).__name__ == "CommitFailedError":
        return WarehouseBusy(f"others write to {lake} all the time; try again later")
    return WarehouseFailed(f"{lake}: {message}")


def _lies_in(lake: Lake, file: str | bytes | int) -> bool:
    return isinstance(file, str) and Path(file).is_relative_to(lake.folder)


def known(connection: Connection, source: str, ids: pa.Array) -> Known:
    """Return what is stored of these conversations."""
    connection.register("wanted", pa.table({"conversation_id": ids}))
    return Known(
        *(
            connection.execute(sql, [source]).to_arrow_table().cast(table.schema)
            for table, sql in zip(tables.READ, _KNOWN, strict=True)
        )
    )


def knows(connection: Connection, source: str) -> bool:
    """Tell whether anything is stored of a source's conversations."""
    asked = " or ".join(
        f"exists (select 1 from chat.{table.name} where source = $1)" for table in tables.READ
    )
    found = connection.execute(f"select {asked}", [source]).fetchone()
    return bool(found and found[0])


def has_tables(connection: Connection) -> bool:
    """Tell whether a sync of any version has made its tables, all of them."""
    missing = lacking(connection)
    return not any(table in missing for table in tables.CORE)


def lacking(connection: Connection) -> list[tables.Table]:
    """Return the tables that are not there: all, or those that are newer than the warehouse."""
    sql = "select table_name from information_schema.tables where table_schema = $1"
    there = {name for (name,) in connection.execute(sql, [tables.DATASET]).fetchall()}
    return [table for table in tables.ALL if table.name not in there]


def columns(connection: Connection, table: str) -> set[str]:
    """Return the columns of a table of any schema, none where it is not there."""
    if not is_duckdb(connection):
        found = connection.execute(_THERE, table.split(".")).fetchall()
        return {name for (name,) in found}
    try:
        # The information schema takes ten times as long: it looks into every view.
        return set(connection.execute(f"from {table} limit 0").to_arrow_table().column_names)
    except duckdb.CatalogException:
        return set()


def make_schema(connection: Connection, name: str) -> None:
    """Make a schema unless it is there: PostgreSQL would ask for the right to in either case."""
    there = "select 1 from information_schema.schemata where schema_name = $1"
    if not connection.execute(there, [name]).fetchone():
        connection.execute(f"create schema {name}")


def index(place: Place) -> None:
    """Index the keys that conversations are looked up by; DuckDB is quick without."""
    if isinstance(place, Path | Lake):
        return
    with connect(place) as connection:
        for table in tables.READ:
            connection.execute(_INDEX.format(table.name, ", ".join(table.key)))


def _columns(table: tables.Table) -> str:
    return ", ".join(
        f"t.{name}::varchar as {name}" if column.json else f"t.{name}"
        for name, column in table.columns.items()
    )


_THERE = """
    select column_name from information_schema.columns
    where table_schema = $1 and table_name = $2
"""
_WANTED = (
    "from chat.{} as t"
    " where t.source = $1 and t.conversation_id in (select conversation_id from wanted)"
)
_CONVERSATIONS = f"select {_columns(tables.CONVERSATIONS)} {_WANTED.format('conversations')}"
_LAST_MESSAGES = f"select {_columns(tables.LAST_MESSAGES)} {_WANTED.format('last_messages')}"
_CHANGES = f"""
    select {_columns(tables.CONVERSATION_CHANGES)}
    from (
        select
            t.*,
            row_number() over (partition by t.conversation_id order by t.observed_at desc) as nth
        {_WANTED.format("conversation_changes")}
    ) as t
    where t.nth = 1
"""
_INDEX = "create unique index if not exists {0}_key on chat.{0} ({1})"
_KNOWN = (_CONVERSATIONS, _LAST_MESSAGES, _CHANGES)
