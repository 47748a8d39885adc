"""Whose transcripts are due: what the warehouse says of conversations and of their messages."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from pipelines.jobs import BotName, GptbotsTask, Task
from pipelines.tables import TRANSCRIPTS
from pipelines.warehouse import lacking


@dataclass(frozen=True)
class Due:
    """A conversation whose messages were not read as of its activity and its counter."""

    conversation_id: str
    last_activity_at: datetime
    message_count: int | None


def owners(tasks: Mapping[BotName, Task]) -> pa.Table:
    """Return whose conversations bear which bot's id: a bot may have had another name."""
    found = {
        (name.source, bot_id): name.bot
        for name, task in tasks.items()
        for bot_id in (
            task.history.bot_ids if isinstance(task, GptbotsTask) else (task.chatbot_id,)
        )
    }
    rows = [{"source": s, "bot_id": bot_id, "bot": bot} for (s, bot_id), bot in found.items()]
    return pa.Table.from_pylist(rows, _OWNERS)


def newest(
    connection: duckdb.DuckDBPyConnection, owners: pa.Table, most: Mapping[BotName, int]
) -> dict[BotName, list[Due]]:
    """Return the conversations that are due of each bot, newest first, so many at most."""
    connection.register("owners", owners)
    connection.register("asked", _asked(most))
    found: dict[BotName, list[Due]] = {}
    for source, bot, *rest in connection.execute(_sql(connection, _NEWEST)).fetchall():
        found.setdefault(BotName(source, bot), []).append(Due(*rest))
    return found


def counts(
    connection: duckdb.DuckDBPyConnection, owners: pa.Table, names: Collection[BotName]
) -> dict[BotName, int]:
    """Return how many conversations of each bot are due."""
    connection.register("owners", owners)
    connection.register("asked", _asked(dict.fromkeys(names, 0)))
    rows = connection.execute(_sql(connection, _COUNTS)).fetchall()
    return {BotName(source, bot): count for source, bot, count in rows}


def _sql(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Return a query as a warehouse of an earlier version can answer it: nothing is read there."""
    transcripts = _NONE if TRANSCRIPTS in lacking(connection) else _SOME
    parts = {"transcripts": transcripts, "is_due": _IS_DUE}
    return query.format(**parts, due=_DUE.format(**parts))


def progress(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], tuple[int, int]]:
    """Return how many transcripts of each (source, bot) are read, and how many are due."""
    rows = connection.execute(_sql(connection, _PROGRESS)).fetchall()
    return {(source, bot): (read, count) for source, bot, read, count in rows}


def _asked(most: Mapping[BotName, int]) -> pa.Table:
    rows = [{"source": n.source, "bot": n.bot, "most": count} for n, count in most.items()]
    return pa.Table.from_pylist(rows, _ASKED)


_OWNERS = pa.schema([(name, pa.string()) for name in ("source", "bot_id", "bot")])
_ASKED = pa.schema([("source", pa.string()), ("bot", pa.string()), ("most", pa.int64())])
_SOME = "chat.transcripts"
_NONE = """
    (
        select source, conversation_id, last_activity_at, message_count, false as complete
        from chat.conversations limit 0
    )
"""
_IS_DUE = """
    c.deleted_at is null
    and (c.last_activity_at, c.message_count) is distinct from (t.last_activity_at, t.message_count)
"""
_DUE = """
    select
        c.source,
        coalesce(owners.bot, c.bot) as bot,
        c.conversation_id,
        c.last_activity_at,
        c.message_count
    from chat.conversations as c
    left join {transcripts} as t using (source, conversation_id)
    left join owners on owners.source = c.source and owners.bot_id = c.bot_id
    where {is_due}
"""
_NEWEST = """
    with due as ({due})
    select due.*
    from due join asked using (source, bot)
    qualify
        row_number() over (
            partition by due.source, due.bot
            order by due.last_activity_at desc, due.conversation_id
        ) <= asked.most
    order by due.source, due.bot, due.last_activity_at desc, due.conversation_id
"""
_COUNTS = """
    with due as ({due})
    select asked.source, asked.bot, count(due.conversation_id)
    from asked left join due using (source, bot)
    group by all
"""
_PROGRESS = """
    select
        c.source,
        c.bot,
        count(*) filter (where t.complete),
        count(*) filter (where {is_due})
    from chat.conversations as c
    left join {transcripts} as t using (source, conversation_id)
    group by all
"""
