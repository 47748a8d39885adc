"""GPTBots conversations as received into rows of READING; pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from pipelines import values
from pipelines.interpret import Answer, Field, Interpreted, Row, interpret_answers

SOURCE = "gptbots"

_FIELDS: dict[str, Field] = {
    "conversation_id": ("conversation_id", values.required),
    "bot_id": ("bot_id", values.text),
    "user_id": ("user_id", values.text),
    "channel": ("conversation_type", values.text),
    "last_activity_at": ("recent_chat_time", values.instant),
    "recent_chat_time": ("recent_chat_time", values.instant),
    "subject": ("subject", values.text),
    "message_count": ("message_count", values.integer),
    "cost_credit": ("cost_credit", values.credit),
}
_KNOWN = frozenset(key for key, _ in _FIELDS.values())


class Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row that has all fields of the documentation in their types, and no other.

    Decoded at half the cost of any object, and kept in a third of its memory.
    """

    conversation_id: str
    bot_id: str
    user_id: str | None
    conversation_type: str | None
    recent_chat_time: int
    subject: str | None
    message_count: int | None
    cost_credit: Any  # JSON of any kind, numbers exact


class _PlainList(msgspec.Struct, forbid_unknown_fields=True):
    list: list[Plain]
    total: int | None = None


_PLAIN = msgspec.json.Decoder(_PlainList, float_hook=Decimal)


def plain_list(body: bytes) -> tuple[Sequence[Plain], int | None] | None:
    """Decode a page and its `total`; None where a row is not plain, or it is no page."""
    try:
        found = _PLAIN.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError, RecursionError):
        return None
    return found.list, found.total


def _extra(row: Row) -> str | None:
    return values.unknown(row, _KNOWN)


def interpret_rows(rows: Sequence[object], bot: str, observed_at: datetime) -> Interpreted:
    """Read the `list` of a page; `observed_at` is when it was received."""
    return interpret_pages([Answer(rows, observed_at)], bot)


def interpret_pages(pages: Sequence[Answer], bot: str) -> Interpreted:
    """Read the lists of pages."""
    constants = {"source": SOURCE, "bot": bot, "last_message": False}
    return interpret_answers(pages, {**_FIELDS, "extra": ("", _extra)}, constants)
