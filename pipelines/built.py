"""What the models were built from: kept in the warehouse, so that a copy of it knows as well."""

import hashlib
import uuid
from dataclasses import dataclass

from pipelines import models, tables
from pipelines.connection import Connection, is_duckdb
from pipelines.warehouse import has_tables, make_schema

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


def fingerprint(connection: Connection, zone: str) -> str:
    """Return a text that differs where what is loaded does, or how models would show it."""
    there = {name for (name,) in connection.execute(_TABLES, [tables.DATASET]).fetchall()}
    query = _SUM if is_duckdb(connection) else _SUM_IN_POSTGRES
    sums = [
        connection.execute(query.format(table.name, ", ".join((*table.key, *columns)))).fetchone()
        for table in tables.ALL
        if (columns := _COLUMNS.get(table.name)) is not None and table.name in there
    ]
    return f"{_of_models()} {zone} {sums}"


def by_these_models(connection: Connection) -> bool:
    """Tell whether what the models made can be built upon: other models need all of it anew."""
    last = built(connection)
    return last is not None and last.built_from.split(" ")[0] == _of_models()


def _of_models() -> str:
    """Return a digest of all that the models are made of; what describes them is not."""
    digest = hashlib.blake2b(digest_size=16)
    project = models.project_dir()
    for file in sorted(project.rglob("*")):
        if file.suffix in _MODELS or file.name == "dbt_project.yml":
            digest.update(f"{file.relative_to(project)} ".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def built(connection: Connection) -> Built | None:
    """Return what the models were last built from, None where they never were."""
    if not connection.execute(_TABLES + " and table_name = 'built'", ["staging"]).fetchone():
        return None
    found = connection.execute("select warehouse_id, built_from from staging.built").fetchone()
    return Built(*found) if found else None


def are_current(connection: Connection, zone: str) -> bool:
    """Tell whether the models show all that is loaded, as they are configured now."""
    last = built(connection)
    return (
        last is not None
        and has_tables(connection)
        and last.built_from == fingerprint(connection, zone)
    )


def begin(connection: Connection) -> None:
    """Note that models are being built: until `end` they show nothing in particular.

    By which models they were built before stays noted: a build that dies leaves what it was to
    make anew to the next.
    """
    make_schema(connection, "staging")
    connection.execute(_TABLE)
    connection.execute("update staging.built set built_from = split_part(built_from, ' ', 1)")


def end(connection: Connection, zone: str) -> None:
    """Note what they were built from."""
    last = built(connection)
    warehouse_id = last.warehouse_id if last else str(uuid.uuid4())
    row = [warehouse_id, fingerprint(connection, zone)]
    connection.execute("delete from staging.built")
    connection.execute("insert into staging.built values ($1, $2)", row)


_MODELS = {".sql", ".csv"}
_TABLES = "select table_name from information_schema.tables where table_schema = $1"
_SUM = "select count(*), bit_xor(hash({1})) from chat.{0}"
_SUM_IN_POSTGRES = "select count(*), bit_xor(hash_record_extended(row({1}), 0)) from chat.{0}"
_TABLE = """
    create table if not exists staging.built (warehouse_id varchar, built_from varchar)
"""
