"""What a sync costs in requests, and what is read between sweeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from project import Project, assert_equal_to_truth, bot
from upstream import EVERY_WAY

from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from pipelines.simulator import Request


@pytest.mark.parametrize("knobs", EVERY_WAY[::11], ids=repr)
def test_nothing_new_costs_two_requests_a_bot_and_says_that_all_is_counted(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 450, "sales": 3, "idle": 0, "page": 100})
    upstream = simulate(world, knobs)
    project.configure(upstream)
    project.sync()
    upstream.clear_log()
    outcome = project.sync()
    assert outcome.complete
    for name in ("support", "sales", "idle", "page"):
        assert bot(outcome, name).requests <= 2
        assert bot(outcome, name).history == "agrees"
    assert len(upstream.log) == outcome.requests


@pytest.mark.long
@pytest.mark.parametrize(
    ("knobs", "most"), [(Knobs(), 1.1), (Knobs(order="unordered"), 1.1), (Knobs(total="page"), 1.2)]
)
def test_a_backfill_costs_little_more_than_its_full_pages(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs, most: float
) -> None:
    world = make_world(bots={"support": 100_000})
    upstream = simulate(world, knobs)
    project.configure(upstream, gptbots={"requests_per_minute": 100_000})
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded) == (True, 100_000)
    assert len(upstream.log) <= most * 1000


@pytest.mark.parametrize("order", ["newest_first", "oldest_first", "unordered"])
@pytest.mark.parametrize("total", ["window", "page"])
def test_a_window_that_moves_costs_at_most_half_again(
    project: Project, make_world: MakeWorld, simulate: Simulate, order: str, total: str
) -> None:
    """One of a hundred rows moves while they are read: one before each page."""
    world = make_world(bots={"support": 5000})
    upstream = simulate(world, Knobs(order=order, total=total))  # type: ignore[arg-type]
    project.configure(upstream)
    left = iter([str(row["conversation_id"]) for row in world.truth("gptbots")][::37][:50])

    def hook(_: Request) -> None:
        if conversation_id := next(left, None):
            world.advance(timedelta(milliseconds=1), activity=False)
            world.chat(conversation_id)

    upstream.on_request = hook
    outcome = project.sync()
    assert outcome.complete
    assert next(left, None) is None
    assert len(upstream.log) <= 1.5 * 50
    stored = {row["conversation_id"] for row in project.rows("from chat.conversations")}
    assert stored == {row["conversation_id"] for row in world.truth("gptbots")}
    assert project.sync().complete
    assert_equal_to_truth(project, world)


# OKChat between sweeps.


def test_between_sweeps_only_the_head_and_what_is_open_is_read(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 1500})
    rows = [str(row["id"]) for row in world.truth("okchat", "web")]
    for conversation_id in rows:
        world.edit(conversation_id, active=False)
    waiting, closed = rows[700], rows[900]
    world.edit(waiting, active=True)
    upstream = simulate(world)
    project.configure(upstream, okchat={"sweep_every": "1h"})
    assert project.sync().complete
    world.advance(timedelta(seconds=5), activity=False)
    begun = world.begin("web", active=False)
    for conversation_id in (waiting, closed):
        world.chat(conversation_id)
    upstream.clear_log()
    outcome = project.sync()
    assert outcome.complete
    assert outcome.rows_loaded == 2
    assert len(upstream.log) <= 5  # of 15 pages
    stored = project.rows("select conversation_id as i from chat.conversations")
    assert begun in {row["i"] for row in stored}
    assert_equal_to_but_for(project, closed)
    project.configure(upstream, okchat={"sweep_every": "0"})
    assert project.sync().rows_loaded == 1
    assert_equal_to_truth(project, world)


def assert_equal_to_but_for(project: Project, conversation_id: str) -> None:
    rows = project.rows("select kind from chat.sync_windows order by finished_at desc limit 1")
    assert rows == [{"kind": "head"}]
    assert project.rows(
        "select last_activity_at = updated_at as same from chat.conversations"
        " where conversation_id = ?",
        conversation_id,
    ) == [{"same": True}]


def test_an_open_one_that_is_gone_is_marked_between_sweeps(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 900})
    rows = [str(row["id"]) for row in world.truth("okchat", "web")]
    for conversation_id in rows:
        world.edit(conversation_id, active=False)
    world.edit(rows[700], active=True)
    project.configure(simulate(world), okchat={"sweep_every": "1h"})
    project.sync()
    world.delete(rows[700])
    outcome = project.sync()
    assert bot(outcome, "web").deleted == 1


def test_where_most_is_open_a_sweep_costs_less_and_is_made(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 300})
    for row in world.truth("okchat", "web"):
        world.edit(str(row["id"]), active=True)
    project.configure(simulate(world), okchat={"sweep_every": "1h"})
    project.sync()
    project.sync()
    kinds = project.rows("select kind from chat.sync_windows")
    assert [row["kind"] for row in kinds] == ["sweep", "sweep"]
