"""Ad-hoc SQL on the warehouse: read only, and nothing but the warehouse."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import IO, BinaryIO

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ConvoyError, WarehouseFailed
from pipelines.lake.place import Lake
from pipelines.postgres.server import Server
from pipelines.settings import Place
from pipelines.warehouse import connect, connect_file, exists

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


class QueryFailed(ConvoyError):
    """The SQL is wrong; the message is the database's, with its hints."""

    exit_code = 2


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse so that SQL can neither write nor reach beyond it.

    Tables are found in `marts` first, then in `chat`.

    Raises:
        QueryFailed: there is no warehouse yet.
        WarehouseBusy: a sync is writing at this moment.
    """
    if not path.exists():
        message = f"there is no warehouse at {path} yet; run `convoy sync` first"
        raise QueryFailed(message)
    with connect_file(path, read_only=True) as connection:
        known = {row[0] for row in connection.execute(_SCHEMAS).fetchall()}
        searched = [schema for schema in ("marts", "chat") if schema in known]
        connection.execute(f"set search_path = '{','.join(searched) or 'main'}'")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection


def run(place: Place, sql: str) -> pa.Table:
    """Run one statement and return its rows.

    Raises:
        QueryFailed: the SQL is wrong, or tries to write.
    """
    if isinstance(place, Lake):
        return _of_lake(place, sql)
    return _of_file(place, sql) if isinstance(place, Path) else _of_database(place, sql)


def _of_database(server: Server, sql: str) -> pa.Table:
    """Ask in a transaction that only reads, and that a query before has made so for good.

    What gives rows is all that is let through: other statements could run programs on the server.
    What functions the role may call, it may call here: it is the user's own.
    """
    with connect(server, read_only=True) as connection:
        connection.execute("set search_path = marts, chat")
        connection.begin()
        connection.execute("select 1")
        try:
            return connection.execute(
                _ONLY_ROWS.format(sql.strip().removesuffix(";"))
            ).to_arrow_table()
        except WarehouseFailed as wrong:
            raise QueryFailed(str(wrong)) from None


def _of_lake(lake: Lake, sql: str) -> pa.Table:
    """Ask views in memory: what is written there is gone with them."""
    if not exists(lake):
        raise QueryFailed(f"there is no warehouse at {lake} yet; run `convoy sync` first")
    with connect(lake, read_only=True) as connection:
        assert isinstance(connection, duckdb.DuckDBPyConnection)  # noqa: S101 - of a lake it is
        connection.execute("set search_path = 'chat'")
        connection.execute(f"set allowed_directories = ['{_quoted(str(lake.dataset))}']")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        # In its folder DuckDB may write as well as read: nothing but a select is let through.
        if any(s.type != duckdb.StatementType.SELECT for s in _statements(connection, sql)):
            raise QueryFailed("of a lakehouse only `select` can be asked")
        return _one(connection, sql)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _of_file(path: Path, sql: str) -> pa.Table:
    with reading(path) as connection:
        return _one(connection, sql)


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    statements = _statements(connection, sql)
    if len(statements) != 1:
        message = f"one SQL statement is wanted, these are {len(statements)}"
        raise QueryFailed(message)
    try:
        return connection.execute(statements[0]).to_arrow_table()
    except duckdb.Error as error:
        raise QueryFailed(str(error).strip()) from None


def _statements(connection: duckdb.DuckDBPyConnection, sql: str) -> list[duckdb.Statement]:
    try:
        return connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryFailed(str(error).strip()) from None


def cells(table: pa.Table) -> Iterator[tuple[object, ...]]:
    """Yield the rows, in values of Python.

    Raises:
        QueryFailed: a date is none that Python has.
    """
    try:
        for batch in table.to_batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except (OverflowError, ValueError):
        raise QueryFailed(_NO_DATE) from None


def write_csv(table: pa.Table, to: IO[str]) -> None:
    """Write RFC 4180 CSV with a header; null is an empty field, instants are ISO 8601.

    All but numbers, instants and null is in quotes. A text that a spreadsheet would take for a
    formula gets an apostrophe in front, and a part of one behind what another country's
    spreadsheet splits at: it reads quotes only where a field begins.
    """
    to.write(_line(table.column_names))
    to.writelines(map(_line, cells(table)))


def _line(row: Iterable[object]) -> str:
    return (",".join(map(_field, row)) or '""') + "\n"  # readers skip an empty line


def _field(value: object) -> str:
    plain = text(value)
    if isinstance(value, _NO_TEXT):
        return plain
    inert = _FORMULA.sub(r"\1'\2", plain).replace('"', '""')
    return f'"{inert}"'


def write_json(table: pa.Table, to: IO[str]) -> None:
    """Write one array of objects, decimals as exact numbers."""
    rows = [dict(zip(table.column_names, row, strict=True)) for row in cells(table)]
    to.write(_ENCODER.encode(rows).decode() + "\n")


def write_parquet(table: pa.Table, to: BinaryIO) -> None:
    """Write Parquet with zstd."""
    pq.write_table(table, to, compression="zstd")


def text(value: object) -> str:
    """Return a value as plain text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    encoded = _ENCODER.encode(value).decode()
    return encoded.strip('"')


_NO_DATE = (
    "a date is infinite, not in the years 1 to 9999 or finer than a microsecond; "
    "cast it to varchar, or use --format parquet"
)
_ONLY_ROWS = "select * from (\n{}\n) as asked"
_NO_TEXT = (int, float, Decimal, date, NoneType)
# What is not seen may stand before a formula; a bullet behind a line break is none. What splits is
# not among what is not seen: else a text of line breaks would be searched again from each of them.
_UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u1680\u180e\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\ufeff"
)
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # the last are full-width
_FORMULA = re.compile(f'(^|[;\t]|[\r\n](?!- ))([{_UNSEEN}"]*)(?=[{_SIGNS}])')
_SCHEMAS = (
    "select schema_name from information_schema.schemata where catalog_name = current_catalog()"
)
