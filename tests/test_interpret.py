"""Rows into a table, unreadable ones aside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gptbots.rows import interpret_rows
from pipelines.tables import READING

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
GOOD = {"conversation_id": "c", "recent_chat_time": 1}


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


BAD: list[Any] = [
    None,
    7,
    "text",
    [],
    {},
    {"conversation_id": "c"},
    {"conversation_id": "", "recent_chat_time": 1},
    {"conversation_id": None, "recent_chat_time": 1},
    {**GOOD, "recent_chat_time": True},
    {**GOOD, "message_count": 2**63},
    {**GOOD, "cost_credit": "1e18"},
    {**GOOD, "subject": "\ud800"},
    {**GOOD, "unknown": "\ud800"},
    {**GOOD, "unknown": deep(900)},
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_row_costs_only_itself(bad: object) -> None:
    found = interpret_rows([{**GOOD, "conversation_id": "1"}, bad, GOOD], "support", AT)
    assert found.table["conversation_id"].to_pylist() == ["1", "c"]
    assert found.table.schema == READING
    (rejected,) = found.rejected
    assert rejected.reason
    assert len(rejected.reason) <= 500


def test_a_page_without_rows_is_an_empty_table() -> None:
    found = interpret_rows([], "support", AT)
    assert (len(found.table), found.rejected) == (0, [])
    assert found.table.schema == READING


def test_a_page_of_bad_rows_is_an_empty_table_too() -> None:
    found = interpret_rows([1, 2], "support", AT)
    assert (len(found.table), found.table.schema) == (0, READING)
    assert [row.raw for row in found.rejected] == ["1", "2"]
    assert {row.reason for row in found.rejected} == {"the row is no object"}


def test_constants_are_in_every_row() -> None:
    found = interpret_rows([GOOD, GOOD], "support", AT).table
    assert found["source"].to_pylist() == ["gptbots"] * 2
    assert found["bot"].to_pylist() == ["support"] * 2
    assert found["observed_at"].to_pylist() == [AT] * 2


@given(st.lists(st.booleans(), max_size=9))
def test_each_row_is_either_read_or_rejected_in_its_order(good: list[bool]) -> None:
    rows = [{**GOOD, "conversation_id": str(i) if ok else ""} for i, ok in enumerate(good)]
    found = interpret_rows(rows, "support", AT)
    read = [str(i) for i, ok in enumerate(good) if ok]
    assert found.table["conversation_id"].to_pylist() == read
    assert len(found.rejected) == len(rows) - len(read)
