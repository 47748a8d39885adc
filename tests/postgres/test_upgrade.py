from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from project import assert_equal_to_truth, ids
from test_upgrade import hold, write

from pipelines import upgrade
from pipelines.errors import ConfigurationError
from pipelines.status import status

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from postgres.server import PostgresProject

NOW = len(upgrade.STEPS)
LAID_OUT = """
    select table_name, column_name, data_type, numeric_precision, numeric_scale
    from information_schema.columns
    where table_schema = 'chat' and not starts_with(table_name, '_dlt')
    order by 1, 2
"""


def laid_out(project: PostgresProject) -> list[dict[str, Any]]:
    return project.rows(LAID_OUT)


def test_what_is_lacking_is_made_as_a_load_makes_it_and_loaded_into(
    project: PostgresProject, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 130}, chatbots={"web": 30})
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync().complete
    assert project.rows("from chat.layout") == [{"version": NOW}]
    wanted = laid_out(project)
    write(
        project,
        "drop table chat.bills",
        "drop table chat.bots",
        "drop table chat.layout",
        "alter table chat.conversations drop column subject",
        "alter table chat.conversations drop column cost_credit",
        "alter table chat.conversations drop column metadata",
        "alter table chat.sync_windows drop column evidence",
    )
    hold()
    assert laid_out(project) == wanted
    assert project.rows("from chat.layout") == [{"version": NOW}]
    world.advance(timedelta(seconds=1), activity=False)
    for account in world.accounts.values():
        for conversation in ids(world, account.name):
            world.chat(conversation)
    project.configure(upstream, gptbots={"bot_names": True})
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    assert [row["bot"] for row in project.rows("from chat.bots")] == ["support"]


def test_a_later_database_is_refused_and_left_as_it_is(
    project: PostgresProject, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 30})
    upstream = simulate(world)
    project.configure(upstream)
    project.sync()
    write(project, f"update chat.layout set version = {NOW + 1}")
    upstream.clear_log()
    settings = project.settings()
    for command in (project.sync, hold, lambda: status(settings, [])):
        with pytest.raises(ConfigurationError, match="of a later version of Convoy") as told:
            command()
        assert told.value.exit_code == 2
    assert upstream.log == []
    assert project.rows("from chat.layout") == [{"version": NOW + 1}]
