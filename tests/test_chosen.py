"""Reading single bots, as an orchestrator does: the others are left alone, cursors and all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from project import Project, assert_equal_to_truth, ids

from pipelines.errors import ConfigurationError
from pipelines.jobs import BotName
from pipelines.sync import sync
from pipelines.verify import verify

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

SUPPORT = BotName("gptbots", "support")
WEB = BotName("okchat", "web")


def test_only_the_chosen_bots_are_read_and_the_others_keep_their_cursors(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 150, "sales": 130}, chatbots={"web": 20})
    upstream = simulate(world)
    project.configure(upstream)
    cursors = {name: of.cursor for name, of in project.sync().bots.items()}
    for name in ("support", "sales", "web"):
        world.begin(name)
    before = len(upstream.log)
    outcome = sync(project.settings(), bots=[SUPPORT], models=False, patience=20.0)
    assert outcome.complete
    assert list(outcome.bots) == [SUPPORT]
    assert {logged.bot for logged in upstream.log[before:]} == {"support"}
    assert_equal_to_truth_but(project, ids(world, "sales")[0], ids(world, "web")[0])
    after = {name: of.cursor for name, of in project.sync().bots.items()}
    assert all(after[name] > cursors[name] for name in cursors)  # type: ignore[operator]
    assert_equal_to_truth(project, world)


def assert_equal_to_truth_but(project: Project, *missing: str) -> None:
    found = project.rows("from chat.conversations where conversation_id in (?, ?)", *missing)
    assert found == []


def test_only_the_chosen_bots_are_compared(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20}, chatbots={"web": 20})
    project.configure(simulate(world))
    project.sync()
    world.begin("web")
    assert verify(project.settings(), bots=[SUPPORT], patience=20.0).agrees
    found = verify(project.settings(), bots=[WEB], patience=20.0)
    assert not found.agrees
    assert {name: d.missing for name, d in found.differences.items()} == {
        WEB: {ids(world, "web")[0]}
    }


def test_a_bot_that_is_not_configured_is_named(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 5})))
    for run in (sync, verify):
        with pytest.raises(ConfigurationError, match="no bot okchat support is configured"):
            run(project.settings(), bots=[SUPPORT, BotName("okchat", "support")])
    assert not project.warehouse.exists()
