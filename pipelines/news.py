"""What a reading brings that the warehouse does not have yet; pure.

Every table is compared with itself, so that a load that died between two tables is healed
by the next reading. An older version of a conversation is never news.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import tables
from pipelines.warehouse import Known

_CONTENT = [name for name in tables.CONVERSATIONS.columns if name != "observed_at"]
_MESSAGE = ["message_id", "sender_type", "content", "updated_at", "extra"]
_COUNTERS = ["last_activity_at", "message_count", "cost_credit"]


@dataclass(frozen=True)
class News:
    """Rows to load, each table in its own schema.

    `newest` holds, news or not, each bot's row with the newest activity that lies behind the
    moment of reading: where its cursor belongs. `all_first`: the warehouse knows none of these
    conversations, in none of its tables.
    """

    conversations: pa.Table
    last_messages: pa.Table
    changes: pa.Table
    newest: pa.Table
    all_first: bool

    def __bool__(self) -> bool:
        return any(map(len, (self.conversations, self.last_messages, self.changes)))


def news(read: pa.Table, known: Known, after: datetime | None = None) -> News:
    """Compare rows of READING (a conversation may come twice) with what is known of them.

    Args:
        read: what was read.
        known: what the warehouse holds of these conversations.
        after: the latest change of all before this run: the ledger goes on from there.
    """
    new, others = _alone(read, known)
    compared = _compared(others, known, after)
    return News(
        pa.concat_tables([_of(tables.CONVERSATIONS, new), compared.conversations]),
        pa.concat_tables([_first_messages(new), compared.last_messages]),
        pa.concat_tables([_first_changes(new, after), compared.changes]),
        _newest(pa.concat_tables([_of(tables.CONVERSATIONS, new), compared.newest])),
        compared.all_first,
    )


def by_bot(rows: pa.Table) -> dict[str, pa.Table]:
    """Split rows by their column `bot`."""
    bots = pc.unique(rows["bot"]).to_pylist()
    if len(bots) == 1:
        return {bots[0]: rows}
    return {bot: rows.filter(pc.equal(rows["bot"], bot)) for bot in bots}


def _alone(read: pa.Table, known: Known) -> tuple[pa.Table, pa.Table]:
    """Return the rows that are the only ones of their conversation, also in the warehouse.

    And all others.
    """
    ids = read.select(["conversation_id"])
    counted = ids.group_by("conversation_id").aggregate([([], "count_all")])
    repeated = counted.filter(pc.greater(counted["count_all"], 1))["conversation_id"]
    others = [t["conversation_id"] for t in (known.conversations, known.last_messages)]
    others += [known.changes["conversation_id"], repeated]
    several = pa.chunked_array([chunk for column in others for chunk in column.chunks], tables.TEXT)
    if not len(several):
        return read, read.slice(0, 0)
    compared = pc.is_in(ids["conversation_id"], several)
    return read.filter(pc.invert(compared)), read.filter(compared)


def _of(table: tables.Table, rows: pa.Table) -> pa.Table:
    return rows.select(table.schema.names).cast(table.schema)


def _first_messages(new: pa.Table) -> pa.Table:
    with_one = new.filter(new["last_message"])
    removed = pa.nulls(len(with_one), tables.FLAG)
    named = with_one.drop_columns(["extra"]).rename_columns({"message_extra": "extra"})
    return _of(tables.LAST_MESSAGES, named.append_column("removed", removed))


def _first_changes(new: pa.Table, after: datetime | None) -> pa.Table:
    """Return the first change of each; later than all changes of earlier runs, see `_CHANGES`."""
    changes = _of(tables.CONVERSATION_CHANGES, new)
    if after is None:
        return changes
    least = pa.scalar(after + timedelta(microseconds=1), tables.INSTANT)
    place = changes.schema.get_field_index("observed_at")
    observed = changes["observed_at"]
    observed_at = pc.if_else(pc.less(observed, least), least, observed)
    return changes.set_column(place, changes.schema.field(place), observed_at)


def _newest(rows: pa.Table) -> pa.Table:
    """Return each bot's row with the newest activity that was in the past when it was read."""
    found = [tables.CONVERSATIONS.schema.empty_table()]
    activity = rows["last_activity_at"]
    past = pc.if_else(pc.less_equal(activity, rows["observed_at"]), activity, None)
    for bot in pc.unique(rows["bot"]).to_pylist():
        of_bot = pc.if_else(pc.equal(rows["bot"], bot), past, None)
        last = pc.indices_nonzero(pc.fill_null(pc.equal(of_bot, pc.max(of_bot)), False))  # noqa: FBT003
        found.append(rows.take(last).sort_by("conversation_id").slice(0, 1))
    return pa.concat_tables(found)


def _compared(read: pa.Table, known: Known, after: datetime | None) -> News:
    """Compare rows; `newest` holds all that are no older than what is known."""
    all_first = not any(map(len, (known.conversations, known.last_messages, known.changes)))
    if not len(read):
        conversations, messages, changes = (t.schema.empty_table() for t in tables.READ)
        return News(conversations, messages, changes, conversations, all_first)
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
            memory.execute(_VERSIONS).to_arrow_table().cast(tables.CONVERSATIONS.schema),
            all_first,
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

_VERSIONS = f"select {', '.join(tables.CONVERSATIONS.columns)} from current_version"

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
