"""What the warehouse must hold, out of a world's truth; shares no code with `pipelines`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Row = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GPTBOTS = {
    "conversation_id", "user_id", "recent_chat_time", "subject", "conversation_type",
    "message_count", "cost_credit", "bot_id",
}  # fmt: skip
OKCHAT = {
    "id", "chatbot_id", "created_at", "updated_at", "active", "is_human_mode", "migrated_data",
    "platform", "state", "sns_user_id", "user_id", "session_token", "voice_path", "metadata",
    "last_message",
}  # fmt: skip
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d):(\d\d)")


def of_iso(text: str) -> datetime:
    """Read an instant as OKChat writes it, digit by digit."""
    found = _ISO.fullmatch(text)
    assert found, text
    *parts, fraction, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (1 if sign == "+" else -1)
    local = datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[misc,arg-type]
    return local + timedelta(microseconds=int((fraction or "").ljust(6, "0"))) - offset


def of_milliseconds(value: int) -> datetime:
    return EPOCH + timedelta(seconds=value // 1000, microseconds=value % 1000 * 1000)


def conversation(source: str, row: Row) -> Row:
    """Return the row of `chat.conversations`, without what only the sync knows."""
    return _of_gptbots(row) if source == "gptbots" else _of_okchat(row)


def last_message(row: Row) -> Row | None:
    """Return the row of `chat.last_messages` of an OKChat conversation that has one."""
    message = row["last_message"]
    if message is None:
        return None
    fields = message if isinstance(message, dict) else {"content": message}
    rest = {key: value for key, value in fields.items() if key not in FIELDS_OF_MESSAGE}
    return {
        "source": "okchat",
        "conversation_id": row["id"],
        "message_id": fields.get("id"),
        "sender_type": fields.get("sender_type"),
        "content": fields.get("content"),
        "updated_at": of_iso(row["updated_at"]),
        "extra": rest or None,
        "removed": None,
    }


FIELDS_OF_MESSAGE = {"id", "sender_type", "content"}


def parsed(text: str | None) -> Any:  # noqa: ANN401 - JSON of any shape
    """Read JSON out of the warehouse, numbers exact."""
    return None if text is None else json.loads(text, parse_float=Decimal)


def _of_gptbots(row: Row) -> Row:
    at = of_milliseconds(row["recent_chat_time"])
    return {
        **dict.fromkeys(_ONLY_OKCHAT),
        "source": "gptbots",
        "conversation_id": row["conversation_id"],
        "bot_id": row["bot_id"],
        "user_id": row["user_id"],
        "channel": row["conversation_type"],
        "last_activity_at": at,
        "deleted_at": None,
        "recent_chat_time": at,
        "subject": row["subject"],
        "message_count": row["message_count"],
        "cost_credit": Decimal(row["cost_credit"]),
        "extra": {key: value for key, value in row.items() if key not in GPTBOTS} or None,
    }


def _of_okchat(row: Row) -> Row:
    same = ("active", "is_human_mode", "migrated_data", "sns_user_id", "user_id", "voice_path")
    return {
        **dict.fromkeys(_ONLY_GPTBOTS),
        **{name: row[name] for name in same},
        "source": "okchat",
        "conversation_id": row["id"],
        "bot_id": row["chatbot_id"],
        "channel": row["platform"],
        "last_activity_at": of_iso(row["updated_at"]),
        "deleted_at": None,
        "created_at": of_iso(row["created_at"]),
        "updated_at": of_iso(row["updated_at"]),
        "state": row.get("state"),
        "metadata": row.get("metadata"),
        "extra": {key: value for key, value in row.items() if key not in OKCHAT} or None,
    }


_ONLY_GPTBOTS = ("recent_chat_time", "subject", "message_count", "cost_credit")
_ONLY_OKCHAT = (
    "created_at", "updated_at", "state", "active", "is_human_mode", "migrated_data",
    "sns_user_id", "voice_path", "metadata",
)  # fmt: skip
