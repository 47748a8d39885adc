"""What a server shows of itself: how many conversations a window holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upstream import EVERY_WAY, with_gptbots

from pipelines.gptbots.server import Count, Server, place_of_last
from pipelines.gptbots.windows import Window, milliseconds
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from pipelines.gptbots.api import GptbotsApi

ALL = Window(0, milliseconds(datetime(2100, 1, 1, tzinfo=UTC)))


@given(st.integers(0, 10**7), st.integers(0, 99), st.integers(2, 100))
def test_the_last_row_is_never_the_last_of_its_page(rows: int, above: int, largest: int) -> None:
    place = place_of_last(rows, above, largest)
    if place is None:
        assert all(rows % size <= above for size in range(above + 2, largest + 1))
        return
    number, size = place
    on_it = rows - (number - 1) * size
    assert 2 <= size <= max(2, largest)
    assert above < on_it < size or rows == on_it == above == 0


@pytest.mark.parametrize("knobs", EVERY_WAY[::5], ids=repr)
@pytest.mark.parametrize("rows", [0, 1, 2, 99, 100, 101, 250])
def test_one_request_tells_whether_a_count_agrees(
    make_world: MakeWorld, simulate: Simulate, knobs: Knobs, rows: int
) -> None:
    upstream = simulate(make_world(bots={"support": rows}), knobs)

    def server(api: GptbotsApi) -> Server:
        made = Server(api.page)
        made.largest_before = 100
        return made

    async def run(api: GptbotsApi) -> dict[int, Count]:
        claims = range(max(0, rows - 2), rows + 3)
        return {claimed: await server(api).count(ALL, claimed) for claimed in claims}

    counts = with_gptbots(upstream, "support", run)
    assert len(upstream.log) == len(counts)
    assert {claimed for claimed, count in counts.items() if count.agrees} == {rows}
    assert {count.total for count in counts.values()} <= {rows, None}


@pytest.mark.parametrize("cap", [7, 30, 50])
def test_a_count_above_a_page_shows_that_the_page_was_not_capped(
    make_world: MakeWorld, simulate: Simulate, cap: int
) -> None:
    knobs = Knobs(total="page", gptbots_page_cap=cap)
    upstream = simulate(make_world(bots={"support": 213}), knobs)

    async def run(api: GptbotsApi) -> list[bool]:
        server = Server(api.page)
        await server.page(ALL, 1)
        found = [await server.count(ALL, 213, above) for above in range(cap, 90)]
        return [count.agrees for count in found]

    assert not any(with_gptbots(upstream, "support", run))


@pytest.mark.parametrize("rows", [1, 99, 100, 101, 730])
@pytest.mark.parametrize("past_end", ["empty", "error"])
def test_the_last_page_is_found_by_halving(
    make_world: MakeWorld, simulate: Simulate, rows: int, past_end: str
) -> None:
    knobs = Knobs(total="page", past_end=past_end)  # type: ignore[arg-type]
    upstream = simulate(make_world(bots={"support": rows}), knobs)

    async def run(api: GptbotsApi) -> tuple[int, int]:
        server = Server(api.page)
        bound = await server.bound(ALL, 3)
        return bound, await server.last_page(ALL, bound)

    bound, last = with_gptbots(upstream, "support", run)
    assert last == -(-rows // 100)
    assert last <= bound < max(4, 2 * last)
