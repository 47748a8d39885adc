"""What a database holds, copied into a DuckDB file: the models say the same of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines import tables
from pipelines.warehouse import connect

if TYPE_CHECKING:
    import duckdb

    from pipelines.settings import Place


def copy(place: Place, to: duckdb.DuckDBPyConnection, schema: str = "chat") -> None:
    """Make the loaded tables, as DuckDB would have them."""
    to.execute(f"create schema {schema}")
    with connect(place, read_only=True) as database:
        for table in tables.ALL:
            plain = _columns(table, "{0}::varchar as {0}")
            rows = database.execute(f"select {plain} from chat.{table.name}").to_arrow_table()
            to.register("rows", rows.cast(table.schema))
            kept = _columns(table, "{0}::json as {0}")
            to.execute(f"create table {schema}.{table.name} as select {kept} from rows")


def _columns(table: tables.Table, json: str) -> str:
    return ", ".join(json.format(n) if c.json else n for n, c in table.columns.items())
