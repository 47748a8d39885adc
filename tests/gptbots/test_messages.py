"""GPTBots' messages as received into rows, whatever shape they have."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines import errors
from pipelines.gptbots.messages import interpret_rows, page_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLAIN = {
    "message_id": "m1",
    "parent_message_id": "m0",
    "create_time": 1_772_323_200_000,
    "role": "assistant",
    "content": [{"branch_content": [{"type": "text", "text": "Hello"}]}],
}


def row(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - anything that could be sent
    found = interpret_rows([{**PLAIN, **fields}], "support", "c1", NOW)
    assert found.rejected == []
    (only,) = found.table.to_pylist()
    return dict(only)


def test_a_message_is_a_row() -> None:
    assert row() == {
        "source": "gptbots",
        "conversation_id": "c1",
        "message_id": "m1",
        "bot": "support",
        "parent_message_id": "m0",
        "sender_type": "assistant",
        "content": "Hello",
        "attachments": None,
        "created_at": NOW,
        "model": None,
        "provider": None,
        "tokens_used": None,
        "extra": None,
        "observed_at": NOW,
    }


TEXT, MORE = {"type": "text", "text": "one"}, {"type": "text", "text": "two", "bold": True}
PICTURE = {"type": "image", "image": [{"url": "https://example.com/a.png"}]}


@pytest.mark.parametrize(
    ("content", "text", "others"),
    [
        ([{"branch_content": [TEXT, PICTURE]}], "one", [PICTURE]),
        ([{"branch_content": [TEXT]}, {"branch_content": [MORE]}], "one\ntwo", [MORE]),
        ([{"branch_content": [TEXT], "branch_id": 3}], "one", [{"branch_id": 3}]),
        ([{"branch_content": [PICTURE]}], None, [PICTURE]),
        ([{"branch_content": [{"text": "untyped"}, None]}], "untyped", [None]),
        ([{"branch_content": [{"type": "text", "text": None}]}], None, [{**TEXT, "text": None}]),
        (["bare", {"else": 1}], None, ["bare", {"else": 1}]),
        ([], None, None),
        ("plain", "plain", None),
        ({"a": 1}, '{"a":1}', None),
        (None, None, None),
    ],
)
def test_texts_are_content_and_nothing_else_is_lost(
    content: object, text: str | None, others: object
) -> None:
    found = row(content=content)
    assert found["content"] == text
    assert found["attachments"] == (None if others is None else _canonical(others))


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def test_what_no_column_takes_is_kept_and_what_cant_be_read_put_aside() -> None:
    assert row(feeling="good", session_token="t")["extra"] == '{"feeling":"good"}'
    bad = [{**PLAIN, "message_id": None}, {**PLAIN, "create_time": "soon"}, "text"]
    found = interpret_rows([PLAIN, *bad], "support", "c1", NOW)
    assert len(found.table) == 1
    assert [rejected.reason for rejected in found.rejected] == [
        "message_id is missing",
        "create_time is no instant: 'soon'",
        "the row is no object",
    ]


@pytest.mark.parametrize("body", [None, [], {}, {"conversation_content": None}, {"list": []}])
def test_another_body_is_broken(body: object) -> None:
    with pytest.raises(errors.BrokenReply, match="no list of messages"):
        page_of(body, "support", "c1", NOW)


@pytest.mark.parametrize(("total", "read"), [(7, 7), (True, None), ("7", None), (None, None)])
def test_a_total_is_a_number_or_none(total: object, read: int | None) -> None:
    body = {"conversation_content": [PLAIN], "total": total}
    page = page_of(body, "support", "c1", NOW)
    assert (page.total, page.received, page.ids) == (read, 1, {"m1"})
