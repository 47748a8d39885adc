"""The samples world serves the published bodies, to the letter of their JSON."""

import json
from decimal import Decimal
from importlib.resources import files
from typing import Any, Literal

import pytest

from pipelines.simulator import Simulator, World

from .client import Client


def published(name: str) -> Any:  # noqa: ANN401 - JSON of any shape
    text = files("pipelines.simulator.samples").joinpath(name).read_text("utf-8")
    return json.loads(text, parse_float=Decimal)


def test_gptbots_serves_the_published_page() -> None:
    with Simulator(World.samples()) as sim:
        client = Client(sim)
        assert client.gptbots().json == published("gptbots_conversation_page.json")
        assert client.gptbots(page=2).json == {"list": [], "total": 2}
        assert len(client.gptbots(page=2, page_size=1).json["list"]) == 1


@pytest.mark.parametrize(
    ("envelope", "name"),
    [("bare", "okchat_conversations.json"), ("data", "okchat_conversations_wrapped.json")],
)
def test_okchat_serves_the_published_list(envelope: Literal["bare", "data"], name: str) -> None:
    with Simulator(World.samples(envelope)) as sim:
        client = Client(sim)
        assert client.okchat(page=1, limit=10).json == published(name)
        assert client.okchat(page=2, limit=10).json in ([], {"data": []})
        assert client.okchat(page=2, limit=1).json in (
            published(name)[1:2] if envelope == "bare" else None,
            {"data": published(name)["data"][1:2]} if envelope == "data" else None,
        )


def test_the_truth_of_the_samples_is_the_samples() -> None:
    world = World.samples()
    assert world.truth("okchat") == published("okchat_conversations.json")
    assert world.truth("gptbots") == published("gptbots_conversation_page.json")["list"]
