"""What the warehouse holds, as a run asks it now and then between its loads."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from pipelines.warehouse import NOTHING_KNOWN, Known, connect, has_tables, known, knows, told

T = TypeVar("T")


class Stored:
    """The warehouse, opened when it is asked.

    It stays open until something is waited for or written: each opening takes its time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._sources: dict[str, bool] = {}

    def look(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T | None:
        """Ask the warehouse; None while there is none."""
        if self._connection is None and self._path.exists():
            connection = self._open.enter_context(connect(self._path))
            if has_tables(connection):
                self._connection = connection
            else:
                self._open.close()
        if self._connection is None:
            return None
        with told(self._path):
            return query(self._connection)

    def known(self, source: str, read: pa.Table) -> Known:
        """Return what is stored of the conversations of a reading."""
        ids = read["conversation_id"]
        if not len(ids) or not self.knows(source):
            return NOTHING_KNOWN
        return self.look(partial(known, source=source, ids=ids)) or NOTHING_KNOWN

    def knows(self, source: str) -> bool:
        """Tell whether anything is stored of a source; where not, the file stays closed."""
        if source not in self._sources:
            self._sources[source] = bool(self.look(partial(knows, source=source)))
        return self._sources[source]

    def let_go(self) -> None:
        """Close the warehouse, so that others can have it."""
        self._connection = None
        self._open.close()

    def forget(self) -> None:
        """Let go of it, to write to it."""
        self.let_go()
        self._sources.clear()
