"""Whole columns of upstream values at once, where every value is plain; pure.

Each function returns what its namesake in `values` would read value by value, or refuses with
`ValueError`, `TypeError` or `OverflowError`: then one by one is the way to read them.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import values

Read = Callable[[Sequence[Any], pa.DataType], pa.Array]

_MILLISECONDS = pa.timestamp("ms", "UTC")
_FIRST, _LAST = (
    pa.scalar(at.replace(tzinfo=UTC), pa.timestamp("us", "UTC"))
    for at in (datetime.min, datetime.max)  # noqa: DTZ901 - gets its zone above
)
_WHOLE = {int, type(None)}
_EPOCH = pa.scalar(0, _MILLISECONDS)


def plain(column: Sequence[Any], of: pa.DataType) -> pa.Array:
    """Read values that are of the column's own type, or null."""
    return pa.array(column, of)


def integer(column: Sequence[Any], of: pa.DataType) -> pa.Array:
    """Read whole numbers, or null; of others Arrow would cut the fraction without a word."""
    return pa.array(column, of if set(map(type, column)) <= _WHOLE else pa.null())


def required(column: Sequence[Any], of: pa.DataType) -> pa.Array:
    """Read ids: texts that are not blank."""
    if not all(map(str.strip, column)):
        message = "is missing"
        raise ValueError(message)
    return pa.array(column, of)


def instant(column: Sequence[Any], of: pa.DataType) -> pa.Array:
    """Read epoch milliseconds, or ISO 8601 with an offset."""
    if set(map(type, column)) <= _WHOLE:
        return _between(pa.array(column, _MILLISECONDS), _EPOCH).cast(of)
    return _between(pa.array(column, pa.string()).cast(of), _FIRST)


def _between(read: pa.Array, first: pa.Scalar) -> pa.Array:
    """Refuse what is too far in the past or the future."""
    last = _LAST.cast(read.type, safe=False)
    if pc.all(pc.and_(pc.greater_equal(read, first), pc.less_equal(read, last))).as_py() is False:
        message = "is no instant"
        raise ValueError(message)
    return read


PLAIN: dict[object, Read] = {
    values.text: plain,
    values.integer: integer,
    values.credit: plain,
    values.flag: plain,
    values.required: required,
    values.instant: instant,
}
"""What reads a whole column, by what reads one of its values."""
