"""The two dlt sources: one resource a bot with its cursor, and one a table for the rest.

Reading is done elsewhere (`gptbots/scan.py`, `okchat/scan.py`); a resource takes what was
read of its bot, keeps the cursor, and says how its table is written.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltResource

from pipelines import tables
from pipelines.batch import Batch
from pipelines.cursor import FIELDS, Cursor, resource_name


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
        newest, rest = _split(rows, _moving(rows, cursors[bot]))
        others.append(rest)
        moved = _plain(tables.CONVERSATIONS, newest, resource_name(bot), batch)
        yield moved.apply_hints(incremental=_incremental(source, cursors[bot]))
    if any(map(len, others)):
        yield _plain(tables.CONVERSATIONS, pa.concat_tables(others), "moving no cursor", batch)
    for table in tables.ALL:
        if table.name in batch.rest:
            yield _plain(table, batch.rest[table.name], table.name, batch)


def _split(rows: pa.Table, place: int | None) -> tuple[pa.Table, pa.Table]:
    """Take out the row that moves the cursor; of the others dlt would drop what it deems seen."""
    if place is None:
        return rows.slice(0, 0), rows
    others = pa.concat_tables([rows.slice(0, place), rows.slice(place + 1)])
    return rows.slice(place, 1), others


def _moving(rows: pa.Table, cursor: Cursor) -> int | None:
    """Return the place of the newest row that moves the cursor, if one does.

    One that is dated later than it was received does not: a cursor ahead of time would hide
    what happens until then.
    """
    activity = rows["last_activity_at"]
    past = pc.if_else(pc.less_equal(activity, rows["observed_at"]), activity, None)
    newest = pc.max(past)
    if not newest.is_valid:
        return None
    if cursor.last is None:
        moves = newest.as_py() >= cursor.initial
    else:
        moves = newest.as_py() > cursor.last
    return int(pc.index(past, newest).as_py()) if moves else None


def _incremental(source: str, cursor: Cursor) -> dlt.sources.incremental[datetime]:
    """Return the cursor of one bot; it is committed with the rows of its resource."""
    return dlt.sources.incremental[datetime](
        FIELDS[source], initial_value=cursor.initial, lag=cursor.lookback.total_seconds()
    )


def _plain(table: tables.Table, rows: pa.Table, name: str, batch: Batch) -> DltResource:
    hints: dict[str, Any] = {
        "table_name": table.name,
        "write_disposition": table.write_disposition,
        "primary_key": table.key or None,
        "columns": table.hints,
    }
    if batch.appends and table in tables.READ:
        hints["write_disposition"] = tables.APPEND
    resource: DltResource = dlt.resource([rows], name=name, **hints)
    return resource
