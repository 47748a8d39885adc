"""Received rows into a typed Arrow table, and aside those that can't be read; pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import values
from pipelines.tables import BOTS, READING

Row = Mapping[str, Any]
Field = tuple[str, Callable[[Any], Any]]
"""The key in the received row, and what reads its value."""


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
    for row in rows:
        try:
            good.append(_table([row], fields, constants, schema))
        except ValueError as unreadable:
            rejected.append(Rejected(str(unreadable), values.raw_json(row)))
    return Interpreted(pa.concat_tables([schema.empty_table(), *good]), rejected)


def _table(
    rows: Sequence[object],
    fields: Mapping[str, Field],
    constants: Mapping[str, object],
    schema: pa.Schema,
) -> pa.Table:
    received = [_object(row) for row in rows]
    arrays = []
    for column in schema:
        if column.name in fields:
            arrays.append(_array(received, column, *fields[column.name]))
        else:
            constant = pa.scalar(constants.get(column.name), column.type)
            arrays.append(pa.repeat(constant, len(received)))
    return pa.table(arrays, schema=schema)


def _array(rows: Sequence[Row], column: pa.Field, key: str, read: Callable[[Any], Any]) -> pa.Array:
    try:
        # An empty key hands over the whole row.
        found = [read(row.get(key) if key else row) for row in rows]
        if not column.nullable and None in found:
            message = "is missing"
            raise ValueError(message)  # noqa: TRY301 - gets its field's name below
        return pa.array(found, column.type)
    except (ValueError, TypeError, OverflowError, RecursionError) as unreadable:
        message = f"{key or column.name} {unreadable}"
        raise ValueError(message[:500]) from unreadable


def _title(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _object(row: object) -> Row:
    if isinstance(row, Mapping):
        return row
    message = "the row is no object"
    raise ValueError(message)
