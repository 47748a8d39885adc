"""What the warehouse holds as live: counted, looked up, and marked when it is gone upstream."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines import tables
from pipelines.connection import Connection
from pipelines.gptbots.api import LARGEST_PAGE
from pipelines.gptbots.history import Expected

Gone = dict[str, datetime]
"""Conversations that were not found upstream: id and activity as last known."""

_STARTS = pa.schema([("bot", pa.string()), ("since", tables.INSTANT), ("start", tables.INSTANT)])
_WINDOWS = pa.schema(
    [
        ("bot", pa.string()),
        ("bot_id", pa.string()),
        ("window_start", tables.INSTANT),
        ("window_end", tables.INSTANT),
    ]
)
_EPOCH_MS = pa.timestamp("ms", "UTC")
_GONE = pa.schema([("conversation_id", pa.string()), ("last_activity_at", tables.INSTANT)])


def expected(
    connection: Connection, since: datetime, starts: Mapping[str, datetime]
) -> dict[str, Expected]:
    """Return what is known of each GPTBots bot: since the start date and since its own start."""
    rows = [{"bot": bot, "since": since, "start": start} for bot, start in starts.items()]
    connection.register("asked", pa.Table.from_pylist(rows, _STARTS))
    counts = dict(connection.execute(_COUNTS, [since]).fetchall())
    nameless = dict(connection.execute(_NAMELESS).fetchall())
    ids = _grouped(connection.execute(_IDS).fetchall())
    many = {bot for (bot,) in connection.execute(_MANY).fetchall()}
    few = [row for row in rows if row["bot"] not in many]
    connection.register("few", pa.Table.from_pylist(few, _STARTS))
    recent = _grouped(connection.execute(_RECENT).fetchall())
    before = {bot: rest for bot, *rest in connection.execute(_BEFORE).fetchall()}
    return {
        bot: Expected(
            counts=counts,
            nameless=nameless.get(bot, 0),
            bot_ids=frozenset(i for (i,) in ids.get(bot, [])),
            recent=None if bot in many else dict(recent.get(bot, [])),
            unreadable=before.get(bot, (None, False, 0))[0],
            counted_windows=before.get(bot, (None, False, 0))[1],
            largest_page=before.get(bot, (None, False, 0))[2],
        )
        for bot in starts
    }


def times(
    connection: Connection,
    bot: str,
    bot_ids: Collection[str | None],
    since: datetime,
) -> Sequence[int]:
    """Return the activity (ms, ascending) of all live conversations of a GPTBots bot.

    Those that bear no bot's id count where the API sends none.
    """
    connection.register("ids", pa.table({"bot_id": pa.array(list(bot_ids), pa.string())}))
    rows = connection.execute(_TIMES, [since, bot, not bot_ids]).to_arrow_table()
    found = rows["active_at"].cast(_EPOCH_MS, safe=False).combine_chunks()
    return memoryview(found.buffers()[1] or b"").cast("q")[: len(found)]


def absent(
    connection: Connection, windows: list[dict[str, object]], read: pa.Table
) -> dict[str, Gone]:
    """Return, by bot, what is known in windows of GPTBots but was not read there.

    Args:
        connection: of the warehouse.
        windows: certified ones: `bot`, `bot_id`, `window_start`, `window_end`.
        read: all conversations that were read: `conversation_id`.
    """
    connection.register("windows", pa.Table.from_pylist(windows, _WINDOWS))
    connection.register("was_read", read)
    rows = _grouped(connection.execute(_ABSENT).fetchall())
    return {bot: dict(found) for bot, found in rows.items()}


def unseen(connection: Connection, chatbot_id: str, seen: pa.Array) -> Gone:
    """Return the live conversations of a chatbot that a sweep did not see."""
    connection.register("seen", pa.table({"conversation_id": seen}))
    return dict(connection.execute(_UNSEEN, [chatbot_id]).fetchall())


def last_sweeps(connection: Connection, since: datetime) -> set[str]:
    """Return the chatbots of which a whole sweep was finished since an instant."""
    return {bot for (bot,) in connection.execute(_SWEPT, [since]).fetchall()}


def chatbot(connection: Connection, chatbot_id: str) -> tuple[list[str], list[str]]:
    """Return the ids of all live conversations of a chatbot, and of the open ones."""
    rows = connection.execute(_CHATBOT, [chatbot_id]).fetchall()
    return [i for i, _ in rows], [i for i, is_open in rows if is_open]


def last_change(connection: Connection) -> datetime | None:
    """Return when the latest change of all was observed."""
    found = connection.execute("select max(observed_at) from chat.conversation_changes").fetchone()
    return found[0] if found else None


def activities(connection: Connection, source: str, ids: Collection[str]) -> Gone:
    """Return the activity of those conversations that are live."""
    connection.register("asked", pa.table({"conversation_id": pa.array(list(ids), pa.string())}))
    return dict(connection.execute(_ACTIVITIES, [source]).fetchall())


def mark_deleted(connection: Connection, source: str, gone: Gone, at: datetime) -> int:
    """Mark conversations that are still known by that activity; return how many those were."""
    rows = [{"conversation_id": i, "last_activity_at": active} for i, active in gone.items()]
    connection.register("gone", pa.Table.from_pylist(rows, _GONE))
    return len(connection.execute(_MARK, [at, source]).fetchall())


def _grouped(rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for bot, *rest in rows:
        found.setdefault(bot, []).append(rest)
    return found


_COUNTS = """
    select bot_id, count(*)
    from chat.conversations
    where
        source = 'gptbots' and deleted_at is null and bot_id is not null
        and last_activity_at >= $1
    group by bot_id
"""

_NAMELESS = """
    select c.bot, count(*)
    from chat.conversations as c
    join asked using (bot)
    where
        c.source = 'gptbots' and c.deleted_at is null and c.bot_id is null
        and c.last_activity_at >= asked.since
    group by c.bot
"""

_IDS = """
    select distinct bot, bot_id
    from chat.conversations
    join asked using (bot)
    where source = 'gptbots' and bot_id is not null
"""

_MANY = f"""
    select c.bot
    from chat.conversations as c
    join asked using (bot)
    where c.source = 'gptbots' and c.deleted_at is null and c.last_activity_at >= asked.start
    group by c.bot
    having count(*) > {LARGEST_PAGE}
"""

# Whole milliseconds: what is left of an instant there is near a whole number, which casts round to.
_RECENT = """
    select
        c.bot, c.conversation_id,
        cast(
            extract(epoch from date_trunc('milliseconds', c.last_activity_at)) * 1000 as bigint
        ) as active_ms
    from chat.conversations as c
    join few using (bot)
    where c.source = 'gptbots' and c.deleted_at is null and c.last_activity_at >= few.start
"""

# A count beyond a page can only be one of the window.
_BEFORE = f"""
    select
        bot,
        (
            array_agg(total_after - distinct_rows order by finished_at desc) filter (
                where kind = 'history' and certified and total_after is not null
            )
        )[1] as unreadable,
        coalesce(
            max(total_before) filter (where kind = 'window') > {LARGEST_PAGE}, false
        ) as counted_windows,
        coalesce(
            max(total_before)
                filter (where kind = 'window' and total_before <= {LARGEST_PAGE}),
            0
        ) as largest_page
    from chat.sync_windows
    where source = 'gptbots'
    group by bot
"""

_TIMES = """
    select last_activity_at as active_at
    from chat.conversations
    where
        source = 'gptbots' and deleted_at is null and last_activity_at >= $1
        and (bot_id in (select bot_id from ids) or bot_id is null and bot = $2 and $3)
    order by active_at
"""

_ABSENT = """
    select w.bot, c.conversation_id, c.last_activity_at
    from chat.conversations as c
    join windows as w
        on
            (c.bot_id = w.bot_id or c.bot_id is null and w.bot_id is null and c.bot = w.bot)
            and c.last_activity_at >= w.window_start
            and c.last_activity_at < w.window_end
    where
        c.source = 'gptbots' and c.deleted_at is null
        and not exists (
            select 1 from was_read where was_read.conversation_id = c.conversation_id
        )
"""

_UNSEEN = """
    select c.conversation_id, c.last_activity_at
    from chat.conversations as c
    where
        c.source = 'okchat' and c.bot_id = $1 and c.deleted_at is null
        and not exists (select 1 from seen where seen.conversation_id = c.conversation_id)
"""

_SWEPT = """
    select distinct bot
    from chat.sync_windows
    where source = 'okchat' and kind = 'sweep' and certified and finished_at >= $1
"""

_CHATBOT = """
    select conversation_id, coalesce(active, true)
    from chat.conversations
    where
        source = 'okchat' and bot_id = $1 and deleted_at is null
"""

_ACTIVITIES = """
    select conversation_id, last_activity_at
    from chat.conversations
    where
        source = $1 and deleted_at is null
        and conversation_id in (select conversation_id from asked)
"""

_MARK = """
    update chat.conversations as c
    set deleted_at = $1
    from gone
    where
        c.source = $2 and c.deleted_at is null
        and c.conversation_id = gone.conversation_id
        and c.last_activity_at = gone.last_activity_at
    returning c.conversation_id
"""
