"""What holds of a warehouse whatever was killed, and once a sync and the models came to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import truth
from project import assert_equal_to_truth

from pipelines.cursor import stored_cursors
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from project import Project

    from pipelines.simulator import World

_KEYS = {
    "conversations": "source, conversation_id",
    "last_messages": "source, conversation_id",
    "conversation_changes": "source, conversation_id, observed_at",
    "rejected_rows": "source, rejected_id",
}
_MARTS = {
    "bill_reconciliation_daily", "bot_summary", "conversations", "credit_ledger",
    "credit_spend_daily", "dim_bots", "freshness",
    "platform_breakdown", "platform_daily",
}  # fmt: skip


def assert_sound(project: Project, world: World) -> None:
    """At any time no key is there twice, and no cursor is ahead of its rows."""
    if not _relations(project, "chat") >= {*_KEYS, "sync_windows", "_dlt_pipeline_state"}:
        return  # killed before there was anything
    twice = (_TWICE.format(table=table, key=key) for table, key in _KEYS.items())
    assert project.rows(" union all ".join(twice)) == []
    stored = {tuple(row.values()) for row in project.rows(_STORED)}
    with connect(project.warehouse, read_only=True) as connection:
        cursors = stored_cursors(connection)
    for (source, name), cursor in cursors.items():
        for row in _truth(world, name):
            behind = row["last_activity_at"] <= cursor
            assert not behind or (source, row["conversation_id"], row["last_activity_at"]) in stored


def assert_right(project: Project, world: World) -> None:
    """After a sync all is as it is upstream, and each conversation's last change says so too."""
    assert_sound(project, world)
    assert_equal_to_truth(project, world)
    assert project.rows(_UNLIKE_THEIR_CHANGES) == []


def assert_models_right(project: Project) -> None:
    """After the models the marts are whole and say what the loaded tables say."""
    assert marts(project) == _MARTS
    assert project.rows(_HALF_MADE) == []
    assert project.rows(_NOT_IN_BOTH) == []
    assert project.rows(_UNLIKE_THEIR_LEDGER) == []
    (sums,) = project.rows(_SUMS)
    assert len(set(sums.values())) == 1, sums


def assert_ledger_right(project: Project) -> None:
    """Of each conversation, also of those that are gone, the ledger adds up to its counter."""
    assert project.rows(_UNLIKE_THEIR_LEDGER) == []


def marts(project: Project) -> set[str]:
    """Return the names of the marts that can be read."""
    return _relations(project, "marts")


def orphans(project: Project) -> set[str]:
    """Return the loads that left rows but came to no end: they have no row in `_dlt_loads`.

    Of what is loaded from Arrow tables dlt does not say by which load; its state is what remains.
    """
    tables = [row["table_name"] for row in project.rows(_WITH_LOADS)]
    return {row["id"] for table in tables for row in project.rows(_ORPHANS.format(table))}


def _relations(project: Project, schema: str) -> set[str]:
    if not project.warehouse.exists():
        return set()
    return {row["table_name"] for row in project.rows(_RELATIONS, schema)}


def assert_published_whole(project: Project) -> None:
    """What readers see, if anything was ever published, belongs together."""
    if project.published.exists():
        with connect(project.published, read_only=True) as connection:
            assert connection.execute(_UNLIKE_THEIR_LEDGER).fetchall() == []
            assert connection.execute(_NOT_IN_BOTH).fetchall() == []


def assert_published(project: Project) -> None:
    """Readers see what the warehouse holds."""
    assert_published_whole(project)
    all_rows = "from chat.conversations order by source, conversation_id"
    with connect(project.warehouse, read_only=True) as connection:
        loaded = connection.execute(all_rows).fetchall()
    with connect(project.published, read_only=True) as connection:
        assert connection.execute(all_rows).fetchall() == loaded


def _truth(world: World, name: str) -> list[truth.Row]:
    api = world.accounts[name].api
    return [truth.conversation(api, row) for row in world.truth(api, name)]


# What dbt leaves under a name of its own when it is killed goes with its next build.
_RELATIONS = """
    select table_name from information_schema.tables
    where table_schema = ? and not contains(table_name, '__dbt_')
"""
_TWICE = "(select '{table}', ({key})::varchar from chat.{table} group by all having count(*) > 1)"
_STORED = "select source, conversation_id, last_activity_at from chat.conversations"
_WITH_LOADS = """
    select table_name from information_schema.columns
    where table_schema = 'chat' and column_name = '_dlt_load_id'
"""
_ORPHANS = """
    select distinct _dlt_load_id as id from chat.{}
    where id is not null and id not in (select load_id from chat._dlt_loads where status = 0)
"""
_UNLIKE_THEIR_CHANGES = """
    select source, conversation_id
    from chat.conversations as now
    left join (
        select source, conversation_id, max_by((last_activity_at, cost_credit), observed_at) as last
        from chat.conversation_changes
        group by all
    ) using (source, conversation_id)
    where last is distinct from (now.last_activity_at, now.cost_credit)
"""
_HALF_MADE = (
    "select * from information_schema.tables where table_name like '%\\_\\_dbt%' escape '\\'"
)
_NOT_IN_BOTH = """
    with loaded as (
        select source, conversation_id, last_activity_at, observed_at
        from chat.conversations
        where deleted_at is null
    ),
    modelled as (
        select source, conversation_id, last_activity_at, observed_at from marts.conversations
    )
    (from loaded except all from modelled) union all (from modelled except all from loaded)
"""
_UNLIKE_THEIR_LEDGER = """
    select source, conversation_id
    from chat.conversations
    full join (
        select source, conversation_id, sum(credits) as credits
        from marts.credit_ledger
        group by all
    ) using (source, conversation_id)
    where coalesce(credits, 0) is distinct from coalesce(cost_credit, 0)
"""
_SUMS = """
    select
        (select sum(cost_credit) from chat.conversations where source = 'gptbots') as loaded,
        (select sum(credits) from marts.credit_ledger) as ledger,
        (select sum(credits) from marts.credit_spend_daily) as daily,
        (select sum(credits) from marts.platform_breakdown) as platforms,
        (select sum(credits) from marts.bot_summary) as bots
"""
