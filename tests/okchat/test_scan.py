"""Sweeps of a simulated chatbot."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from truth import of_iso
from upstream import with_okchat

from pipelines.errors import NotCertified
from pipelines.okchat import scan as scanning
from pipelines.okchat.api import Page, page_of
from pipelines.okchat.scan import Sweep
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakeWorld, Simulate

    from pipelines.okchat.api import OkchatApi
    from pipelines.reading import Reading
    from pipelines.simulator import Request, Simulator, World


def sweep(upstream: Simulator, size: int = 10) -> list[Reading]:
    async def run(api: OkchatApi) -> list[Reading]:
        return [reading async for reading in Sweep(api.page).read()]

    return with_okchat(upstream, "web", run, size)


def ids(readings: list[Reading]) -> set[str]:
    return {found for r in readings for found in r.table["conversation_id"].to_pylist()}


def wanted(world: World) -> set[str]:
    return {str(row["id"]) for row in world.truth("okchat")}


def at_request(number: int, act: Callable[[], object]) -> Callable[[Request], None]:
    """Return a hook that acts before the answer to one request, counted from 1."""
    numbers = count(1)

    def hook(_: Request) -> None:
        if next(numbers) == number:
            act()

    return hook


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 45])
@pytest.mark.parametrize("cap", [None, 1, 7])
@pytest.mark.parametrize("envelope", ["bare", "data"])
def test_a_sweep_is_complete_and_certified(
    make_world: MakeWorld,
    simulate: Simulate,
    rows: int,
    cap: int | None,
    envelope: Any,  # noqa: ANN401 - of the knob's own type
) -> None:
    world = make_world(chatbots={"web": rows})
    upstream = simulate(world, Knobs(okchat_page_cap=cap, envelope=envelope))
    (reading,) = sweep(upstream)
    assert ids([reading]) == wanted(world)
    found = reading.certificate
    assert found is not None
    assert (found.kind, found.certified, found.distinct_rows) == ("sweep", True, rows)
    assert found.requests == len(upstream.log)
    assert reading.seen is not None
    assert sorted(reading.seen.to_pylist()) == sorted(wanted(world))


def test_pages_overlap_and_the_end_and_the_head_are_asked_for_once_more(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    upstream = simulate(make_world(chatbots={"web": 45}))
    sweep(upstream)
    spots = [(int(logged.params["page"]), int(logged.params["limit"])) for logged in upstream.log]
    begins = [(page - 1) * size for page, size in spots]
    ends = [begin + logged.rows for begin, logged in zip(begins, upstream.log, strict=True)]
    *down, end, head = range(len(spots))
    assert all(begins[n + 1] < ends[n] < ends[n + 1] for n in down[:-1])
    assert (ends[down[-1]], begins[end], upstream.log[end].rows) == (45, 50, 0)
    assert spots[head] == (1, 10)


@pytest.mark.parametrize("began", [1, 10, 20, 25])
@pytest.mark.parametrize("request_", [2, 3, 4, 6, 7])
@pytest.mark.parametrize("order", ["created_desc", "updated_desc"])
def test_what_begins_meanwhile_is_read_and_hides_nothing(
    make_world: MakeWorld,
    simulate: Simulate,
    began: int,
    request_: int,
    order: Any,  # noqa: ANN401 - of the knob's own type
) -> None:
    """Ten at once shift the list by a whole page: the next page is the last one again."""
    world = make_world(chatbots={"web": 45})
    upstream = simulate(world, Knobs(okchat_order=order))
    upstream.on_request = at_request(request_, lambda: world.tie("web", began))
    assert ids(sweep(upstream)) == wanted(world)


def test_what_changes_meanwhile_is_read_at_least_as_it_was(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 45})
    upstream = simulate(world)
    chatting = sorted(wanted(world))[::4]
    upstream.on_request = lambda _: world.chat(chatting.pop()) if chatting else None
    assert ids(sweep(upstream)) == wanted(world)


def test_known_rows_that_jumped_to_the_head_hide_no_unknown_one_behind_them(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 45})
    upstream = simulate(world, Knobs(okchat_order="updated_desc"))
    rows = sorted(world.truth("okchat"), key=lambda row: of_iso(str(row["updated_at"])))[::-1]

    def jump() -> None:
        """Let the last, unread, jump to the head, and eleven that were read before it."""
        for row in (rows[-1], *rows[:11]):
            world.advance(timedelta(seconds=1), activity=False)
            world.chat(str(row["id"]))

    upstream.on_request = at_request(4, jump)
    assert ids(sweep(upstream)) == wanted(world)


def test_pieces_come_least_recently_updated_first(
    make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "PIECE_ROWS", 10)
    world = make_world(chatbots={"web": 25})
    world.edit(world.begin("web"), active="perhaps")
    pieces = sweep(simulate(world))
    updated = [at for piece in pieces for at in piece.table["updated_at"].to_pylist()]
    assert updated == sorted(updated)
    assert len(pieces) > 2
    assert [piece.certificate is not None for piece in pieces[:-1]] == [False] * (len(pieces) - 1)
    assert pieces[-1].certificate is not None
    assert pieces[-1].certificate.distinct_rows == 26
    assert [len(piece.rejected) for piece in pieces] == [0] * (len(pieces) - 1) + [1]


def test_pages_of_bad_rows_do_not_end_the_list(make_world: MakeWorld, simulate: Simulate) -> None:
    world = make_world(chatbots={"web": 30})
    rows = world.truth("okchat")
    for row in rows[:20]:
        world.edit(str(row["id"]), active="perhaps")
    readings = sweep(simulate(world))
    assert ids(readings) == {row["id"] for row in rows[20:]}
    assert len(readings[-1].rejected) == 20
    seen = readings[-1].seen
    assert seen is not None
    assert sorted(seen.to_pylist()) == sorted(str(row["id"]) for row in rows)


@pytest.mark.parametrize("knobs", [Knobs(page_param="p"), Knobs(page_param="p", limit_param="l")])
def test_a_server_that_ignores_the_page_is_not_certified(
    make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    with pytest.raises(NotCertified, match="page_param and limit_param"):
        sweep(simulate(make_world(chatbots={"web": 45}), knobs))


class RepeatsItsLastPage:
    """A server that, asked for a page beyond the end, gives the last one again."""

    def __init__(self, rows: int) -> None:
        self.rows = [{"id": str(n), "updated_at": "2025-03-06T02:30:18+00:00"} for n in range(rows)]

    async def page(self, number: int, size: int | None) -> Page:
        size = size or 10
        last = max(1, -(-len(self.rows) // size))
        start = (min(number, last) - 1) * size
        return page_of(self.rows[start : start + size], "web", datetime.now(UTC))


@pytest.mark.parametrize("rows", [0, 1, 2, 9, 10, 11, 45])
def test_a_server_that_repeats_its_last_page_is_read_to_the_end(rows: int) -> None:
    async def run() -> list[Reading]:
        return [reading async for reading in Sweep(RepeatsItsLastPage(rows).page).read()]

    (reading,) = asyncio.run(run())
    assert ids([reading]) == {str(n) for n in range(rows)}
    assert reading.certificate is not None
    assert reading.certificate.certified


class KnowsTwoSizes(RepeatsItsLastPage):
    """A server that gives five rows a page to whoever does not ask for ten."""

    async def page(self, number: int, size: int | None) -> Page:
        size = 10 if size in (None, 10) else 5
        rows = self.rows[(number - 1) * size :][:size]
        return page_of(rows, "web", datetime.now(UTC))


@pytest.mark.parametrize("rows", [3, 9, 10, 11, 15, 19, 45])
def test_a_server_that_knows_few_page_sizes_is_read_to_the_end(rows: int) -> None:
    async def run() -> list[Reading]:
        return [reading async for reading in Sweep(KnowsTwoSizes(rows).page).read()]

    assert ids(asyncio.run(run())) == {str(n) for n in range(rows)}


IGNORES_SIZES = Knobs(limit_param="per_page")


@pytest.mark.parametrize("request_", range(3, 14))
def test_pages_that_cannot_overlap_are_read_until_nothing_new_turns_up(
    make_world: MakeWorld, simulate: Simulate, request_: int
) -> None:
    world = make_world(chatbots={"web": 45})
    newest = [row.conversation_id for row in world.accounts["web"].timeline.rows()][::-1]
    upstream = simulate(world, IGNORES_SIZES)
    upstream.on_request = at_request(request_, lambda: world.delete(newest[0]))
    (reading,) = sweep(upstream)
    assert wanted(world) <= ids([reading])
    assert reading.certificate is not None
    assert "pages did not overlap" in reading.certificate.evidence


def test_pages_that_cannot_overlap_cost_a_second_pass(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    upstream = simulate(make_world(chatbots={"web": 45}), IGNORES_SIZES)
    (reading,) = sweep(upstream)
    assert reading.certificate is not None
    assert reading.certificate.requests == len(upstream.log) == 2 + 2 * 6 + 1


class Restless:
    """A server of ten rows a page, whatever is asked, whose second page is another each time."""

    def __init__(self) -> None:
        self.ids = count()

    async def page(self, number: int, _: int | None) -> Page:
        names = {1: [f"first-{n}" for n in range(10)], 2: [f"{next(self.ids)}" for _ in range(10)]}
        at = "2025-03-06T02:30:18+00:00"
        rows = [{"id": name, "updated_at": at} for name in names.get(number, [])]
        return page_of(rows, "web", datetime.now(UTC))


def test_a_list_that_is_another_each_time_is_not_certified() -> None:
    async def run() -> list[Reading]:
        return [reading async for reading in Sweep(Restless().page).read()]

    with pytest.raises(NotCertified, match="limit_param"):
        asyncio.run(run())
