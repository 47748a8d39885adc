"""A lakehouse as its readers see it: DuckDB in memory, with a view for each Delta table."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa

from pipelines import tables
from pipelines.lake import delta
from pipelines.lake.place import Lake

_STATES = "_dlt_pipeline_state"
_LOADS = "_dlt_loads"
_STATE = pa.schema(
    [("pipeline_name", pa.string()), ("state", pa.string()), ("_dlt_load_id", pa.string())]
)
_LOAD = pa.schema([("load_id", pa.string()), ("status", pa.int64())])


@contextmanager
def connect(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a lakehouse to read it: each table as it is at this moment."""
    with duckdb.connect() as opened:
        opened.execute("set TimeZone = 'UTC'")
        opened.execute(f"create schema {tables.DATASET}")
        for name in ("layout", *(table.name for table in tables.ALL)):
            _show(opened, lake, name)
        _show_states(opened, lake)
        yield opened


def _show(opened: duckdb.DuckDBPyConnection, lake: Lake, name: str) -> None:
    """Show a table.

    DuckDB reads its files itself: a dataset of deltalake's would call back into Python from
    DuckDB's threads, which hangs or crashes now and then.
    """
    table = delta.opened(lake, name)
    if table is None:
        return
    view = f"create view {tables.DATASET}.{name} as"
    schema = pa.schema(table.schema().to_arrow())
    if files := table.file_uris():
        listed = ", ".join(_text(file) for file in files)
        read = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        lacking = _lacking(opened, schema, read)
        columns = ", ".join(f'{lacking.get(column, "")}"{column}"' for column in schema.names)
        opened.execute(f"{view} select {columns} from {read}")
    else:
        opened.register(f"empty_{name}", schema.empty_table())
        opened.execute(f"{view} from empty_{name}")


def _lacking(opened: duckdb.DuckDBPyConnection, schema: pa.Schema, read: str) -> dict[str, str]:
    """Return, by name, how columns are made up that no file has yet."""
    there = {name for name, *_ in opened.execute(f"describe from {read}").fetchall()}
    empty = opened.from_arrow(schema.empty_table())
    kinds = dict(zip(empty.columns, empty.types, strict=True))
    return {name: f"null::{kinds[name]} as " for name in schema.names if name not in there}


def _text(value: str) -> str:
    return "'" + unquote(value.removeprefix("file://")).replace("'", "''") + "'"


def _show_states(opened: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Show the newest state of each pipeline, as a database would have it.

    dlt writes a state when all rows of its package are written, so its load counts as finished.
    """
    states = pa.Table.from_pylist(list(_states(lake)), _STATE)
    ids = states["_dlt_load_id"].to_pylist()
    loads = pa.Table.from_pylist([{"load_id": i, "status": 0} for i in ids], _LOAD)
    for name, rows in ((_STATES, states), (_LOADS, loads)):
        opened.register(f"newest_{name}", rows)
        opened.execute(f"create view {tables.DATASET}.{name} as from newest_{name}")


def _states(lake: Lake) -> Iterator[dict[str, Any]]:
    """Yield each pipeline's newest state that can be read; an older one costs reading again."""
    folder = lake.dataset / _STATES
    found: defaultdict[str, list[tuple[str, Path]]] = defaultdict(list)
    for file in folder.glob("*__*__*.jsonl") if folder.is_dir() else ():
        pipeline, load_id, _ = file.stem.rsplit("__", 2)
        found[pipeline].append((load_id, file))
    for files in found.values():
        states = (state_in(file) for _, file in sorted(files, reverse=True))
        yield from islice(filter(None, states), 1)


def state_in(file: Path) -> dict[str, Any] | None:
    """Return what dlt has written to a file, None where it is not whole or gone by now."""
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, FileNotFoundError):
        return None
    return state if isinstance(state, dict) else None
