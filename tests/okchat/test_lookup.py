"""Conversations asked for one by one, and what a 404 means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from upstream import with_okchat

from pipelines import errors
from pipelines.okchat.api import read_rows
from pipelines.okchat.lookup import Found, Lookup
from pipelines.tables import READING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conftest import MakeWorld, Simulate

    from pipelines.okchat.api import OkchatApi, Page
    from pipelines.simulator import Request, Simulator


def look_up(upstream: Simulator, ids: Sequence[str]) -> Found:
    async def run(api: OkchatApi) -> Found:
        return await Lookup(api.one, lambda: api.page(1, 1)).read(ids)

    return with_okchat(upstream, "web", run)


def test_one_conversation_is_read_as_the_list_has_it(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 3})

    async def run(api: OkchatApi) -> tuple[Page, Page | None]:
        listed = await api.page(1)
        return listed, await api.one(listed.marks[1][0])

    listed, one = with_okchat(simulate(world), "web", run)
    assert one is not None
    assert one.marks == listed.marks[1:2]
    columns = [name for name in READING.names if name != "observed_at"]
    alone, among = (read_rows([page]).table.select(columns) for page in (one, listed))
    assert alone == among.slice(1, 1)


@pytest.mark.parametrize("name", ["a?b=c", "a#b", "ä b", "%2e"])
def test_an_id_is_quoted(make_world: MakeWorld, simulate: Simulate, name: str) -> None:
    world = make_world(chatbots={"web": 1})
    world.begin("web", conversation_id=name)
    found = look_up(simulate(world), [name])
    assert found.reading.table["conversation_id"].to_pylist() == [name]
    assert found.gone == []


def test_what_is_found_and_what_is_gone(make_world: MakeWorld, simulate: Simulate) -> None:
    world = make_world(chatbots={"web": 30})
    rows = [str(row["id"]) for row in world.truth("okchat")]
    world.delete(rows[3])
    world.edit(rows[4], active="perhaps")
    upstream = simulate(world)
    found = look_up(upstream, [*rows[:20], rows[0], "never-was"])
    assert set(found.reading.table["conversation_id"].to_pylist()) == {*rows[:3], *rows[5:20]}
    assert len(found.reading.rejected) == 1
    assert found.gone == [rows[3], "never-was"]
    assert found.reading.gone == (rows[3], "never-was")
    done = found.reading.certificate
    assert done is not None
    assert (done.kind, done.certified, done.distinct_rows) == ("lookup", True, 19)
    assert done.evidence == "asked one by one: 19 found, 2 gone"
    assert done.requests == len(upstream.log) == 22
    assert upstream.log[-1].params["page"] == "1"  # the chatbot was there after the last 404


def test_nothing_asked_is_nothing_found(make_world: MakeWorld, simulate: Simulate) -> None:
    upstream = simulate(make_world(chatbots={"web": 3}))
    found = look_up(upstream, [])
    assert (len(found.reading.table), found.gone, upstream.log) == (0, [], [])


@pytest.mark.parametrize("from_request", range(1, 8))
@pytest.mark.parametrize("end", ["remove", "revoke"])
def test_a_chatbot_that_goes_meanwhile_makes_nothing_gone(
    make_world: MakeWorld, simulate: Simulate, end: str, from_request: int
) -> None:
    """Seven requests are made: six conversations and, for the one that is gone, the list."""
    world = make_world(chatbots={"web": 6})
    rows = [str(row["id"]) for row in world.truth("okchat")]
    world.delete(rows[0])
    upstream = simulate(world)
    ends = world.remove_bot if end == "remove" else world.revoke
    upstream.on_request = from_that(from_request, lambda: ends("web"))
    with pytest.raises(errors.ApiError) as failed:
        look_up(upstream, rows)
    assert type(failed.value) is (errors.NotFound if end == "remove" else errors.KeyRejected)


def from_that(number: int, act: Callable[[], object]) -> Callable[[Request], None]:
    """Return a hook that acts before each answer from one on, counted from 1."""
    left = [None] * (number - 1)

    def hook(_: Request) -> None:
        if left:
            left.pop()
        else:
            act()

    return hook


def test_so_many_are_asked_at_once_and_no_more() -> None:
    under_way, most = 0, 0

    async def one(_: str) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    async def alive() -> None:
        pass

    asyncio.run(Lookup(one, alive, at_once=3).read([str(n) for n in range(10)]))
    assert most == 3
