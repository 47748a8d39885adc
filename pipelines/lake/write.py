"""What other warehouses are told in SQL, as commits to Delta tables."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import pyarrow as pa

from pipelines import tables
from pipelines.lake import delta
from pipelines.lake.place import Lake

_LAYOUT = pa.schema([("version", pa.int32())])


def begin(lake: Lake, version: int) -> None:
    """Make all tables, also those that rows come for only later; several may do so at once.

    Those by which a loaded warehouse is known come last: one that was killed here is made anew.
    """
    lake.dataset.mkdir(parents=True, exist_ok=True)
    delta.make(lake, "layout", _LAYOUT)
    note_version(lake, version)
    for table in reversed(tables.ALL):
        delta.make(lake, table.name, _stored(table))


def note_version(lake: Lake, version: int) -> None:
    """Note how the lakehouse is laid out; the highest number counts."""
    rows = pa.table({"version": [version]}, schema=_LAYOUT)
    same = "target.version = source.version"
    delta.again(
        lambda: delta.merging(lake, "layout", rows, same).when_not_matched_insert_all().execute()
    )


def _stored(table: tables.Table) -> pa.Schema:
    """Return the schema with columns that may be null, also those of the key.

    Files that a merge writes say so of each column; Sail reads none that the table forbids it.
    """
    return pa.schema([field.with_nullable(True) for field in table.schema])  # noqa: FBT003 - Arrow's


def note(lake: Lake, audit: Mapping[str, pa.Table]) -> None:
    """Write what comes without news; certificates last, they must not stand without the rest."""
    for table in _certificates_last(tables.ALL):
        if table.name in audit:
            delta.write(lake, table, audit[table.name])
            delta.tidy(lake, table.name)


def _certificates_last(all_tables: Iterable[tables.Table]) -> list[tables.Table]:
    return sorted(all_tables, key=lambda table: table is tables.SYNC_WINDOWS)


def mark_deleted(lake: Lake, source: str, gone: Mapping[str, datetime], at: datetime) -> int:
    """Mark conversations that are still known by that activity; return how many those were."""
    if not gone:
        return 0
    schema = pa.schema([(n, tables.CONVERSATIONS.columns[n].type) for n in _GONE])
    rows = [
        {"source": source, "conversation_id": i, "last_activity_at": active, "deleted_at": at}
        for i, active in gone.items()
    ]
    table = pa.Table.from_pylist(rows, schema)
    return delta.again(lambda: _mark(lake, table))


def _mark(lake: Lake, gone: pa.Table) -> int:
    merge = delta.merging(lake, tables.CONVERSATIONS.name, gone, _STILL_KNOWN)
    found = merge.when_matched_update({"deleted_at": "source.deleted_at"}).execute()
    return int(found["num_target_rows_updated"])


_GONE = ("source", "conversation_id", "last_activity_at", "deleted_at")
_STILL_KNOWN = """
    target.source = source.source
    and target.conversation_id = source.conversation_id
    and target.last_activity_at = source.last_activity_at
    and target.deleted_at is null
"""
