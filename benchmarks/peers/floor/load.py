"""The floor of loading: `load.py UPSTREAM.json FOLDER` fetches, parses, inserts; no guarantees.

One INSERT reads bodies as they arrive: a thread fetches, DuckDB's threads parse and write. No row
becomes a Python object, and no more than a few batches of bodies are held.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from fetch import bodies

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = 50  # to a batch; 20 takes more time of the processor, 100 more memory
AHEAD = 4  # batches fetched while others are parsed
COLUMNS = {
    "conversation_id": "VARCHAR",
    "bot_id": "VARCHAR",
    "user_id": "VARCHAR",
    "recent_chat_time": "TIMESTAMPTZ",
    "subject": "VARCHAR",
    "conversation_type": "VARCHAR",
    "message_count": "BIGINT",
    "cost_credit": "DECIMAL(28, 10)",
}
BATCH = pa.schema([("body", pa.string())])


def main() -> None:
    """Load everything once."""
    upstream, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    batches = pa.RecordBatchReader.from_batches(BATCH, ahead(upstream))
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute("set preserve_insertion_order = false")  # so that two threads write
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        connection.execute(f"create table conversations ({columns})")
        connection.register("batches", batches)
        connection.execute(insert())


def insert() -> str:
    """Return the statement that parses and inserts all bodies."""
    shape = json.dumps({"list": [{**COLUMNS, "recent_chat_time": "BIGINT"}]})
    instant = "make_timestamp_ms(sent.recent_chat_time) at time zone 'UTC'"
    return (
        f"insert into conversations select sent.* replace ({instant} as recent_chat_time) "  # noqa: S608 - ours
        f"from (select unnest(from_json(body, '{shape}').list) as sent from batches)"
    )


def ahead(upstream: dict) -> Iterator[pa.RecordBatch]:
    """Yield batches of bodies that a thread fetches, which may be a few ahead."""
    ready: Queue[list[bytes] | BaseException] = Queue(AHEAD)
    Thread(target=fetch, args=(upstream, ready), daemon=True).start()
    while got := ready.get():
        if not isinstance(got, list):
            raise got
        yield pa.record_batch([pa.array(got, pa.string())], schema=BATCH)


def fetch(upstream: dict, ready: Queue) -> None:
    """Put the bodies of all pages, in batches, then an empty one; or what went wrong."""
    pages = bodies(upstream)
    try:
        while got := list(islice(pages, PAGES)):
            ready.put(got)
        ready.put([])
    except BaseException as wrong:  # noqa: BLE001 - for the thread that waits
        ready.put(wrong)


if __name__ == "__main__":
    main()
