from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from project import assert_equal_to_truth, ids

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject

BOTS = {"support": 230, "sales": 40}
CHATBOTS = {"website": 120}


def test_the_lakehouse_becomes_what_the_apis_have(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
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
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
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


def test_what_is_gone_upstream_is_marked_and_comes_back(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(bots=BOTS, chatbots=CHATBOTS)
    project.configure(simulate(world))
    assert project.sync().complete
    gone = {ids(world, name)[-1] for name in world.accounts}
    for conversation_id in gone:
        world.delete(conversation_id)
    assert project.sync().complete
    assert project.marked() == gone
    assert_equal_to_truth(project, world, gone=gone)
