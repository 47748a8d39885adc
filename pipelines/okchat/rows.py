"""OKChat conversations as received into rows of READING; pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines import values
from pipelines.interpret import Answer, Field, Interpreted, Row, interpret_answers

SOURCE = "okchat"
_MESSAGE_FIELDS = frozenset({"id", "sender_type", "content"})


def _of_message(key: str) -> Callable[[Any], str | None]:
    """Read one field of a last message; a plain string is all content."""

    def read(message: object) -> str | None:
        if isinstance(message, Mapping):
            return values.text(message.get(key))
        return values.text(message) if key == "content" else None

    return read


def _message_extra(message: object) -> str | None:
    return values.unknown(message, _MESSAGE_FIELDS) if isinstance(message, Mapping) else None


def _has_message(message: object) -> bool:
    return message is not None


_FIELDS: dict[str, Field] = {
    "conversation_id": ("id", values.required),
    "bot_id": ("chatbot_id", values.text),
    "user_id": ("user_id", values.text),
    "channel": ("platform", values.text),
    "last_activity_at": ("updated_at", values.instant),
    "created_at": ("created_at", values.instant),
    "updated_at": ("updated_at", values.instant),
    "state": ("state", values.text),
    "active": ("active", values.flag),
    "is_human_mode": ("is_human_mode", values.flag),
    "migrated_data": ("migrated_data", values.flag),
    "sns_user_id": ("sns_user_id", values.text),
    "voice_path": ("voice_path", values.text),
    "metadata": ("metadata", values.json_text),
    "last_message": ("last_message", _has_message),
    "message_id": ("last_message", _of_message("id")),
    "sender_type": ("last_message", _of_message("sender_type")),
    "content": ("last_message", _of_message("content")),
    "message_extra": ("last_message", _message_extra),
}
_KNOWN = frozenset(key for key, _ in _FIELDS.values())


def _extra(row: Row) -> str | None:
    return values.unknown(row, _KNOWN)


def interpret_rows(rows: Sequence[object], bot: str, observed_at: datetime) -> Interpreted:
    """Read the conversations of a page; `observed_at` is when it was received."""
    return interpret_pages([Answer(rows, observed_at)], bot)


def interpret_pages(pages: Sequence[Answer], bot: str) -> Interpreted:
    """Read the conversations of pages."""
    constants = {"source": SOURCE, "bot": bot}
    return interpret_answers(pages, {**_FIELDS, "extra": ("", _extra)}, constants)
