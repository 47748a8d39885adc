"""OKChat's list: keys, order, pages, the state filter, every knob."""

from dataclasses import replace
from typing import Any

import pytest

from pipelines.simulator import Simulator, World

from .client import Client


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_the_list_is_the_truth_by_creation(client: Client, world: World) -> None:
    assert client.okchat(limit=500).json == world.truth("okchat", "website")
    assert len(client.okchat().json) == 10
    assert ids(client.okchat(page=3, limit=50).json) == ids(world.truth("okchat"))[100:]
    assert client.okchat(page=4, limit=50).json == []


def test_updates_come_in_another_order(client: Client, sim: Simulator) -> None:
    created = client.okchat(limit=500).json
    sim.knobs = replace(sim.knobs, okchat_order="updated_desc")
    updated = client.okchat(limit=500).json
    assert ids(created) != ids(updated)
    assert sorted(ids(created)) == sorted(ids(updated))
    sim.world.chat(ids(updated)[-1])
    assert ids(client.okchat(limit=500).json)[0] == ids(updated)[-1]


def test_the_envelope(client: Client, sim: Simulator) -> None:
    bare = client.okchat(limit=5).json
    sim.knobs = replace(sim.knobs, envelope="data")
    assert client.okchat(limit=5).json == {"data": bare}


def test_the_page_cap_cuts_silently(client: Client, sim: Simulator) -> None:
    sim.knobs = replace(sim.knobs, okchat_page_cap=25)
    found = [row for page in range(1, 7) for row in client.okchat(page=page, limit=100).json]
    assert found == sim.world.truth("okchat")


def test_parameters_bear_the_names_of_the_knobs(client: Client, sim: Simulator) -> None:
    first = client.okchat(page=1, limit=30).json
    sim.knobs = replace(sim.knobs, page_param="p", limit_param="size", state_param="status")
    assert client.okchat(page=2, limit=30, state="closed").json == first[:10]
    assert client.okchat(p=3, size=10).json == first[20:]
    assert {row["state"] for row in client.okchat(status="closed", size=99).json} == {"closed"}


def test_rows_leave_the_state_filter(client: Client, world: World) -> None:
    rows = client.okchat(state="in_progress", limit=500).json
    assert {row["state"] for row in rows} == {"in_progress"}
    world.edit(rows[0]["id"], state="closed")
    assert ids(client.okchat(state="in_progress", limit=500).json) == ids(rows[1:])


def test_the_state_can_be_left_out(client: Client, sim: Simulator) -> None:
    assert all("state" in row for row in client.okchat(limit=50).json)
    sim.knobs = replace(sim.knobs, omit_state=True)
    rows = client.okchat(limit=50).json
    assert not any("state" in row for row in rows)
    assert "state" not in client.okchat(rest=f"/{rows[0]['id']}").json["session"]


def test_one_conversation_until_it_is_deleted(client: Client, world: World) -> None:
    row = world.truth("okchat")[3]
    rest = f"/{row['id']}"
    assert client.okchat(rest=rest).json == {"session": row}
    world.delete(str(row["id"]))
    assert client.okchat(rest=rest).status == 404
    assert row not in client.okchat(limit=500).json
    world.restore(str(row["id"]))
    assert client.okchat(rest=rest).json == {"session": row}
    other = world.truth("gptbots")[0]["conversation_id"]
    assert client.okchat(rest=f"/{other}").status == 404


def test_keys_and_chatbots(client: Client, world: World) -> None:
    world.add_chatbot("shop", 5)
    path = f"/api/external/chatbot/{world.chatbot_ids['website']}/conversations"
    assert client.ask(path).status == 401
    assert client.ask(path, {"x-api-key": "nonsense"}).status == 401
    assert client.ask(path, {"x-api-key": "key-shop"}).status == 401
    assert client.ask(path, {"x-api-key": "key-support"}).status == 401
    unknown = "/api/external/chatbot/00000000-0000-4000-a000-000000000000/conversations"
    assert client.ask(unknown, {"x-api-key": "key-shop"}).status == 404
    listed = client.ask("/api/external/chatbots", {"x-api-key": "key-shop"}).json
    assert listed == {"chatbots": [{"id": world.chatbot_ids["shop"], "name": "shop"}]}
    world.revoke("website")
    assert client.okchat().status == 401
    world.remove_bot("shop")
    assert client.okchat("shop").status == 404


@pytest.mark.parametrize("wrong", [{"page": 0}, {"page": "x"}, {"limit": 0}, {"limit": -1}])
def test_wrong_parameters_are_refused(client: Client, wrong: dict[str, object]) -> None:
    assert client.okchat("website", "", **wrong).status == 400
