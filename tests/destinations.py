"""What is shown of each kind of warehouse, by the `project` of the folder that imports it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from project import assert_equal_to_truth

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project

BOTS = {"support": 230, "sales": 40}
CHATBOTS = {"website": 120}


def test_the_warehouse_becomes_what_the_apis_have(
    make_world: MakeWorld, simulate: Simulate, project: Project
) -> None:
    world = make_world(bots=BOTS, chatbots=CHATBOTS)
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    counts = project.counts()
    upstream.clear_log()
    idle = project.sync()
    assert idle.complete
    assert not idle.rows_loaded
    assert len([logged for logged in upstream.log if logged.bot in BOTS]) <= 2 * len(BOTS)
    assert project.counts() == counts


def test_changes_take_the_place_of_what_was_known(
    make_world: MakeWorld, simulate: Simulate, project: Project
) -> None:
    world = make_world(bots=BOTS, chatbots=CHATBOTS)
    project.configure(simulate(world))
    assert project.sync().complete
    for _ in range(3):
        world.advance(timedelta(minutes=20))
        for name in world.accounts:
            world.chat(next(iter(world.accounts[name].timeline.rows())).conversation_id)
            world.begin(name)
        assert project.sync().complete
        assert_equal_to_truth(project, world)
    twice = "select 1 from chat.conversation_changes group by source, conversation_id, observed_at"
    assert not project.rows(f"{twice} having count(*) > 1")
