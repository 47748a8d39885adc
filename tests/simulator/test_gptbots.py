"""GPTBots' list: parameters, keys, order, pages, window ends, every knob."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipelines.simulator import Simulator, World

from .client import Client


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["conversation_id"] for row in rows]


def millis(world: World) -> int:
    return int(world.now.timestamp() * 1000)


def test_the_list_is_the_truth_newest_first(client: Client, world: World) -> None:
    assert client.pages() == world.truth("gptbots", "support")
    times = [row["recent_chat_time"] for row in client.pages(page_size=7)]
    assert times == sorted(times, reverse=True)


def test_each_key_opens_its_own_bot(client: Client, world: World) -> None:
    assert {row["bot_id"] for row in client.pages()} == {world.bot_ids["support"]}
    assert client.pages(name="sales") == world.truth("gptbots", "sales")


@pytest.mark.parametrize(
    "wrong",
    [
        {"conversation_type": None},
        {"conversation_type": ""},
        {"start_time": None},
        {"start_time": "yesterday"},
        {"end_time": None},
        {"start_time": 2, "end_time": 1},
        {"page": None},
        {"page": 0},
        {"page": -1},
        {"page_size": None},
        {"page_size": 0},
        {"page_size": 101},
        {"page_size": "1.5"},
    ],
)
def test_a_wrong_parameter_is_error_40000(client: Client, wrong: dict[str, object]) -> None:
    got = client.gptbots("support", **wrong)
    assert (got.status, got.json["code"]) == (200, 40000)


@pytest.mark.parametrize(("knob", "status"), [(200, 200), (400, 401)])
def test_keys_that_open_nothing_are_error_40127(
    client: Client,
    sim: Simulator,
    knob: Any,  # noqa: ANN401 - of the knob's own type
    status: int,
) -> None:
    sim.knobs = replace(sim.knobs, error_status=knob)
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "key-support"}):
        got = client.ask("/v1/bot/conversation/page", headers)
        assert (got.status, got.json["code"]) == (status, 40127)
    sim.world.revoke("support")
    assert client.gptbots().json["code"] == 40127
    assert sim.world.truth("gptbots", "support")


def test_error_status_moves_every_code_into_a_fitting_status(
    client: Client, sim: Simulator
) -> None:
    sim.knobs = replace(sim.knobs, error_status=400, past_end="error")
    assert client.gptbots(page=0).status == 400
    assert client.gptbots(page=999).status == 400
    sim.world.remove_bot("support")
    assert client.gptbots().status == 404


def test_a_removed_bot_is_error_20059(client: Client, world: World) -> None:
    world.remove_bot("support")
    assert client.gptbots().json["code"] == 20059
    assert client.gptbots("sales").json["list"]
    assert world.truth("gptbots", "support") == []


def test_oldest_first(client: Client, sim: Simulator) -> None:
    sim.knobs = replace(sim.knobs, order="oldest_first")
    assert client.pages(page_size=30) == sim.world.truth("gptbots", "support")[::-1]


def test_unordered_is_a_shuffle_that_stays(client: Client, sim: Simulator) -> None:
    ordered = ids(client.pages())
    sim.knobs = replace(sim.knobs, order="unordered")
    shuffled = ids(client.pages(page_size=30))
    assert sorted(shuffled) == sorted(ordered)
    assert shuffled not in (ordered, ordered[::-1])
    assert ids(client.pages(page_size=30)) == shuffled


def test_total_counts_the_window_or_the_page(client: Client, sim: Simulator) -> None:
    assert client.gptbots(page_size=60).json["total"] == 250
    assert client.gptbots(page=9).json == {"list": [], "total": 250}
    sim.knobs = replace(sim.knobs, total="page")
    assert [client.gptbots(page=n).json["total"] for n in (1, 2, 3, 4)] == [100, 100, 50, 0]


def test_past_the_end_is_empty_or_error_40005(client: Client, sim: Simulator) -> None:
    assert client.gptbots(page=4).json["list"] == []
    sim.knobs = replace(sim.knobs, past_end="error")
    assert client.gptbots(page=4).json["code"] == 40005
    assert len(client.gptbots(page=3).json["list"]) == 50
    assert client.gptbots(start_time=0, end_time=1).json == {"list": [], "total": 0}


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("end", [True, False])
def test_the_ends_of_the_window(client: Client, sim: Simulator, *, start: bool, end: bool) -> None:
    world = sim.world
    sim.knobs = replace(sim.knobs, start_inclusive=start, end_inclusive=end)
    found = []
    for step in (1, 1, 1):
        world.advance(timedelta(seconds=step), activity=False)
        found.append((millis(world), world.begin("support")))
    (first, a), (_, b), (last, c) = found
    expected = ([c] if end else []) + [b] + ([a] if start else [])
    got = client.gptbots(start_time=first, end_time=last).json
    assert ids(got["list"]) == expected
    assert got["total"] == len(expected)
    assert client.gptbots(start_time=first, end_time=first).json["total"] == int(start and end)


def test_the_page_cap_cuts_silently(client: Client, sim: Simulator) -> None:
    sim.knobs = replace(sim.knobs, gptbots_page_cap=40)
    assert len(client.gptbots(page_size=100).json["list"]) == 40
    assert client.pages() == sim.world.truth("gptbots", "support")


def test_filters_by_type_and_by_user(client: Client, world: World) -> None:
    rows = world.truth("gptbots", "support")
    line = [row for row in rows if row["conversation_type"] == "LINE"]
    assert client.pages(conversation_type="LINE", page_size=5) == line
    assert line
    user = rows[0]["user_id"]
    assert client.pages(user_id=user) == [row for row in rows if row["user_id"] == user]
    world.edit(str(line[0]["conversation_id"]), conversation_type="SLACK")
    assert ids(client.pages(conversation_type="LINE")) == ids(line[1:])


def test_a_row_that_chats_leaves_the_window(client: Client, world: World) -> None:
    until = millis(world)
    world.advance(timedelta(minutes=1), activity=False)
    first = ids(client.gptbots(end_time=until).json["list"])
    world.chat(first[0])
    rest = ids(client.gptbots(end_time=until, page=2).json["list"])
    everything = ids(world.truth("gptbots", "support"))
    assert (
        set(everything)
        - set(first)
        - set(rest)
        - set(ids(client.gptbots(end_time=until, page=3).json["list"]))
    ), "the row that moved up over the page's edge is lost to a forward reader"
    assert client.gptbots(end_time=until).json["total"] == 249
    assert client.gptbots().json["list"][0]["conversation_id"] == first[0]


def test_chaos_makes_forward_reading_lose_rows(client: Client, sim: Simulator) -> None:
    sim.knobs = replace(sim.knobs, chaos=1.0)
    until, before = millis(sim.world), set(ids(sim.world.truth("gptbots", "support")))
    seen = set(ids(client.pages(page_size=10, end_time=until)))
    still = {
        row["conversation_id"]
        for row in sim.world.truth("gptbots", "support")
        if int(str(row["recent_chat_time"])) <= until
    }
    assert still - seen
    assert still <= before


def test_the_small_endpoints(client: Client, world: World) -> None:
    headers = {"Authorization": "Bearer key-support"}
    expected = {"bot_id": world.bot_ids["support"], "name": "support", "key": "key-support"}
    assert client.ask("/v1/bot/detail", headers).json == expected
    assert client.ask("/v1/api-key/verify", headers).json == expected
    assert client.ask("/v1/api-key/verify").json["code"] == 40127
    assert client.ask("/v1/nothing", headers).status == 404
    assert client.ask("/v1/bot/detail", headers, method="POST").status == 405
