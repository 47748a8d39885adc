from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines import tables
from pipelines.lake import delta, write

if TYPE_CHECKING:
    from lake.lakehouse import LakeProject
    from pipelines.simulator import World


def merged(project: LakeProject, table: tables.Table, *rows: dict[str, object]) -> None:
    for row in rows:
        delta.write(project.lake, table, pa.Table.from_pylist([row], table.schema))


def test_no_older_message_or_removal_replaces_a_newer_one(
    world: World, project: LakeProject
) -> None:
    (row,) = project.rows("from chat.last_messages order by conversation_id limit 1")
    before, after = (row["updated_at"] + timedelta(seconds=n) for n in (-1, 1))
    newer = row | {"updated_at": after, "content": "newer"}
    older = row | {"updated_at": before, "content": "older"}
    merged(project, tables.LAST_MESSAGES, newer, older, older | {"removed": True})
    found = "select content from chat.last_messages where conversation_id = ?"
    assert project.rows(found, row["conversation_id"]) == [{"content": "newer"}]
    merged(project, tables.LAST_MESSAGES, newer | {"removed": True})
    assert project.rows(found, row["conversation_id"]) == []
    assert world.accounts


def test_what_was_read_before_it_was_gone_does_not_come_back(
    world: World, project: LakeProject
) -> None:
    (row,) = project.rows("from chat.conversations order by conversation_id limit 1")
    at = row["observed_at"] + timedelta(hours=1)
    older = row | {"last_activity_at": row["last_activity_at"] - timedelta(days=1)}
    gone = {row["conversation_id"]: row["last_activity_at"]}
    assert write.mark_deleted(project.lake, row["source"], gone, at) == 1
    merged(project, tables.CONVERSATIONS, row, older)
    assert project.marked() == gone.keys()
    merged(project, tables.CONVERSATIONS, older | {"observed_at": at + timedelta(seconds=1)})
    assert project.marked() == set()
    assert world.accounts
