"""OKChat rows, field by field, and their last messages in three shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import truth
from hypothesis import given
from hypothesis import strategies as st

from pipelines.okchat.rows import interpret_rows
from pipelines.simulator import World

AT = datetime(2026, 1, 1, tzinfo=UTC)
SAMPLES: list[Any] = World.samples().truth("okchat")
MESSAGE_COLUMNS = ("last_message", "message_id", "sender_type", "content", "message_extra")
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read(row: dict[str, Any]) -> dict[str, Any]:
    found = interpret_rows([row], "website", AT)
    assert not found.rejected
    (got,) = found.table.to_pylist()
    assert isinstance(got, dict)
    return got


@pytest.mark.parametrize("row", SAMPLES)
def test_a_sample_row_is_read_as_its_truth_says(row: dict[str, Any]) -> None:
    got = read(row)
    got["metadata"] = truth.parsed(got["metadata"])
    wanted = truth.conversation("okchat", row)
    assert {name: got[name] for name in wanted} == wanted
    message = truth.last_message(row)
    assert got["last_message"] == (message is not None)
    for name in ("message_id", "sender_type", "content"):
        assert got[name] == (message[name] if message else None)


@pytest.mark.parametrize(
    ("sent", "columns"),
    [
        (None, (False, None, None, None, None)),
        ("", (True, None, None, "", None)),
        ("plain", (True, None, None, "plain", None)),
        ({"id": "i", "sender_type": "bot", "content": "c"}, (True, "i", "bot", "c", None)),
        ({"id": 5, "content": None}, (True, "5", None, None, None)),
        ({}, (True, None, None, None, None)),
        ({"id": "i", "url": "u"}, (True, "i", None, None, '{"url":"u"}')),
        ({"content": {"parts": [1]}}, (True, None, None, '{"parts":[1]}', None)),
        (["a"], (True, None, None, '["a"]', None)),
        (5, (True, None, None, "5", None)),
    ],
)
def test_a_last_message_is_read_in_every_shape(sent: object, columns: tuple[object, ...]) -> None:
    got = read({**SAMPLES[0], "last_message": sent})
    assert tuple(got[name] for name in MESSAGE_COLUMNS) == columns


@given(st.dictionaries(TEXT, st.none() | TEXT | st.integers(-(2**63), 2**63)))
def test_unknown_fields_are_extra(more: dict[str, Any]) -> None:
    extra = {key: value for key, value in more.items() if key not in truth.OKCHAT}
    got = read({**extra, **SAMPLES[0]})
    assert truth.parsed(got["extra"]) == (extra or None)


def test_a_session_token_goes_nowhere() -> None:
    row = {**SAMPLES[0], "session_token": "s3cret", "metadata": {"session_token": "s3cret"}}
    row["last_message"] = {"content": "c", "session_token": "s3cret"}
    assert "s3cret" not in str(read(row))
    rejected = interpret_rows([{**row, "updated_at": "s", "id": None}], "website", AT).rejected
    assert len(rejected) == 1
    assert "s3cret" not in str(rejected)


@pytest.mark.parametrize("field", sorted(truth.OKCHAT - {"id", "updated_at"}))
def test_a_field_that_is_not_sent_is_null(field: str) -> None:
    row = {name: value for name, value in SAMPLES[0].items() if name != field}
    column = {"chatbot_id": "bot_id", "platform": "channel"}.get(field, field)
    assert not read(row).get(column)
