"""What the report reads of a PostgreSQL database, in a DuckDB in memory: its SQL is DuckDB's."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from pipelines import warehouse
from pipelines.postgres.server import Server

_READ = {
    "marts": ("conversations", "credit_ledger", "credit_spend_daily", "dim_bots", "freshness"),
    "chat": ("sync_windows", "rejected_rows"),
}
_ALL = "select * from {}.{}"
_TABLES = """
    select table_name from information_schema.tables
    where table_schema = $1 and table_name = $2
"""


@contextmanager
def copied(server: Server) -> Iterator[duckdb.DuckDBPyConnection]:
    """Copy the tables that are there, all as of one moment.

    Raises:
        WarehouseBusy, WarehouseFailed: the database can't be read.
    """
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        with warehouse.connect(server, read_only=True) as database:
            database.execute("set default_transaction_isolation = 'repeatable read'")
            database.begin()
            for schema, names in _READ.items():
                memory.execute(f"create schema {schema}")
                for table in names:
                    if database.execute(_TABLES, [schema, table]).fetchone():
                        found = database.execute(_ALL.format(schema, table))
                        memory.register("found", found.to_arrow_table())
                        memory.execute(f"create table {schema}.{table} as from found")
        yield memory
