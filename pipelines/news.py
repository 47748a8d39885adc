"""What a reading brings that the warehouse does not have yet; pure.

Every table is compared with itself, so that a load that died between two tables is healed
by the next reading. An older version of a conversation is never news.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from pipelines import tables
from pipelines.warehouse import Known

_CONTENT = [name for name in tables.CONVERSATIONS.columns if name != "observed_at"]
_MESSAGE = ["message_id", "sender_type", "content", "updated_at", "extra"]
_COUNTERS = ["last_activity_at", "message_count", "cost_credit"]


@dataclass(frozen=True)
class News:
    """Rows to load, each table in its own schema.

    `newest` holds, news or not, each bot's row with the newest activity that lies behind the
    moment of reading: where its cursor belongs.
    """

    conversations: pa.Table
    last_messages: pa.Table
    changes: pa.Table
    newest: pa.Table

    def __bool__(self) -> bool:
        return any(map(len, (self.conversations, self.last_messages, self.changes)))


def news(read: pa.Table, known: Known, after: datetime | None = None) -> News:
    """Compare rows of READING (a conversation may come twice) with what is known of them.

    Args:
        read: what was read.
        known: what the warehouse holds of these conversations.
        after: the latest change of all before this run: the ledger goes on from there.
    """
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        memory.register("read", read)
        memory.register("known", known.conversations)
        memory.register("known_messages", known.last_messages)
        memory.register("known_changes", known.changes)
        memory.execute(_CURRENT)
        return News(
            memory.execute(_CONVERSATIONS).to_arrow_table().cast(tables.CONVERSATIONS.schema),
            memory.execute(_LAST_MESSAGES).to_arrow_table().cast(tables.LAST_MESSAGES.schema),
            memory.execute(_CHANGES, [after])
            .to_arrow_table()
            .cast(tables.CONVERSATION_CHANGES.schema),
            memory.execute(_NEWEST).to_arrow_table().cast(tables.CONVERSATIONS.schema),
        )


def _differs(columns: list[str], of: str = "") -> str:
    ours = ", ".join(f"new.{of if name == 'extra' else ''}{name}" for name in columns)
    theirs = ", ".join(f"old.{name}" for name in columns)
    return f"(old.conversation_id is null or ({ours}) is distinct from ({theirs}))"


# The newest version of each, unless the warehouse knows a newer one that was not gone since.
_CURRENT = """
    create temp table current_version as
    with newest as (
        select * from read
        qualify row_number() over (
            partition by source, conversation_id
            order by last_activity_at desc, observed_at desc
        ) = 1
    )
    select newest.* from newest
    left join known using (source, conversation_id)
    where
        known.conversation_id is null
        or newest.last_activity_at >= known.last_activity_at
        or known.deleted_at is not null
"""

_CONVERSATIONS = f"""
    select {", ".join(f"new.{name}" for name in tables.CONVERSATIONS.columns)}
    from current_version as new
    left join known as old using (source, conversation_id)
    where {_differs(_CONTENT)}
"""

_NEWEST = f"""
    select {", ".join(f"new.{name}" for name in tables.CONVERSATIONS.columns)}
    from current_version as new
    where new.last_activity_at <= new.observed_at
    qualify row_number() over (
        partition by new.bot order by new.last_activity_at desc, new.conversation_id
    ) = 1
"""

# A change is observed after the one before it, and after all those of earlier runs, though the
# clock was set back meanwhile.
_CHANGES = f"""
    select new.* replace (
        greatest(
            new.observed_at,
            old.observed_at + interval 1 microsecond,
            ?::timestamptz + interval 1 microsecond
        ) as observed_at
    )
    from (select {", ".join(tables.CONVERSATION_CHANGES.columns)} from current_version) as new
    left join known_changes as old using (source, conversation_id)
    where {_differs(_COUNTERS)}
"""

_LAST_MESSAGES = f"""
    select
        new.source, new.conversation_id, new.message_id, new.sender_type, new.content,
        new.updated_at, new.message_extra as extra,
        case when not new.last_message then true end as removed
    from current_version as new
    left join known_messages as old using (source, conversation_id)
    where case
        when new.last_message then {_differs(_MESSAGE, "message_")}
        else old.conversation_id is not null
    end
"""
