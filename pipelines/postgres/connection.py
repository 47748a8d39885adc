"""An open PostgreSQL database, Arrow in and out; it behaves as DuckDB's connection does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.errors import ConfigurationError
from pipelines.postgres.errors import translated
from pipelines.postgres.server import Server

if TYPE_CHECKING:
    from adbc_driver_manager import dbapi

# A machine that vanished lets go of its lock within a minute, not in two hours.
_KEPT = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
_SETTINGS = f"-c TimeZone=UTC -c idle_session_timeout=0 {_KEPT}"
_READ_ONLY = "-c default_transaction_read_only=on"
# Of tables that were just made it takes few rows for granted, and a loop in a loop for cheap: one
# of 20,000 in 20,000 took half a minute. A scan of both never takes long.
_NO_LOOPS = "-c enable_nestloop=off"
_MISSING = (
    "the warehouse is a PostgreSQL database and its driver is not installed; "
    "pip install 'convoy-etl[postgres]'"
)
_TIMEOUT = "15"
_AMOUNT = pa.decimal128(38, 10)


@contextmanager
def connect(server: Server, *, read_only: bool = False) -> Iterator["Connection"]:
    """Open the database, instants in UTC.

    Raises:
        ConfigurationError: the driver is not installed, or the server knows no such user,
            password or database.
        WarehouseBusy: the server takes no further connection now.
        WarehouseFailed: it can't be reached.
    """
    opened = _opened(server, f"{_SETTINGS} {_READ_ONLY if read_only else _NO_LOOPS}")
    try:
        yield Connection(opened, server)
    finally:
        opened.close()


def _opened(server: Server, settings: str) -> "dbapi.Connection":
    try:
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - of an extra
    except ImportError:
        raise ConfigurationError(_MISSING) from None
    given = dict(server.options)
    options = f"{given.get('options', '')} {settings}".strip()
    timeout = given.get("connect_timeout", _TIMEOUT)
    try:
        uri = server.address(options=options, connect_timeout=timeout, application_name="convoy")
        return dbapi.connect(uri, autocommit=True)
    except dbapi.Error as error:
        raise translated(error, server) from None


class Result:
    """What a statement returned, all of it."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row, None where there is none."""
        return next(iter(self.fetchall()), None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        columns = [column.to_pylist() for column in self._rows.columns]
        return list(zip(*columns, strict=True))

    def to_arrow_table(self) -> pa.Table:
        """Return all rows as a table."""
        return self._rows


class Connection:
    """An open database."""

    def __init__(self, opened: "dbapi.Connection", server: Server) -> None:
        self._opened = opened
        self._server = server
        self._registered: set[str] = set()

    def execute(self, query: str, parameters: Sequence[object] = ()) -> Result:
        """Run one statement, `$1` standing for the first parameter.

        Raises:
            WarehouseFailed: it failed.
        """
        with self._told(), self._opened.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return Result(_plain(cursor.fetch_arrow_table()))

    def register(self, name: str, table: pa.Table) -> None:
        """Show a table to the statements that follow, as a temporary one."""
        with self._told(), self._opened.cursor() as cursor:
            if name in self._registered:  # one of ours, never a table of the user's
                cursor.execute(f"drop table pg_temp.{name}")
            cursor.adbc_ingest(name, table, mode="create", temporary=True)
            cursor.execute(f"analyze pg_temp.{name}")
            self._registered.add(name)

    def begin(self) -> None:
        """Begin a transaction."""
        with self._told():
            self._opened.adbc_connection.set_autocommit(False)

    def commit(self) -> None:
        """Keep what was written since `begin`."""
        with self._told():
            self._opened.commit()
            self._opened.adbc_connection.set_autocommit(True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - of an extra

        try:
            yield
        except dbapi.Error as error:
            raise translated(error, self._server) from None


def _plain(rows: pa.Table) -> pa.Table:
    """Return rows in the types that DuckDB would give: amounts as decimals, JSON as text."""
    columns = [_plain_column(field, rows.column(n)) for n, field in enumerate(rows.schema)]
    return pa.Table.from_arrays(columns, names=rows.schema.names)


def _plain_column(field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not isinstance(field.type, pa.BaseExtensionType):
        return column
    stored = pa.chunked_array([part.storage for part in column.chunks], field.type.storage_type)
    return _amounts(stored) if getattr(field.type, "type_name", "") == "numeric" else stored


def _amounts(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read amounts that the driver gives as text; those that no decimal holds stay text."""
    if texts.null_count == len(texts):
        return texts.cast(_AMOUNT)
    try:
        exact = [None if text is None else Decimal(text) for text in texts.to_pylist()]
        return pa.chunked_array([pa.array(exact)])
    except (pa.ArrowInvalid, ArithmeticError):
        return texts
