"""Published files for tests, and the SQL that a number in the report promises."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

DASH = "\u2013"
SOURCES = {"GPTBots": "gptbots", "OKChat": "okchat"}
EVIL_BOT = "<img src=x onerror=alert(2)>"
EVIL_CHANNEL = "<b>CHANNEL</b>"
EVIL_SUBJECTS = [
    "</script><script>alert(1)</script>",
    "abc\u202edef\u2066ghi",
    "a\x1b[31mb\x7fc\x85d\u2028e\nf",
    '=HYPERLINK("http://evil.example","x") & <!-- %%DATA%%',
    "long " * 200_000,
]
_HOSTILE = """
    insert into chat.conversations by name
    select
        'gptbots' as source, 'hostile ' || i as conversation_id, 'evil bot' as bot_id,
        $bot as bot, $channel as channel, $subjects[i + 1] as subject,
        now() - i * interval 1 second as last_activity_at, 3 as message_count,
        0.1::decimal(28, 10) as cost_credit, 'hostile user' as user_id, now() as observed_at
    from range(len($subjects)) as numbers (i);
"""
_BOOKED = """
    insert into chat.conversation_changes by name
    select
        source, conversation_id, bot_id, channel, last_activity_at, message_count, cost_credit,
        observed_at
    from chat.conversations
    where bot_id = 'evil bot'
"""


NEVER_CHATTED = """
    insert into marts.last_syncs by name
    select 'gptbots' as source, unnest(['quiet', 'shy']) as bot, now() as last_sync_at,
        now() as last_complete_sync_at
"""
"""Two bots of which no id is known yet."""


def failed(bot: str, evidence: str, bot_id: str | None = None) -> str:
    """Return the SQL that notes a failed sync of a bot."""
    of = f"'gptbots' as source, '{bot}' as bot, {bot_id or 'null'} as bot_id"
    return f"""
        insert into chat.sync_windows by name
        select {of}, 'failure' as kind, false as certified, '{evidence}' as evidence,
            now() as started_at, now() as finished_at, 0 as distinct_rows, 0 as requests
    """


def spoil(warehouse: Path) -> None:
    """Put conversations into a warehouse that mean no good."""
    parameters = {"bot": EVIL_BOT, "channel": EVIL_CHANNEL, "subjects": EVIL_SUBJECTS}
    with closing(duckdb.connect(warehouse)) as connection:
        connection.execute(_HOSTILE, parameters)
        connection.execute(_BOOKED)


def changed(published: Path, to: Path, *statements: str) -> Path:
    """Return a copy in which something is otherwise."""
    to.write_bytes(published.read_bytes())
    with closing(duckdb.connect(to)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for statement in statements:
            connection.execute(statement)
    return to


class Asked:
    """The published file, asked under the filters that the page is given."""

    def __init__(self, published: Path) -> None:
        self._connection = duckdb.connect(published, read_only=True)
        self._connection.execute("set TimeZone = 'UTC'")

    def rows(self, sql: str, parameters: object = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    def tiles(self, **filters: str) -> dict[str, str]:
        """Return what the tiles promise; a dash where no source in question counts."""
        counters = self._one(_CONVERSATIONS, "cast(last_activity_at as date)", filters)
        spent = self._one(_SPENT, "spent_on", filters)
        names = ("conversations", "users", "messages", "with_a_person", "each")
        found = {"credits": spent[0]} | dict(zip(names, counters, strict=True))
        return {name: shown(value) for name, value in found.items()}

    def _one(self, sql: str, day: str, filters: dict[str, str]) -> tuple[Any, ...]:
        where, values = self.where(day, filters)
        return self.rows(sql.format(where), values)[0]

    def where(self, day: str, filters: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return the condition of the page's filters."""
        parts = {
            "source": "source = $source",
            "platform": "platform = $platform",
            "bot": "bot_id = (select any_value(bot_id) from marts.freshness where bot = $bot)",
            "first": f"{day} >= $first",
            "last": f"{day} <= $last",
        }
        values = {n: SOURCES[v] if n == "source" else v for n, v in filters.items()}
        return " and ".join(["true", *(parts[name] for name in filters)]), values


def shown(value: object) -> str:
    """Return a number as the page bears it."""
    if value is None:
        return DASH
    text = f"{value:f}" if not isinstance(value, int) else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


_SPENT = "select sum(credits) from marts.credit_spend_daily where {}"
_CONVERSATIONS = """
    select
        count(*), count(distinct (source, end_user_id)) filter (end_user_id is not null),
        sum(message_count), sum(is_human_mode::int),
        round(sum(cost_credit)::decimal(38, 10) / nullif(count(cost_credit), 0), 4)::decimal(28, 4)
    from marts.conversations
    where {}
"""
