"""The DuckDB file: opened, read back, and its errors in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines import tables
from pipelines.errors import ConfigurationError, ConvoyError, WarehouseBusy, WarehouseFailed


@dataclass(frozen=True)
class Known:
    """What the warehouse holds of some conversations, as Arrow tables."""

    conversations: pa.Table
    last_messages: pa.Table
    changes: pa.Table


NOTHING_KNOWN = Known(*(table.schema.empty_table() for table in tables.READ))


@contextmanager
def connect(path: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse, instants in UTC.

    Raises:
        WarehouseBusy: another process writes to it.
        WarehouseFailed: it can't be opened or read.
    """
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
def told(path: Path) -> Iterator[None]:
    """Tell what DuckDB says of a warehouse in plain words.

    Raises:
        WarehouseBusy: another process writes to it.
        WarehouseFailed: it can't be read or written.
    """
    try:
        yield
    except duckdb.Error as error:
        raise translated(error, path) from None


def translated(error: BaseException, path: Path) -> ConvoyError:
    """Say in one sentence what DuckDB's error means to the user."""
    message = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    if "Could not set lock" in str(error) or "being used by another process" in str(error):
        return WarehouseBusy(f"{path} is open in another program; close it or try again later")
    if "No space left" in str(error):
        return WarehouseFailed(f"the disk that holds {path} is full; make room and sync again")
    if "not a valid DuckDB database" in str(error):
        return ConfigurationError(f"{path} is no DuckDB file; move it or configure another one")
    return WarehouseFailed(f"{path}: {message}")


def known(connection: duckdb.DuckDBPyConnection, source: str, ids: pa.Array) -> Known:
    """Return what is stored of these conversations."""
    connection.register("wanted", pa.table({"conversation_id": ids}))
    return Known(
        *(
            connection.execute(sql, [source]).to_arrow_table()
            for sql in (_CONVERSATIONS, _LAST_MESSAGES, _CHANGES)
        )
    )


def knows(connection: duckdb.DuckDBPyConnection, source: str) -> bool:
    """Tell whether anything is stored of a source's conversations."""
    asked = " or ".join(
        f"exists (from chat.{table.name} where source = $source)" for table in tables.READ
    )
    found = connection.execute(f"select {asked}", {"source": source}).fetchone()
    return bool(found and found[0])


def has_tables(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether a sync of any version has made its tables, all of them."""
    missing = lacking(connection)
    return not any(table in missing for table in tables.CORE)


def lacking(connection: duckdb.DuckDBPyConnection) -> list[tables.Table]:
    """Return the tables that are not there: all, or those that are newer than the warehouse."""
    sql = "select table_name from information_schema.tables where table_schema = ?"
    there = {name for (name,) in connection.execute(sql, [tables.DATASET]).fetchall()}
    return [table for table in tables.ALL if table.name not in there]


def _columns(table: tables.Table) -> str:
    return ", ".join(
        f"t.{name}::varchar as {name}" if column.json else f"t.{name}"
        for name, column in table.columns.items()
    )


_WANTED = "from {} as t semi join wanted using (conversation_id) where t.source = ?"
_CONVERSATIONS = f"select {_columns(tables.CONVERSATIONS)} {_WANTED.format('chat.conversations')}"
_LAST_MESSAGES = f"select {_columns(tables.LAST_MESSAGES)} {_WANTED.format('chat.last_messages')}"
_CHANGES = (
    f"select {_columns(tables.CONVERSATION_CHANGES)} {_WANTED.format('chat.conversation_changes')}"
    " qualify row_number() over (partition by t.conversation_id order by t.observed_at desc) = 1"
)
