"""OKChat's messages as received into rows, in either envelope."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines import errors
from pipelines.okchat.messages import page_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLAIN = {
    "id": "m1",
    "session_id": "c1",
    "sender_type": "bot",
    "content": "Hello",
    "attachments": [{"type": "image"}],
    "created_at": "2026-03-01T07:00:00+07:00",
    "model": "gpt",
    "provider": "someone",
    "tokens_used": 42,
}


def read(body: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page_of(
        json.dumps(body).encode(), "website", "c1", NOW
    ).rows.table.to_pylist()
    return found


@pytest.mark.parametrize("body", [[PLAIN], {"data": [PLAIN]}])
def test_a_message_is_a_row(body: object) -> None:
    assert read(body) == [
        {
            "source": "okchat",
            "conversation_id": "c1",
            "message_id": "m1",
            "bot": "website",
            "parent_message_id": None,
            "sender_type": "bot",
            "content": "Hello",
            "attachments": '[{"type":"image"}]',
            "created_at": NOW,
            "model": "gpt",
            "provider": "someone",
            "tokens_used": 42,
            "extra": None,
            "observed_at": NOW,
        }
    ]


def test_what_is_left_out_is_null_and_what_is_new_is_kept() -> None:
    (row,) = read([{"id": 7, "attachments": [], "colour": "blue", "session_id": "c2"}])
    assert (row["message_id"], row["attachments"], row["created_at"]) == ("7", None, None)
    assert row["extra"] == '{"colour":"blue","session_id":"c2"}'


@pytest.mark.parametrize("body", [None, {}, {"data": {}}, "text"])
def test_another_body_is_broken(body: object) -> None:
    with pytest.raises(errors.BrokenReply, match="no list of messages"):
        read(body)
