"""The two dlt sources: one resource a bot with its cursor, and one a table for the rest.

Reading is done elsewhere (`gptbots/scan.py`, `okchat/scan.py`); a resource takes what was
read of its bot, keeps the cursor, and says how its table is written.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines import tables
from pipelines.batch import Batch
from pipelines.cursor import FIELDS, Cursor, resource_name, split


@dlt.source(name="gptbots", max_table_nesting=0)
def gptbots(batch: Batch, cursors: Mapping[str, Cursor]) -> Iterator[DltResource]:
    """GPTBots, incremental on `recent_chat_time`."""
    yield from _resources("gptbots", batch, cursors)


@dlt.source(name="okchat", max_table_nesting=0)
def okchat(batch: Batch, cursors: Mapping[str, Cursor]) -> Iterator[DltResource]:
    """OKChat, incremental on `updated_at`."""
    yield from _resources("okchat", batch, cursors)


SOURCES = {"gptbots": gptbots, "okchat": okchat}


def _resources(source: str, batch: Batch, cursors: Mapping[str, Cursor]) -> Iterator[DltResource]:
    others = []
    for bot, rows in batch.conversations.items():
        newest, rest = split(rows, cursors[bot])
        others.append(rest)
        moved = _plain(tables.CONVERSATIONS, newest, resource_name(bot), batch)
        yield moved.apply_hints(incremental=_incremental(source, cursors[bot]))
    if any(map(len, others)):
        yield _plain(tables.CONVERSATIONS, pa.concat_tables(others), "moving no cursor", batch)
    for table in tables.ALL:
        if table.name in batch.rest:
            yield _plain(table, batch.rest[table.name], table.name, batch)
        if table.name in batch.files:
            file = batch.files[table.name]
            item = dlt.mark.with_file_import(str(file.path), "parquet", file.rows, file.like)
            yield _plain(table, item, f"{table.name} of a file", batch)


def _incremental(source: str, cursor: Cursor) -> dlt.sources.incremental[datetime]:
    """Return the cursor of one bot; it is committed with the rows of its resource."""
    return dlt.sources.incremental[datetime](
        FIELDS[source], initial_value=cursor.initial, lag=cursor.lookback.total_seconds()
    )


def _plain(table: tables.Table, rows: object, name: str, batch: Batch) -> DltResource:
    hints: dict[str, Any] = {
        "table_name": table.name,
        "write_disposition": table.write_disposition,
        "primary_key": table.key or None,
        "columns": table.hints,
    }
    hints["file_format"] = "parquet"  # also for JSON in PostgreSQL, whose column it chooses
    if batch.appends and table in tables.READ:
        hints["write_disposition"] = tables.APPEND
    resource: DltResource = dlt.resource([rows], name=name, **hints)
    return resource
