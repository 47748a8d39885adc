"""What the models were built from: kept in the warehouse, so that a copy of it knows as well."""

import uuid
from dataclasses import dataclass
from importlib.metadata import version

import duckdb

from pipelines import tables
from pipelines.warehouse import has_tables

_COLUMNS = {
    tables.CONVERSATIONS.name: ("observed_at", "deleted_at"),
    tables.LAST_MESSAGES.name: ("message_id", "content", "updated_at"),
    tables.CONVERSATION_CHANGES.name: (),
    **dict.fromkeys((table.name for table in tables.BOOKS), ("observed_at",)),
    # Of the messages themselves nothing: none is written without its transcript.
    tables.TRANSCRIPTS.name: ("read_at",),
}
"""What tells versions of a row apart, beyond its key, in the tables that the models read."""


@dataclass(frozen=True)
class Built:
    """Which warehouse, and a fingerprint of what its models show."""

    warehouse_id: str
    built_from: str


def fingerprint(connection: duckdb.DuckDBPyConnection, zone: str) -> str:
    """Return a text that differs where what is loaded does, or how models would show it."""
    there = {name for (name,) in connection.execute(_TABLES, [tables.DATASET]).fetchall()}
    sums = [
        connection.execute(_SUM.format(table.name, ", ".join((*table.key, *columns)))).fetchone()
        for table in tables.ALL
        if (columns := _COLUMNS.get(table.name)) is not None and table.name in there
    ]
    return f"{version('convoy-etl')} {zone} {sums}"


def built(connection: duckdb.DuckDBPyConnection) -> Built | None:
    """Return what the models were last built from, None where they never were."""
    if not connection.execute(_TABLES + " and table_name = 'built'", ["staging"]).fetchone():
        return None
    found = connection.execute("select warehouse_id, built_from from staging.built").fetchone()
    return Built(*found) if found else None


def are_current(connection: duckdb.DuckDBPyConnection, zone: str) -> bool:
    """Tell whether the models show all that is loaded, as they are configured now."""
    last = built(connection)
    return (
        last is not None
        and has_tables(connection)
        and last.built_from == fingerprint(connection, zone)
    )


def begin(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that models are being built: until `end` they show nothing in particular."""
    connection.execute("create schema if not exists staging")
    connection.execute(_TABLE)
    connection.execute("update staging.built set built_from = ''")


def end(connection: duckdb.DuckDBPyConnection, zone: str) -> None:
    """Note what they were built from."""
    last = built(connection)
    warehouse_id = last.warehouse_id if last else str(uuid.uuid4())
    row = [warehouse_id, fingerprint(connection, zone)]
    connection.execute("delete from staging.built")
    connection.execute("insert into staging.built values (?, ?)", row)


_TABLES = "select table_name from information_schema.tables where table_schema = ?"
_SUM = "select count(*), bit_xor(hash({1})) from chat.{0}"
_TABLE = """
    create table if not exists staging.built (warehouse_id varchar, built_from varchar)
"""
