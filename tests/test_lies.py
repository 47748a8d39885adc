"""Upstreams that contradict themselves, and users that change their configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from project import Project, assert_equal_to_truth, bot, ids

from pipelines.jobs import BotName
from pipelines.simulator import ABSENT, Knobs
from pipelines.verify import verify

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate


@pytest.mark.parametrize("others_gone", [0, 1])
def test_one_that_becomes_unreadable_is_not_gone(
    project: Project, make_world: MakeWorld, simulate: Simulate, others_gone: int
) -> None:
    world = make_world(bots={"support": 300})
    project.configure(simulate(world))
    project.sync()
    support = ids(world, "support")
    world.edit(support[200], message_count="a dozen")
    gone = support[201 : 201 + others_gone]
    for conversation_id in gone:
        world.delete(conversation_id)
    assert project.sync().complete
    assert project.marked() == set(gone)
    found = verify(project.settings(), repair=True, patience=20.0)
    assert not found.differences[BotName("gptbots", "support")].deleted
    assert project.marked() == set(gone)
    assert project.sync().complete


def test_many_that_become_unreadable_are_not_gone(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 400})
    project.configure(simulate(world))
    project.sync()
    support = ids(world, "support")
    for conversation_id in support[200:280]:
        world.edit(conversation_id, cost_credit="free")
    world.delete(support[240])
    assert project.sync().complete
    assert project.marked() == {support[240]}


def test_a_bot_whose_rows_bear_no_id_has_its_deletions_marked(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 250})
    for conversation_id in ids(world, "support"):
        world.edit(conversation_id, bot_id=ABSENT)
    project.configure(simulate(world))
    assert project.sync().complete
    gone = ids(world, "support")[200]
    world.delete(gone)
    outcome = project.sync()
    assert (outcome.complete, bot(outcome, "support").history) == (True, "agrees")
    assert project.marked() == {gone}


def test_rows_that_bear_no_id_are_taken_for_the_bot_that_was_asked(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"old": 150, "new": 150}, chatbots={"site": 40, "shop": 40})
    for name in ("old", "site"):
        field = "bot_id" if name == "old" else "chatbot_id"
        for conversation_id in ids(world, name)[::3]:
            world.edit(conversation_id, **{field: ABSENT})
    upstream = simulate(world)
    project.configure(upstream, bots=["old", "site"])
    assert project.sync().complete
    before = {*ids(world, "old"), *ids(world, "site")}
    text = (project.folder / ".dlt" / "secrets.toml").read_text(encoding="utf-8")
    for was, now in (("old", "new"), ("site", "shop")):
        text = text.replace(world.keys[was], world.keys[now])
    text = text.replace(world.chatbot_ids["site"], world.chatbot_ids["shop"])
    (project.folder / ".dlt" / "secrets.toml").write_text(text, encoding="utf-8")
    assert project.sync().complete
    assert project.marked() == set()
    stored = {row["conversation_id"] for row in project.rows("from chat.conversations")}
    assert stored == before | {*ids(world, "new"), *ids(world, "shop")}


def test_a_bot_of_another_name_has_what_went_meanwhile_marked(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 150}, chatbots={"web": 40})
    upstream = simulate(world)
    project.configure(upstream)
    project.sync()
    gone = {ids(world, "support")[100], ids(world, "web")[20]}
    for conversation_id in gone:
        world.delete(conversation_id)
    path = project.folder / ".dlt" / "secrets.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"support"', '"help"').replace('"web"', '"site"'), "utf-8")
    assert project.sync().complete
    assert project.marked() == gone


def test_one_that_comes_back_as_it_was_earlier_is_unmarked(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 150}, chatbots={"web": 40})
    project.configure(simulate(world))
    project.sync()
    support, web = ids(world, "support")[100], ids(world, "web")[20]
    for conversation_id in (support, web):
        world.delete(conversation_id)
    project.sync()
    for conversation_id in (support, web):
        world.restore(conversation_id)
    earlier = world.truth("gptbots", "support")[140]["recent_chat_time"]
    world.edit(support, recent_chat_time=int(str(earlier)) - 7)
    assert project.sync().complete
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize("inclusive", [True, False])
def test_one_just_before_the_start_date_troubles_nobody(
    project: Project, make_world: MakeWorld, simulate: Simulate, *, inclusive: bool
) -> None:
    world = make_world(bots={"support": 250})
    rows = world.truth("gptbots", "support")
    start = datetime.fromtimestamp(int(str(rows[200]["recent_chat_time"])) / 1000, UTC)
    knobs = Knobs(start_inclusive=inclusive)
    later = start + timedelta(milliseconds=1)
    project.configure(simulate(world, knobs), gptbots={"start_date": later.isoformat()})
    for _ in range(2):
        outcome = project.sync()
        assert (outcome.complete, bot(outcome, "support").history) == (True, "agrees")
    assert project.count("conversations") in (200, 201)


def test_a_page_that_is_not_the_whole_window_is_not_taken_for_it(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    """As many came as went, and the page shows just what was known before."""
    world = make_world(bots={"support": 300})
    world.advance(timedelta(seconds=20), activity=False)
    recent = [world.begin("support") for _ in range(20)]
    upstream = simulate(world, Knobs(order="oldest_first", gptbots_page_cap=20))
    project.configure(upstream, gptbots={"lookback": "1s"})
    assert project.sync().complete
    world.advance(timedelta(milliseconds=500), activity=False)
    begun = [world.begin("support") for _ in range(3)]
    gone = ids(world, "support")[200:203]
    for conversation_id in gone:
        world.delete(conversation_id)
    assert project.sync().complete
    assert project.marked() == set(gone)
    stored = {row["conversation_id"] for row in project.rows("from chat.conversations")}
    assert {*recent, *begun} <= stored


@pytest.mark.parametrize("recent", [5, 18])
def test_pages_that_are_capped_do_not_hide_a_deletion(
    project: Project, make_world: MakeWorld, simulate: Simulate, recent: int
) -> None:
    world = make_world(bots={"support": 41 - recent})
    world.advance(timedelta(seconds=20), activity=False)
    for _ in range(recent):
        world.begin("support")
    project.configure(
        simulate(world, Knobs(total="page", gptbots_page_cap=20)), gptbots={"lookback": "1s"}
    )
    assert project.sync().complete
    gone = ids(world, "support")[30]
    world.delete(gone)
    assert project.sync().complete
    assert project.marked() == {gone}


def test_more_than_the_share_is_not_marked_between_sweeps_either(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 3000})
    web = ids(world, "web")
    for conversation_id in web:
        world.edit(conversation_id, active=conversation_id in web[1000:1020])
    more = {"sweep_every": "1h", "max_deleted_share": 0.001}
    project.configure(simulate(world), okchat=more)
    project.sync()
    for conversation_id in web[1000:1020]:
        world.delete(conversation_id)
    assert "max_deleted_share" in str(bot(project.sync(), "web").error)
    assert project.marked() == set()
