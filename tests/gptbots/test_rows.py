"""GPTBots rows, field by field."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import truth
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gptbots.rows import interpret_rows

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {
    "conversation_id": "AaACmo05Yrqb6bOSTbsg",
    "user_id": "3",
    "recent_chat_time": 1694572952383,
    "subject": "2+3=?",
    "conversation_type": "API",
    "message_count": 2,
    "cost_credit": Decimal("0.01"),
    "bot_id": "64b902a84f1ff25d1c60c10b",
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read(row: dict[str, Any]) -> dict[str, Any]:
    found = interpret_rows([row], "support", AT)
    assert not found.rejected
    (got,) = found.table.to_pylist()
    assert isinstance(got, dict)
    return got


def test_the_sample_row_is_read_exactly() -> None:
    at = datetime(2023, 9, 13, 2, 42, 32, 383000, tzinfo=UTC)
    got = {name: value for name, value in read(ROW).items() if value is not None}
    assert got == {
        "source": "gptbots",
        "conversation_id": "AaACmo05Yrqb6bOSTbsg",
        "bot_id": "64b902a84f1ff25d1c60c10b",
        "user_id": "3",
        "channel": "API",
        "last_activity_at": at,
        "recent_chat_time": at,
        "subject": "2+3=?",
        "message_count": 2,
        "cost_credit": Decimal("0.0100000000"),
        "bot": "support",
        "observed_at": AT,
        "last_message": False,
    }


@given(
    st.fixed_dictionaries(
        {
            "conversation_id": TEXT.filter(str.strip),
            "user_id": st.none() | TEXT,
            "recent_chat_time": st.integers(0, 10**13),
            "subject": st.none() | TEXT,
            "conversation_type": TEXT,
            "message_count": st.integers(0, 2**63 - 1),
            "cost_credit": st.decimals(0, 10**9, places=10),
            "bot_id": TEXT,
        },
        optional={"language": st.none() | TEXT, "tags": st.lists(TEXT)},
    )
)
def test_every_row_is_read_as_its_truth_says(row: dict[str, Any]) -> None:
    got = read(row)
    got["extra"] = truth.parsed(got["extra"])
    wanted = truth.conversation("gptbots", row)
    assert {name: got[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("field", "sent", "column", "value"),
    [
        ("conversation_id", 77, "conversation_id", "77"),
        ("user_id", 33, "user_id", "33"),
        ("recent_chat_time", "1694572952383", "recent_chat_time", None),
        ("recent_chat_time", Decimal("1694572952383.0"), "recent_chat_time", None),
        ("message_count", "2", "message_count", 2),
        ("message_count", Decimal("2.0"), "message_count", 2),
        ("cost_credit", 1, "cost_credit", Decimal(1)),
        ("cost_credit", "0.59", "cost_credit", Decimal("0.59")),
        ("cost_credit", None, "cost_credit", None),
        ("subject", ["a"], "subject", '["a"]'),
    ],
)
def test_a_field_of_another_type_is_read_where_its_meaning_is_plain(
    field: str, sent: object, column: str, value: object
) -> None:
    wanted = read(ROW)[column] if column == "recent_chat_time" else value
    assert read({**ROW, field: sent})[column] == wanted


@pytest.mark.parametrize("field", sorted(ROW.keys() - {"conversation_id", "recent_chat_time"}))
def test_a_field_that_is_not_sent_is_null(field: str) -> None:
    row = {name: value for name, value in ROW.items() if name != field}
    column = "channel" if field == "conversation_type" else field
    assert read(row)[column] is None


@pytest.mark.parametrize("field", ["conversation_id", "recent_chat_time"])
def test_a_row_without_id_or_time_is_rejected(field: str) -> None:
    found = interpret_rows([{k: v for k, v in ROW.items() if k != field}], "support", AT)
    assert [row.reason for row in found.rejected] == [f"{field} is missing"]
