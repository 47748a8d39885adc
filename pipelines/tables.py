"""What is loaded: Arrow schemas, keys and column descriptions of the dataset `chat`.

Instants are `timestamp[us, UTC]`, amounts `decimal128(28, 10)`: fixed, because a loader
that is handed another type rounds without a word.
"""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

DATASET = "chat"
INSTANT = pa.timestamp("us", "UTC")
CREDIT = pa.decimal128(28, 10)
TEXT = pa.string()
COUNT = pa.int64()
DAY = pa.date32()
FLAG = pa.bool_()
APPEND = {"disposition": "append"}
"""How dlt writes rows that take no other row's place."""


@dataclass(frozen=True)
class Column:
    """A column: its Arrow type, whether it may be null, what it means."""

    type: pa.DataType
    about: str
    nullable: bool = True
    json: bool = False
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the dataset: its columns, its key and how a load writes it."""

    name: str
    about: str
    columns: dict[str, Column]
    key: tuple[str, ...] = ()
    strategy: str = "append"
    newest_by: str | None = None
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        fields = [pa.field(n, c.type, nullable=c.nullable) for n, c in self.columns.items()]
        object.__setattr__(self, "schema", pa.schema(fields))

    @property
    def write_disposition(self) -> dict[str, str]:
        """How dlt writes it: appended, or merged on the key."""
        if self.strategy == "append":
            return APPEND
        return {"disposition": "merge", "strategy": self.strategy}

    @property
    def hints(self) -> dict[str, dict[str, Any]]:
        """What dlt needs to know of a column beyond its Arrow type."""
        return {
            name: {
                "description": column.about,
                **({"data_type": "json"} if column.json else {}),
                **dict.fromkeys(column.hints, True),
                **({"dedup_sort": "desc"} if name == self.newest_by else {}),
            }
            for name, column in self.columns.items()
        }


_SOURCE = Column(TEXT, "which API: 'gptbots' or 'okchat'", nullable=False)
_ID = Column(TEXT, "the API's id of the conversation", nullable=False)
_BOT_ID = Column(TEXT, "the API's id of the bot (bot_id / chatbot_id)")
_BOT = Column(TEXT, "the bot's name in the configuration")
_CHANNEL = Column(TEXT, "conversation_type / platform, as sent")
_ACTIVITY = Column(
    INSTANT, "recent_chat_time / updated_at: when it was last active", nullable=False
)
_OBSERVED = Column(INSTANT, "when this version was read", nullable=False)
_MESSAGES = Column(COUNT, "messages so far (GPTBots)")
_COST = Column(CREDIT, "credits spent so far, a counter that may still settle (GPTBots)")
_EXTRA = Column(TEXT, "fields that no column takes, as JSON", json=True)

CONVERSATIONS = Table(
    "conversations",
    "One row per conversation, as it was last read.",
    {
        "source": _SOURCE,
        "conversation_id": _ID,
        "bot_id": _BOT_ID,
        "user_id": Column(TEXT, "the API's id of the user"),
        "channel": _CHANNEL,
        "last_activity_at": _ACTIVITY,
        "deleted_at": Column(INSTANT, "when it was proved to be gone upstream; null while live"),
        "recent_chat_time": Column(INSTANT, "last chat (GPTBots)"),
        "subject": Column(TEXT, "subject line (GPTBots)"),
        "message_count": _MESSAGES,
        "cost_credit": _COST,
        "created_at": Column(INSTANT, "when it began (OKChat)"),
        "updated_at": Column(INSTANT, "last update (OKChat)"),
        "state": Column(TEXT, "state, as sent; null where the API leaves it out (OKChat)"),
        "active": Column(FLAG, "whether it is active (OKChat)"),
        "is_human_mode": Column(FLAG, "whether a human has taken over (OKChat)"),
        "migrated_data": Column(FLAG, "whether it came from an older system (OKChat)"),
        "sns_user_id": Column(TEXT, "the user's id on the platform (OKChat)"),
        "voice_path": Column(TEXT, "recording of a voice conversation (OKChat)"),
        "metadata": Column(TEXT, "metadata, as sent (OKChat)", json=True),
        "extra": _EXTRA,
        "bot": _BOT,
        "observed_at": _OBSERVED,
    },
    key=("source", "conversation_id"),
    strategy="delete-insert",
    newest_by="last_activity_at",
)

LAST_MESSAGES = Table(
    "last_messages",
    "One row per conversation that has a last message (OKChat).",
    {
        "source": _SOURCE,
        "conversation_id": _ID,
        "message_id": Column(TEXT, "id of the message; null where the API sent a plain string"),
        "sender_type": Column(TEXT, "who wrote it; null where the API sent a plain string"),
        "content": Column(TEXT, "the text"),
        "updated_at": Column(INSTANT, "updated_at of its conversation"),
        "extra": _EXTRA,
        "removed": Column(
            FLAG,
            "always null here: carries the removal of a row to the load",
            hints=("hard_delete",),
        ),
    },
    key=("source", "conversation_id"),
    strategy="delete-insert",
    newest_by="updated_at",
)

CONVERSATION_CHANGES = Table(
    "conversation_changes",
    "One row per observed change of a conversation's activity or counters; append only.",
    {
        "source": _SOURCE,
        "conversation_id": _ID,
        "bot_id": _BOT_ID,
        "channel": _CHANNEL,
        "last_activity_at": _ACTIVITY,
        "message_count": _MESSAGES,
        "cost_credit": _COST,
        "observed_at": _OBSERVED,
    },
    # Not the counters: one that goes 0.83, 0.81, 0.83 is three changes.
    key=("source", "conversation_id", "observed_at"),
    strategy="insert-only",
)

SYNC_WINDOWS = Table(
    "sync_windows",
    "One row per window or sweep that was read: the audit trail.",
    {
        "source": _SOURCE,
        "bot": Column(TEXT, "the bot's name in the configuration", nullable=False),
        "bot_id": _BOT_ID,
        "kind": Column(
            TEXT,
            "'window' of time, 'history' (all of it counted), 'sweep' of a whole list, "
            "'head' of it, 'lookup' of single conversations, 'credits' of a settled day, "
            "'failure': why a bot was not read to its end",
            nullable=False,
        ),
        "window_start": Column(INSTANT, "first instant asked for; null for a sweep"),
        "window_end": Column(INSTANT, "instant before which was asked; null for a sweep"),
        "total_before": Column(COUNT, "the server's count with the first page, if it gave one"),
        "total_after": Column(
            COUNT, "the server's count after, told or shown by where its list ends"
        ),
        "distinct_rows": Column(COUNT, "distinct conversations read", nullable=False),
        "requests": Column(COUNT, "pages asked for", nullable=False),
        "certified": Column(FLAG, "whether the read was shown to be complete", nullable=False),
        "evidence": Column(TEXT, "how that is known", nullable=False),
        "started_at": Column(INSTANT, "when the reading began", nullable=False),
        "finished_at": Column(INSTANT, "when the reading ended", nullable=False),
    },
)

REJECTED_ROWS = Table(
    "rejected_rows",
    "One row per received row that could not be read, and per reason.",
    {
        "source": _SOURCE,
        "bot": Column(TEXT, "the bot's name in the configuration", nullable=False),
        "bot_id": _BOT_ID,
        "reason": Column(TEXT, "which field can't be read, and why", nullable=False),
        "raw": Column(TEXT, "the row as received, without session tokens", json=True),
        "rejected_id": Column(
            TEXT, "digest of bot, reason and row: seen again is one row", nullable=False
        ),
        "rejected_at": Column(INSTANT, "when it was first received", nullable=False),
    },
    key=("source", "rejected_id"),
    strategy="insert-only",
)

_TOTAL = Column(CREDIT, "credits in all", nullable=False)
_SETTLED = Column(
    INSTANT,
    "when these figures were read first, or first after the day had settled",
    nullable=False,
)


def _spent_on(*kinds: str) -> dict[str, Column]:
    return {kind: Column(CREDIT, f"credits spent on {kind}, as sent") for kind in kinds}


BILLS = Table(
    "bills",
    "One row per day that GPTBots billed, as a bot's key shows it; kept when upstream forgets it.",
    {
        "source": _SOURCE,
        "bot": Column(TEXT, "the bot's name in the configuration, whose key it is", nullable=False),
        "billed_on": Column(DAY, "the day", nullable=False),
        "total": _TOTAL,
        **_spent_on(
            *("chat", "knowledge_doc_indexing", "knowledge_doc_storage", "rerank"),
            *("database_processing", "tool_call", "asr", "tts"),
        ),
        "extra": _EXTRA,
        "observed_at": _SETTLED,
    },
    key=("source", "bot", "billed_on"),
    strategy="delete-insert",
    newest_by="observed_at",
)

CONVERSATION_CREDITS = Table(
    "conversation_credits",
    "One row per conversation and day that GPTBots lists it under; kept likewise.",
    {
        "source": _SOURCE,
        "conversation_id": _ID,
        "credited_on": Column(
            DAY,
            "the day that was asked for: when it was spent, or else when the conversation began; "
            "the API does not say which",
            nullable=False,
        ),
        "bot": _BOT,
        "conversation_create_time": Column(INSTANT, "when the conversation began"),
        "total": _TOTAL,
        **_spent_on(
            *("chat", "anonymization", "asr", "tts", "rerank", "database_processing"),
            *("tool_call", "knowledge_doc_indexing", "question_tag", "moderation"),
        ),
        "extra": _EXTRA,
        "observed_at": _SETTLED,
    },
    key=("source", "conversation_id", "credited_on"),
    strategy="delete-insert",
    newest_by="observed_at",
)

BOTS = Table(
    "bots",
    "One row per bot, with the name that its API gives it.",
    {
        "source": _SOURCE,
        "bot_id": Column(TEXT, "the API's id of the bot (bot_id / id)", nullable=False),
        "bot": _BOT,
        "name": Column(TEXT, "the API's name of it"),
        "observed_at": _OBSERVED,
    },
    key=("source", "bot_id"),
    strategy="delete-insert",
    newest_by="observed_at",
)

MESSAGES = Table(
    "messages",
    "One row per message of a conversation; empty unless switched on.",
    {
        "source": _SOURCE,
        "conversation_id": _ID,
        "message_id": Column(TEXT, "the API's id of the message (message_id / id)", nullable=False),
        "bot": _BOT,
        "parent_message_id": Column(TEXT, "the message that it answers (GPTBots)"),
        "sender_type": Column(TEXT, "who wrote it, as sent (role / sender_type)"),
        "content": Column(TEXT, "the text; of GPTBots the texts of all its branches, a line each"),
        "attachments": Column(TEXT, "what is no text: pictures, files, as sent", json=True),
        "created_at": Column(INSTANT, "when it was written (create_time / created_at)"),
        "model": Column(TEXT, "the language model that wrote it (OKChat)"),
        "provider": Column(TEXT, "whose model that is (OKChat)"),
        "tokens_used": Column(COUNT, "tokens that it took (OKChat)"),
        "extra": _EXTRA,
        "observed_at": _OBSERVED,
    },
    key=("source", "conversation_id", "message_id"),
    strategy="delete-insert",
    newest_by="observed_at",
)

TRANSCRIPTS = Table(
    "transcripts",
    "One row per conversation whose messages were asked for to the end, or refused.",
    {
        "source": _SOURCE,
        "conversation_id": _ID,
        "bot": _BOT,
        "last_activity_at": Column(
            INSTANT, "the conversation's activity that was known before it was read", nullable=False
        ),
        "message_count": Column(COUNT, "the conversation's counter, likewise (GPTBots)"),
        "complete": Column(FLAG, "whether all messages were read; else refused", nullable=False),
        "evidence": Column(TEXT, "how that is known, or why it was refused", nullable=False),
        "messages": Column(COUNT, "distinct messages received", nullable=False),
        "requests": Column(COUNT, "pages asked for", nullable=False),
        "read_at": Column(INSTANT, "when the reading ended", nullable=False),
    },
    key=("source", "conversation_id"),
    strategy="delete-insert",
    newest_by="read_at",
)

CORE = (CONVERSATIONS, LAST_MESSAGES, CONVERSATION_CHANGES, SYNC_WINDOWS, REJECTED_ROWS)
"""What every version has made: a warehouse that lacks any of it has never been loaded."""
READ = (CONVERSATIONS, LAST_MESSAGES, CONVERSATION_CHANGES)
"""What the conversations that were read go to."""
BOOKS = (BILLS, CONVERSATION_CREDITS, BOTS)
ALL = (*CORE, *BOOKS, MESSAGES, TRANSCRIPTS)

READING = pa.schema(
    [
        *CONVERSATIONS.schema,
        pa.field("last_message", pa.bool_()),
        pa.field("message_id", TEXT),
        pa.field("sender_type", TEXT),
        pa.field("content", TEXT),
        pa.field("message_extra", TEXT),
    ]
)
"""One conversation as received, last message and all; `last_message`: whether it has one."""
