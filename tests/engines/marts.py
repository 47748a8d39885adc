"""Marts as rows, whichever engine made them, and what makes two of them equal."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Marts = dict[str, list[Row]]
JSON = ("metadata", "extra")
OF_NOW = "lag_seconds"
"""The seconds until the query: the one value that no two queries agree on."""


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows of an Arrow table, in an order of their own."""
    return in_order(table.to_pylist())


def in_order(rows: list[Row]) -> list[Row]:
    """Return rows by what tells them apart: their texts and days."""
    return sorted((_plain(row) for row in rows), key=_names)


def assert_same(found: Marts, wanted: Marts) -> None:
    """Compare all rows of all marts: decimals, instants and texts exactly, types too.

    Doubles are quotients of exact sums, which are rounded twice where they are made doubles
    before: to 1e-12 of their size.
    """
    assert found.keys() == wanted.keys()
    for mart, rows in wanted.items():
        assert [*found[mart][0]] == [*rows[0]], f"columns of {mart}"
        assert len(found[mart]) == len(rows), f"number of rows of {mart}"
        for one, other in zip(found[mart], rows, strict=True):
            unlike = {n: (one[n], other[n]) for n in other if not _same(n, one[n], other[n])}
            assert not unlike, f"{mart}: {unlike} in {other}"


def _same(name: str, one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if name == OF_NOW:
        return one is None or abs(one - other) < _PATIENCE  # type: ignore[operator]
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=0)
    return one == other


_PATIENCE = 3600


def _plain(row: Row) -> Row:
    """The row with JSON read and instants in UTC, as engines hand both out differently."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if name in JSON and isinstance(value, str):
        return json.loads(value, parse_float=Decimal)
    return value


def _names(row: Row) -> list[str]:
    told = (str, date)
    return [repr(v) for v in row.values() if v is None or isinstance(v, told)]
