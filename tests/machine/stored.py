"""What a warehouse holds, and what must be true of it after every sync, however it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import truth

from pipelines import tables
from pipelines.warehouse import connect, exists

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.connection import Connection
    from pipelines.settings import Place

Key = tuple[str, str]
Row = dict[str, Any]

_JSON = ("metadata", "extra")
# Rows that come as Arrow bear no load of theirs; the state does.
_WITHOUT_LOAD = """
    select count(distinct _dlt_load_id) from chat._dlt_pipeline_state as state
    where not exists (
        select 1 from chat._dlt_loads as loads
        where loads.load_id = state._dlt_load_id and loads.status = 0
    )
"""


@dataclass
class Stored:
    """Conversations and last messages by their keys; `changes` counts the observed changes.

    `orphans` are loads that wrote a state and never came to their end.
    """

    conversations: dict[Key, Row] = field(default_factory=dict)
    messages: dict[Key, Row] = field(default_factory=dict)
    changes: int = 0
    rejected: int = 0
    orphans: int = 0

    def of(self, bot: str) -> dict[Key, Row]:
        """Return the conversations of one bot."""
        return {key: row for key, row in self.conversations.items() if row["bot"] == bot}

    def newest(self, bot: str) -> datetime | None:
        """Return the newest activity of one bot: its cursor can't be beyond."""
        return max((row["last_activity_at"] for row in self.of(bot).values()), default=None)


def stored(place: Place) -> Stored:
    """Read it all; no table, no rows. A key that is there twice is a failure."""
    if not exists(place):
        return Stored()
    with connect(place) as connection:
        made = "select count(*) from information_schema.tables where table_schema = 'chat'"
        if _number(connection, made) <= len(tables.ALL):  # died before all of them were made
            return Stored()
        return Stored(
            _keyed(connection, "conversations"),
            _keyed(connection, "last_messages"),
            _number(connection, "select count(*) from chat.conversation_changes"),
            _number(connection, "select count(*) from chat.rejected_rows"),
            _number(connection, _WITHOUT_LOAD),
        )


def _number(connection: Connection, query: str) -> int:
    found = connection.execute(query).fetchone()
    assert found
    return int(found[0])


def _keyed(connection: Connection, table: str) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for row in connection.execute(f"select * from chat.{table}").to_arrow_table().to_pylist():
        kept = {name: value for name, value in row.items() if not name.startswith("_dlt")}
        kept |= {name: truth.parsed(kept[name]) for name in _JSON if name in kept}
        key = row["source"], row["conversation_id"]
        assert key not in found, f"{key} is in {table} twice"
        found[key] = kept
    return found


def assert_goes_on(before: Stored, after: Stored) -> None:
    """Nothing that was there is gone, and no version of it is older than it was."""
    gone = before.conversations.keys() - after.conversations.keys()
    assert not gone, f"rows have disappeared: {sorted(gone)}"
    assert after.changes >= before.changes, "observed changes have disappeared"
    for key, row in before.conversations.items():
        was, now = _version(row), _version(after.conversations[key])
        assert now >= was, f"{key} went back from {was} to {now}"


def _version(row: Row) -> tuple[datetime, int]:
    return row["last_activity_at"], row["message_count"] or 0
