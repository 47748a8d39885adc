"""A warehouse as a sync leaves it, by hand: the tables of `chat`, and rows into them."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

TABLES = """
create schema chat;
create table chat.conversations (
    source varchar not null, conversation_id varchar not null, bot_id varchar, user_id varchar,
    channel varchar, last_activity_at timestamptz not null, deleted_at timestamptz,
    recent_chat_time timestamptz, subject varchar, message_count bigint,
    cost_credit decimal(28, 10), created_at timestamptz, updated_at timestamptz, state varchar,
    active boolean, is_human_mode boolean, migrated_data boolean, sns_user_id varchar,
    voice_path varchar, metadata json, extra json, bot varchar, observed_at timestamptz
);
create table chat.last_messages (
    source varchar, conversation_id varchar, message_id varchar, sender_type varchar,
    content varchar, updated_at timestamptz, extra json
);
create table chat.conversation_changes (
    source varchar, conversation_id varchar, bot_id varchar, channel varchar,
    last_activity_at timestamptz, message_count bigint, cost_credit decimal(28, 10),
    observed_at timestamptz
);
create table chat.sync_windows (
    source varchar, bot varchar, bot_id varchar, kind varchar, window_start timestamptz,
    window_end timestamptz, total_before bigint, total_after bigint, distinct_rows bigint,
    requests bigint, certified boolean, evidence varchar, started_at timestamptz,
    finished_at timestamptz
);
create table chat.rejected_rows (
    source varchar, bot varchar, bot_id varchar, reason varchar, raw json, rejected_at timestamptz
);
create table chat.bills (
    source varchar, bot varchar, billed_on date, total decimal(28, 10), chat decimal(28, 10),
    knowledge_doc_indexing decimal(28, 10), knowledge_doc_storage decimal(28, 10),
    rerank decimal(28, 10), database_processing decimal(28, 10), tool_call decimal(28, 10),
    asr decimal(28, 10), tts decimal(28, 10), extra json, observed_at timestamptz
);
create table chat.conversation_credits (
    source varchar, conversation_id varchar, credited_on date, bot varchar,
    conversation_create_time timestamptz, total decimal(28, 10), chat decimal(28, 10),
    anonymization decimal(28, 10), asr decimal(28, 10), tts decimal(28, 10),
    rerank decimal(28, 10), database_processing decimal(28, 10), tool_call decimal(28, 10),
    knowledge_doc_indexing decimal(28, 10), question_tag decimal(28, 10),
    moderation decimal(28, 10), extra json, observed_at timestamptz
);
create table chat.bots (
    source varchar, bot_id varchar, bot varchar, name varchar, observed_at timestamptz
);
create table chat.messages (
    source varchar, conversation_id varchar, message_id varchar, bot varchar,
    parent_message_id varchar, sender_type varchar, content varchar, attachments json,
    created_at timestamptz, model varchar, provider varchar, tokens_used bigint, extra json,
    observed_at timestamptz
);
create table chat.transcripts (
    source varchar, conversation_id varchar, bot varchar, last_activity_at timestamptz,
    message_count bigint, complete boolean, evidence varchar, messages bigint, requests bigint,
    read_at timestamptz
);
"""


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """An instant of March 2026."""
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


class Warehouse:
    """One DuckDB file, opened for each statement only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run(TABLES)

    def run(self, sql: str) -> None:
        with closing(duckdb.connect(self.path)) as connection:
            connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(duckdb.connect(self.path, read_only=True)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def add(self, table: str, **row: object) -> None:
        names, marks = ", ".join(row), ", ".join("?" for _ in row)
        with closing(duckdb.connect(self.path)) as connection:
            connection.execute(
                f"insert into chat.{table} ({names}) values ({marks})",
                list(row.values()),
            )

    def conversation(self, source: str, name: str, credit: str | None, **more: object) -> None:
        """The latest version of a conversation."""
        row: dict[str, object] = {
            "source": source,
            "conversation_id": name,
            "bot_id": f"{source}-bot",
            "bot": f"{source}-name",
            "cost_credit": None if credit is None else Decimal(credit),
            "last_activity_at": at(1),
            "observed_at": at(1),
        }
        self.add("conversations", **(row | more))

    def change(
        self, source: str, name: str, credit: str | None, seen: datetime, **more: object
    ) -> None:
        """One observed version of a conversation; it happened when it was seen."""
        row: dict[str, object] = {
            "source": source,
            "conversation_id": name,
            "bot_id": f"{source}-bot",
            "cost_credit": None if credit is None else Decimal(credit),
            "last_activity_at": seen,
            "observed_at": seen,
        }
        self.add("conversation_changes", **(row | more))
