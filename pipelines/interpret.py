"""Received rows into a typed Arrow table, and aside those that can't be read; pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import columns, values
from pipelines.tables import BOTS, INSTANT, READING

Row = Mapping[str, Any]
Field = tuple[str, Callable[[Any], Any]]
"""The key in the received row, and what reads its value; no key: reads the fields left over."""


@dataclass(frozen=True)
class Answer:
    """Rows of one answer, decoded and no more, and when it arrived.

    Either each is whatever JSON there was, or all are of one plain kind (`msgspec.Struct`), which
    has all fields that columns take and no other.
    """

    rows: Sequence[object]
    at: datetime


@dataclass(frozen=True)
class Rejected:
    """A row that could not be read: which field and why, and the row as JSON."""

    reason: str
    raw: str


@dataclass(frozen=True)
class Interpreted:
    """`table` has the schema asked for, in the order received; `rejected` is the rest."""

    table: pa.Table
    rejected: list[Rejected]


def interpret(
    rows: Sequence[object],
    fields: Mapping[str, Field],
    constants: Mapping[str, object],
    schema: pa.Schema = READING,
) -> Interpreted:
    """Read rows column by column; where that fails, row by row to find the bad ones."""
    try:
        return Interpreted(_table(rows, fields, constants, schema), [])
    except ValueError:
        return _sift(rows, fields, constants, schema)


def interpret_answers(
    answers: Sequence[Answer], fields: Mapping[str, Field], constants: Mapping[str, object]
) -> Interpreted:
    """Read rows of several answers at once: a column of many costs a fraction of many columns."""
    rows = [row for answer in answers for row in answer.rows]
    times = [pa.repeat(pa.scalar(a.at, INSTANT), len(a.rows)) for a in answers]
    observed_at = pa.concat_arrays([pa.array([], INSTANT), *times])
    try:
        return Interpreted(_table(rows, fields, {**constants, "observed_at": observed_at}), [])
    except ValueError:
        parts = [interpret(a.rows, fields, {**constants, "observed_at": a.at}) for a in answers]
        return parts[0] if len(parts) == 1 else merge(parts)


def merge(parts: Sequence[Interpreted]) -> Interpreted:
    """Put pages together, in the order received; a rejected row that came twice is one."""
    tables = [READING.empty_table(), *(part.table for part in parts)]
    rejected = dict.fromkeys(row for part in parts for row in part.rejected)
    return Interpreted(pa.concat_tables(tables).combine_chunks(), list(rejected))


def interpret_bots(
    rows: Sequence[Row], id_key: str, constants: Mapping[str, object]
) -> Interpreted:
    """Read id and name of bots, and keep nothing else: what describes a bot may hold its keys."""
    fields: dict[str, Field] = {"bot_id": (id_key, values.required), "name": ("name", _title)}
    bare = [{key: row.get(key) for key, _ in fields.values()} for row in rows]
    found = interpret(bare, fields, constants, BOTS.schema)
    named = [Rejected("a bot without an id that can be read", "{}") for _ in found.rejected]
    return Interpreted(found.table, named)


def rejected_id(row: Rejected, key: str) -> str | None:
    """Return the id of a row that can't be read, if that can."""
    try:
        return values.required(json.loads(row.raw)[key])
    except (ValueError, TypeError, KeyError):
        return None


def owned(found: Interpreted, bot_id: str) -> Interpreted:
    """Say which bot rows are of that do not say it themselves."""
    place = READING.get_field_index("bot_id")
    column = found.table["bot_id"]
    if not column.null_count:
        return found
    filled = pc.fill_null(column, bot_id)
    return Interpreted(found.table.set_column(place, READING.field(place), filled), found.rejected)


def _sift(
    rows: Sequence[object],
    fields: Mapping[str, Field],
    constants: Mapping[str, object],
    schema: pa.Schema,
) -> Interpreted:
    good, rejected = [], []
    for row in map(as_received, rows):
        try:
            good.append(_table([row], fields, constants, schema))
        except ValueError as unreadable:
            rejected.append(Rejected(str(unreadable), values.raw_json(row)))
    return Interpreted(pa.concat_tables([schema.empty_table(), *good]), rejected)


def _table(
    rows: Sequence[object],
    fields: Mapping[str, Field],
    constants: Mapping[str, object],
    schema: pa.Schema = READING,
) -> pa.Table:
    received = _Received(rows, fields)
    arrays = []
    for column in schema:
        if column.name in fields:
            arrays.append(_array(received, column, *fields[column.name]))
        else:
            arrays.append(_constant(constants.get(column.name), column.type, len(rows)))
    return pa.table(arrays, schema=schema)


def _constant(value: object, of: pa.DataType, rows: int) -> pa.Array:
    """Return a column of one value, or of values given for each row."""
    return value if isinstance(value, pa.Array) else pa.repeat(pa.scalar(value, of), rows)


class _Received:
    """Rows as received, by row and by column."""

    def __init__(self, rows: Sequence[object], fields: Mapping[str, Field]) -> None:
        self.rows: Sequence[Any] = rows
        kinds = set(map(type, rows))
        self._is_plain = len(kinds) == 1 and issubclass(next(iter(kinds)), msgspec.Struct)
        if not self._is_plain and not kinds <= {dict}:
            self.rows = [_object(as_received(row)) for row in rows]
        self._keys = {key for key, _ in fields.values() if key}
        self._columns: dict[str, Sequence[Any]] = {"": self.rows}
        self._arrays: dict[tuple[str, object, pa.DataType], pa.Array | None] = {}
        self._is_bare = self._is_plain or set(map(len, self.rows)) <= {len(self._keys)}

    @property
    def is_bare(self) -> bool:
        """Whether all rows have all fields that columns take, and no other."""
        for key in self._keys:
            self.column(key)
        return self._is_bare

    def column(self, key: str) -> Sequence[Any]:
        """Return the values of a field, or the rows themselves."""
        if key not in self._columns:
            try:
                self._columns[key] = field_of(self.rows, key)
            except KeyError:
                self._is_bare = False
                self._columns[key] = [row.get(key) for row in self.rows]
        return self._columns[key]

    def array(self, key: str, read: Callable[[Any], Any], of: pa.DataType) -> pa.Array | None:
        """Return the values of a field read at once, where they are plain."""
        place = (key, read, of)
        if place not in self._arrays:
            self._arrays[place] = None
            if read in columns.PLAIN:
                with suppress(ValueError, TypeError, OverflowError):
                    self._arrays[place] = columns.PLAIN[read](self.column(key), of)
        return self._arrays[place]


def _array(received: _Received, column: pa.Field, key: str, read: Callable[[Any], Any]) -> pa.Array:
    if not key and received.is_bare:
        return pa.nulls(len(received.rows), column.type)
    found = received.array(key, read, column.type)
    if found is None or (found.null_count and not column.nullable):
        return _one_by_one(received.column(key), column, key, read)
    return found


def _one_by_one(
    found: Sequence[Any], column: pa.Field, key: str, read: Callable[[Any], Any]
) -> pa.Array:
    try:
        values_read = [read(value) for value in found]
        if not column.nullable and None in values_read:
            message = "is missing"
            raise ValueError(message)  # noqa: TRY301 - gets its field's name below
        return pa.array(values_read, column.type)
    except (ValueError, TypeError, OverflowError, RecursionError) as unreadable:
        message = f"{key or column.name} {unreadable}"
        raise ValueError(message[:500]) from unreadable


def _title(value: object) -> str | None:
    return value if isinstance(value, str) else None


def field_of(rows: Sequence[Any], key: str) -> list[Any]:
    """Return a field of rows that are alike: all objects, or all of one plain kind."""
    if rows and isinstance(rows[0], msgspec.Struct):
        return list(map(attrgetter(key), rows))
    return [row[key] for row in rows]


def as_received(row: object) -> object:
    """Return a row as it was received."""
    return msgspec.structs.asdict(row) if isinstance(row, msgspec.Struct) else row


def _object(row: object) -> Row:
    if isinstance(row, Mapping):
        return row
    message = "the row is no object"
    raise ValueError(message)
