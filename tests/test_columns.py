"""A column read at once is what its values are one by one, or is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines import columns, tables, values

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES: dict[object, pa.DataType] = {
    values.text: tables.TEXT,
    values.required: tables.TEXT,
    values.integer: tables.COUNT,
    values.credit: tables.CREDIT,
    values.flag: tables.FLAG,
    values.instant: tables.INSTANT,
}
DATES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["2026-03-05", "0001-01-01", "9999-12-31", "2026-02-30", "20260305", " "]),
    st.sampled_from(["T", " ", "t", ""]),
    st.sampled_from(["01:02:03", "23:59:60", "24:00:00", "01:02", "01", "00:00:00", ""]),
    st.sampled_from(["", ".1", ".123456", ".1234567", ",5", "."]),
    st.sampled_from(["", "Z", "+00:00", "-05:00", "+05:30", "+0000", "+00", "+25:00", "-00:00"]),
)
NUMBERS = st.sampled_from(
    [
        "0",
        "-0.0",
        "2.0",
        "1e5",
        "1E-3",
        "0.12345678901",
        "1e20",
        "99999999999999999999",
        "1e400",
        "9223372036854775807",
        "253402300799999",
        "253402300800000",
        "-1",
        "NaN",
        "Infinity",
    ]
)
JSON = st.one_of(
    st.none().map(json.dumps),
    st.booleans().map(json.dumps),
    st.integers().map(json.dumps),
    st.integers(0, 2**41).map(json.dumps),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
    st.text().map(json.dumps),
    st.sampled_from(
        ['""', '" "', '"\\u2003"', '"\\ud800"', '"5"', '"2.0"', "{}", "[1]", '"\\u0000"']
    ),
    NUMBERS,
    DATES.map(json.dumps),
)


@pytest.mark.parametrize("read", columns.PLAIN, ids=lambda read: read.__name__)
@settings(max_examples=400)
@given(st.one_of(st.lists(JSON, max_size=3), st.lists(DATES.map(json.dumps), max_size=1)))
@example(['"2026-03-05T01:02:03.12345+00:00"'])
def test_a_column_is_its_values(read: Callable[[object], object], written: list[str]) -> None:
    column = [values.decode(one.encode()) for one in written]
    try:
        found = columns.PLAIN[read](column, TYPES[read])
    except (ValueError, TypeError, OverflowError):
        return
    assert found == pa.array([read(value) for value in column], TYPES[read])


@pytest.mark.parametrize(
    ("read", "column"),
    [
        (values.text, ["a", None]),
        (values.required, ["a", "b"]),
        (values.integer, [1, None]),
        (values.credit, [1, None]),
        (values.flag, [True, None]),
        (values.instant, [0, None, 253_402_300_799_999]),
        (values.instant, ["2026-03-05T01:02:03.12345+00:00", None]),
    ],
)
def test_plain_values_are_not_refused(read: object, column: list[object]) -> None:
    assert len(columns.PLAIN[read](column, TYPES[read])) == len(column)
