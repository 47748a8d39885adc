"""Conversations that are gone upstream: marked after proof, and only then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from project import Project, assert_equal_to_truth, bot, ids
from upstream import EVERY_WAY

from pipelines.simulator import Faults, Knobs

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from pipelines.simulator import Request


@pytest.mark.parametrize("knobs", EVERY_WAY[::19], ids=repr)
def test_an_old_and_a_new_one_are_marked_by_one_sync_and_nothing_else(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 450, "sales": 30}, chatbots={"web": 130})
    project.configure(simulate(world, knobs))
    assert project.sync().complete
    support, web = ids(world, "support"), ids(world, "web")
    gone = {support[0], support[300], ids(world, "sales")[7], web[0], web[99]}
    for conversation_id in gone:
        world.delete(conversation_id)
    outcome = project.sync()
    assert outcome.complete
    assert (bot(outcome, "support").deleted, bot(outcome, "web").deleted) == (2, 2)
    assert project.marked() == gone
    before = project.counts()
    assert project.sync().complete
    assert (project.marked(), project.counts()) == (gone, before)


def test_what_is_marked_keeps_all_its_fields(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20}, chatbots={"web": 20})
    project.configure(simulate(world))
    project.sync()
    before = project.rows("select * exclude deleted_at from chat.conversations order by all")
    messages = project.rows("from chat.last_messages order by all")
    for name in ("support", "web"):
        world.delete(ids(world, name)[3])
    project.sync()
    assert len(project.marked()) == 2
    after = project.rows("select * exclude deleted_at from chat.conversations order by all")
    assert after == before
    assert project.rows("from chat.last_messages order by all") == messages


@pytest.mark.parametrize("again", ["as it was", "with news"])
def test_one_that_comes_back_is_unmarked(
    project: Project, make_world: MakeWorld, simulate: Simulate, again: str
) -> None:
    world = make_world(bots={"support": 250}, chatbots={"web": 30})
    project.configure(simulate(world))
    project.sync()
    gone = [ids(world, "support")[200], ids(world, "web")[20]]
    for conversation_id in gone:
        world.delete(conversation_id)
    project.sync()
    assert project.marked() == set(gone)
    for conversation_id in gone:
        world.restore(conversation_id)
        if again == "with news":
            world.advance(timedelta(seconds=1), activity=False)
            world.chat(conversation_id)
    assert project.sync().complete
    assert project.marked() == set()
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize("fate", ["removed", "revoked", "emptied"])
@pytest.mark.parametrize("yes", [False, True])
def test_a_bot_that_is_gone_or_answers_with_nothing_marks_nothing(
    project: Project, make_world: MakeWorld, simulate: Simulate, fate: str, *, yes: bool
) -> None:
    world = make_world(bots={"support": 12, "sales": 5}, chatbots={"web": 12})
    project.configure(simulate(world))
    project.sync()
    for name in ("support", "web"):
        if fate == "emptied":
            for conversation_id in ids(world, name):
                world.delete(conversation_id)
        else:
            {"removed": world.remove_bot, "revoked": world.revoke}[fate](name)
    outcome = project.sync(yes=yes)
    assert {name.bot for name, of in outcome.bots.items() if of.error} == {"support", "web"}
    assert not outcome.complete
    assert project.marked() == set()


def test_more_than_the_share_is_marked_only_when_told(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 100}, chatbots={"web": 100})
    project.configure(simulate(world))
    project.sync()
    gone = {i for name in ("support", "web") for i in ids(world, name)[10:40]}
    for conversation_id in gone:
        world.delete(conversation_id)
    outcome = project.sync()
    for name in ("support", "web"):
        assert "30 of 100 conversations" in str(bot(outcome, name).error)
        assert "--yes" in str(bot(outcome, name).error)
    assert project.marked() == set()
    assert project.sync(yes=True).complete
    assert project.marked() == gone


def test_the_share_is_configured(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 100}, chatbots={"web": 100})
    upstream = simulate(world)
    project.configure(upstream, gptbots={"max_deleted_share": 0.3}, okchat={"max_deleted_share": 1})
    project.sync()
    for conversation_id in [*ids(world, "support")[10:40], *ids(world, "web")[5:95]]:
        world.delete(conversation_id)
    assert project.sync().complete
    assert len(project.marked()) == 120


def test_a_few_are_marked_whatever_their_share(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 11})
    project.configure(simulate(world))
    project.sync()
    for conversation_id in ids(world, "support")[:10]:
        world.delete(conversation_id)
    assert project.sync().complete
    assert len(project.marked()) == 10


@pytest.mark.parametrize("knobs", [Knobs(), Knobs(total="page"), Knobs(order="unordered")])
def test_one_that_chats_again_while_it_is_looked_for_is_not_marked(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    """It leaves the window in which it is known just before that is read."""
    world = make_world(bots={"support": 300})
    upstream = simulate(world, knobs)
    project.configure(upstream)
    project.sync()
    world.delete(ids(world, "support")[150])  # so that the history is looked through
    left = iter(ids(world, "support")[100:200])

    def hook(request: Request) -> None:
        if request.params.get("page_size") != "1":
            world.advance(timedelta(milliseconds=1), activity=False)
            world.chat(next(left))

    upstream.on_request = hook
    project.sync()
    upstream.on_request = None
    assert not project.marked() & set(ids(world, "support"))
    assert project.sync().complete
    assert len(project.marked()) == 1
    assert not project.marked() & set(ids(world, "support"))


def test_a_bot_of_another_key_does_not_mark_what_the_former_left(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"old": 150, "new": 140})
    upstream = simulate(world)
    project.configure(upstream, bots=["old"])
    project.sync()
    project.configure(upstream, bots=["old"], keys={"old": world.keys["new"]})
    assert project.sync().complete
    assert project.marked() == set()
    stored = {row["conversation_id"] for row in project.rows("from chat.conversations")}
    assert stored == {*ids(world, "old"), *ids(world, "new")}
    assert project.sync().rows_loaded == 0


def test_a_failing_look_marks_nothing_and_the_next_sync_does(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 50})
    upstream = simulate(world)
    project.configure(upstream)
    project.sync()
    gone = ids(world, "web")[20]
    world.delete(gone)
    upstream.faults = Faults(server_error=1.0, only=gone)
    outcome = project.sync(patience=0.5)
    assert "the server failed" in str(bot(outcome, "web").error)
    assert project.marked() == set()
    upstream.faults = Faults()
    assert project.sync().complete
    assert project.marked() == {gone}


def test_what_is_gone_leaves_no_trace_of_change(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 50})
    project.configure(simulate(world))
    project.sync()
    changes = project.count("conversation_changes")
    world.delete(ids(world, "support")[20])
    project.sync()
    assert project.count("conversation_changes") == changes
