"""The count of all history, and the windows in which it differs from what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from upstream import EVERY_WAY, with_gptbots

from pipelines.errors import NothingThere
from pipelines.gptbots.history import Expected, History
from pipelines.gptbots.scan import Scan
from pipelines.gptbots.windows import milliseconds
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from pipelines.gptbots.api import GptbotsApi
    from pipelines.reading import Reading
    from pipelines.simulator import Simulator, World

START = datetime(2020, 1, 1, tzinfo=UTC)


def known_times(world: World) -> list[int]:
    return sorted(int(str(row["recent_chat_time"])) for row in world.truth("gptbots", "support"))


def compared(
    upstream: Simulator, times: list[int], *, thorough: bool = False
) -> tuple[bool, list[Reading]]:
    """Tell whether the count agrees with so many, and read what differs."""
    bot_id = upstream.world.bot_ids["support"]
    expected = Expected({bot_id: len(times)}, bot_ids=[bot_id], largest_page=100)

    async def run(api: GptbotsApi) -> tuple[bool, list[Reading]]:
        history = History(Scan(api.page), START, datetime.now(UTC))
        agrees = await history.agrees(expected, 0)
        if agrees and not thorough:
            return agrees, []
        return agrees, [r async for r in history.differing(times, thorough=thorough)]

    return with_gptbots(upstream, "support", run)


def read(readings: list[Reading]) -> set[str]:
    return {i for reading in readings for i in reading.table["conversation_id"].to_pylist()}


@pytest.mark.parametrize("knobs", EVERY_WAY[::5], ids=repr)
def test_what_is_known_costs_one_request(
    make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 900})
    upstream = simulate(world, knobs)
    assert compared(upstream, known_times(world)) == (True, [])
    assert len(upstream.log) == 1


@pytest.mark.parametrize("knobs", EVERY_WAY[::5], ids=repr)
def test_what_differs_is_found_with_few_requests(
    make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 6000})
    rows = world.truth("gptbots", "support")
    times = known_times(world)
    upstream = simulate(world, knobs)
    gone = str(rows[3000]["conversation_id"])
    world.delete(gone)
    agrees, readings = compared(upstream, times)
    assert not agrees
    (certificate,) = [reading.certificate for reading in readings]
    assert certificate is not None
    assert certificate.certified
    at = datetime.fromtimestamp(int(str(rows[3000]["recent_chat_time"])) / 1000, UTC)
    assert certificate.window_start is not None
    assert certificate.window_end is not None
    assert certificate.window_start <= at < certificate.window_end
    assert gone not in read(readings)
    assert len(upstream.log) <= 26  # of 60 pages: two for each halving


def test_a_missing_one_is_read(make_world: MakeWorld, simulate: Simulate) -> None:
    world = make_world(bots={"support": 6000})
    rows = world.truth("gptbots", "support")
    times = known_times(world)
    times.remove(int(str(rows[4321]["recent_chat_time"])))
    agrees, readings = compared(simulate(world), times)
    assert not agrees
    assert rows[4321]["conversation_id"] in read(readings)
    assert len(read(readings)) <= 500  # a few pages are not halved any more


def test_where_most_differs_it_is_read_without_halving(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 6000})
    upstream = simulate(world)
    agrees, readings = compared(upstream, known_times(world)[::2])
    assert not agrees
    assert len(read(readings)) == 6000
    assert len(upstream.log) <= 70


def test_one_that_came_where_another_went_is_found_by_a_thorough_comparison(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 3000})
    rows = world.truth("gptbots", "support")
    times = known_times(world)
    times.remove(int(str(rows[50]["recent_chat_time"])))
    world.delete(str(rows[2000]["conversation_id"]))
    upstream = simulate(world)
    assert compared(upstream, times) == (True, [])
    upstream.clear_log()
    agrees, readings = compared(upstream, times, thorough=True)
    assert agrees
    assert rows[50]["conversation_id"] in read(readings)
    assert len(readings) == 2


def test_a_thorough_comparison_of_what_agrees_costs_as_many_requests_as_it_has_octaves(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 6000})
    upstream = simulate(world)
    assert compared(upstream, known_times(world), thorough=True) == (True, [])
    assert len(upstream.log) <= 1 + 7  # 6000 halved down to a page


def test_ties_are_not_cut(make_world: MakeWorld, simulate: Simulate) -> None:
    world = make_world(bots={"support": 0})
    for _ in range(5):
        world.tie("support", 130)
        world.advance(timedelta(milliseconds=2), activity=False)
    times = known_times(world)
    for knobs in (Knobs(), Knobs(start_inclusive=False, end_inclusive=False, total="page")):
        assert compared(simulate(world, knobs), times, thorough=True) == (True, [])


@pytest.mark.parametrize("total", ["window", "page"])
def test_an_api_that_answers_with_nothing_is_an_error(
    make_world: MakeWorld, simulate: Simulate, total: str
) -> None:
    world = make_world(bots={"support": 0})
    times = [milliseconds(datetime.now(UTC)) - i for i in range(7)]
    with pytest.raises(NothingThere, match="though 7 are known"):
        compared(simulate(world, Knobs(total=total)), times)  # type: ignore[arg-type]


def test_an_empty_bot_of_which_nothing_is_known_agrees(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    assert compared(simulate(make_world(bots={"support": 0})), []) == (True, [])


def test_what_an_earlier_bot_of_the_name_left_is_not_compared(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 40})
    expected = Expected({world.bot_ids["support"]: 40, "another": 70}, bot_ids=["another"])

    async def run(api: GptbotsApi) -> bool:
        return await History(Scan(api.page), START, datetime.now(UTC)).agrees(expected, 0)

    assert with_gptbots(simulate(world), "support", run)
    lonely = Expected({"another": 70}, bot_ids=["another"])

    async def other(api: GptbotsApi) -> bool:
        return await History(Scan(api.page), START, datetime.now(UTC)).agrees(lonely, 40)

    assert with_gptbots(simulate(world), "support", other)
