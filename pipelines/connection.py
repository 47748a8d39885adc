"""What the code asks of an open warehouse, whichever database that is.

DuckDB's own connection does it; PostgreSQL's is `postgres/connection.py`. Statements are written
in the SQL that both understand, parameters as `$1`, `$2`.
"""

from typing import Any, Protocol

import duckdb
import pyarrow as pa


class Result(Protocol):
    """What a statement returns."""

    def fetchone(self) -> Any:  # noqa: ANN401 - a row of any shape, or None
        """Return the first row, None where there is none."""

    def fetchall(self) -> list[Any]:
        """Return all rows."""

    def to_arrow_table(self) -> pa.Table:
        """Return all rows as a table."""


class Connection(Protocol):
    """An open warehouse; `register` gives a table a name that statements find it by."""

    def execute(self, query: str, parameters: list[Any] = ..., /) -> Result:
        """Run a statement."""

    def register(self, name: str, table: pa.Table, /) -> object:
        """Show a table to the statements that follow, until the connection closes."""

    def begin(self) -> object:
        """Begin a transaction."""

    def commit(self) -> object:
        """Keep what was written since `begin`."""


def is_duckdb(connection: Connection) -> bool:
    """Tell what the few statements are written for that have no common form."""
    return isinstance(connection, duckdb.DuckDBPyConnection)
