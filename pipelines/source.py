"""The two dlt sources: one resource a bot with its cursor, and one a table for the rest.

Reading is done elsewhere (`gptbots/scan.py`, `okchat/scan.py`); a resource takes what was
read of its bot, keeps the cursor, and says how its table is written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltResource

from pipelines import tables
from pipelines.cursor import FIELDS, Cursor, resource_name


@dataclass(frozen=True)
class Batch:
    """What one run loads of one source: new rows a bot, and whole tables for the rest."""

    conversations: Mapping[str, pa.Table] = field(default_factory=dict)
    rest: Mapping[str, pa.Table] = field(default_factory=dict)


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
        moving = _moves(rows, cursors[bot])
        others.append(rows.filter(pc.invert(moving)))
        yield _incremental(source, bot, rows.filter(moving), cursors[bot])
    if any(map(len, others)):
        yield _plain(tables.CONVERSATIONS, pa.concat_tables(others), "moving no cursor")
    for table in tables.ALL:
        if table.name in batch.rest:
            yield _plain(table, batch.rest[table.name], table.name)


def _moves(rows: pa.Table, cursor: Cursor) -> pa.Array:
    """Tell which rows move the cursor; dlt would drop others that it deems seen.

    One that is dated later than it was received does not: a cursor ahead of time would hide
    what happens until then.
    """
    activity = rows["last_activity_at"]
    beyond = pc.greater_equal(activity, pa.scalar(cursor.initial, activity.type))
    if cursor.last is not None:
        beyond = pc.greater(activity, pa.scalar(cursor.last, activity.type))
    return pc.and_(beyond, pc.less_equal(activity, rows["observed_at"]))


def _incremental(source: str, bot: str, rows: pa.Table, cursor: Cursor) -> DltResource:
    """Return the resource of one bot; its cursor is committed with its rows."""
    incremental = dlt.sources.incremental[datetime](
        FIELDS[source], initial_value=cursor.initial, lag=cursor.lookback.total_seconds()
    )
    resource = _plain(tables.CONVERSATIONS, rows, resource_name(bot))
    return resource.apply_hints(incremental=incremental)


def _plain(table: tables.Table, rows: pa.Table, name: str) -> DltResource:
    hints: dict[str, Any] = {
        "table_name": table.name,
        "write_disposition": table.write_disposition,
        "primary_key": table.key or None,
        "columns": table.hints,
    }
    resource: DltResource = dlt.resource([rows], name=name, **hints)
    return resource
