"""The names that the APIs give bots, and nothing else of what they say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from project import bot

from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.simulator.wire import Request

ON = {"bot_names": True}


def names(project: Project) -> dict[str, str]:
    return {row["bot"]: row["name"] for row in project.rows("select bot, name from chat.bots")}


@pytest.mark.parametrize(
    "knobs", [Knobs(), Knobs(bot_detail="null_id"), Knobs(chatbots_before=3, page_param="p")]
)
def test_bots_get_their_names(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 5}, chatbots={"web": 5})
    upstream = simulate(world, knobs)
    project.configure(upstream, gptbots=ON, okchat={**ON, "page_param": knobs.page_param})
    assert project.sync().complete
    assert names(project) == {"support": "support", "web": "web"}


def test_a_chatbot_that_is_not_listed_has_no_name(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    upstream = simulate(make_world(chatbots={"web": 5}), Knobs(chatbots_before=3))
    project.configure(upstream, okchat=ON)

    def first_page(request: Request) -> None:
        if request.path.endswith("/chatbots"):
            request.params.pop("page", None)

    upstream.on_request = first_page
    outcome = project.sync()
    assert bot(outcome, "web").failures == []
    assert names(project) == {}


def test_no_key_of_a_bot_is_kept(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 5, "nobody": 0})
    project.configure(simulate(world, Knobs(bot_detail="null_id")), gptbots=ON)
    outcome = project.sync()
    assert bot(outcome, "nobody").rejected == 1
    assert project.rows("select raw from chat.rejected_rows") == [{"raw": "{}"}]
    stored = project.warehouse.read_bytes()
    assert not [name for name, key in world.keys.items() if key.encode() in stored]
    assert names(project) == {"support": "support"}
    (row,) = project.rows("select * from chat.bots")
    assert "extra" not in row
