"""Scans by windows, of a simulated bot."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest
import truth
from upstream import EVERY_WAY, chatting, with_gptbots

from pipelines.errors import KeyRejected, NotCertified, RateLimited
from pipelines.gptbots.scan import Scan
from pipelines.simulator import Faults, Knobs, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakeWorld, Simulate

    from pipelines.gptbots.api import GptbotsApi, Page
    from pipelines.reading import Reading
    from pipelines.simulator import Request, Simulator

START = datetime(2020, 1, 1, tzinfo=UTC)
LONG = 30
"""Seconds after which something that should end at once is taken to hang."""
Version = tuple[datetime, int, object]
"""Of a conversation: activity, messages, cost."""


def scan(
    upstream: Simulator, start: datetime = START, window_rows: int = 150, *, calm: bool = True
) -> list[Reading]:
    """Read the bot "support"; one that isn't calm may end early."""
    found: list[Reading] = []

    async def run(api: GptbotsApi) -> None:
        read = Scan(api.page, window_rows=window_rows).read(start, datetime.now(UTC))
        async for reading in read:
            found.append(reading)  # noqa: PERF401 - what came before an error counts

    with suppress(*(() if calm else (NotCertified,))):
        with_gptbots(upstream, "support", run)
    return found


def versions(readings: list[Reading]) -> dict[str, Version]:
    """Return the newest version of each conversation that was read."""
    found: dict[str, Version] = {}
    for reading in readings:
        for row in reading.table.to_pylist():
            version = (row["recent_chat_time"], row["message_count"], row["cost_credit"])
            known = found.get(row["conversation_id"], version)
            found[row["conversation_id"]] = max(known, version)
    return found


def wanted(world: World) -> dict[str, Version]:
    rows = [truth.conversation("gptbots", row) for row in world.truth("gptbots", "support")]
    return {
        row["conversation_id"]: (row["recent_chat_time"], row["message_count"], row["cost_credit"])
        for row in rows
    }


def assert_covered(readings: list[Reading]) -> None:
    """The certified windows follow each other from the start to beyond now."""
    certificates = [reading.certificate for reading in readings]
    windows = [(c.window_start, c.window_end) for c in certificates if c and c.certified]
    assert len(windows) == len(readings)
    assert windows[0][0] == START
    assert all(a[1] == b[0] for a, b in pairwise(windows))
    assert windows[-1][1] is not None
    assert windows[-1][1] > datetime.now(UTC)


# All of them: test_sync.py, marked long.
@pytest.mark.parametrize("knobs", EVERY_WAY[::3], ids=repr)
def test_a_drifting_scan_and_a_quiet_one_behind_it_are_complete(
    make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 210})
    world.tie("support", 110)
    upstream = simulate(world, knobs)
    upstream.on_request = chatting(world, "support", times=25)
    drifting = scan(upstream, calm=False)
    upstream.on_request = None
    cursor = max((version[0] for version in versions(drifting).values()), default=START)
    quiet = scan(upstream, max(START, cursor - timedelta(hours=1)))
    assert versions(drifting + quiet) == wanted(world)


@pytest.mark.parametrize("knobs", EVERY_WAY[::5], ids=repr)
def test_a_quiet_scan_is_complete_and_certified(
    make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 250})
    world.tie("support", 101)
    readings = scan(simulate(world, knobs))
    assert versions(readings) == wanted(world)
    assert_covered(readings)


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 200])
@pytest.mark.parametrize("total", ["window", "page"])
def test_whole_pages_are_no_special_case(
    make_world: MakeWorld,
    simulate: Simulate,
    rows: int,
    total: str,
) -> None:
    world = make_world(bots={"support": rows})
    readings = scan(simulate(world, Knobs(total=total)))  # type: ignore[arg-type]
    assert versions(readings) == wanted(world)
    assert_covered(readings)


def test_a_server_that_caps_its_pages_is_read_to_the_end(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 250})
    readings = scan(simulate(world, Knobs(gptbots_page_cap=30)))
    assert versions(readings) == wanted(world)


def test_conversations_at_the_very_ends_are_read(make_world: MakeWorld, simulate: Simulate) -> None:
    for knobs in (Knobs(), Knobs(start_inclusive=False, end_inclusive=False)):
        world = make_world(bots={"support": 0})
        at_start = world.begin("support")
        world.edit(at_start, recent_chat_time=int(START.timestamp() * 1000))
        now = world.begin("support")
        world.edit(now, recent_chat_time=int(datetime.now(UTC).timestamp() * 1000))
        ahead = world.begin("support")
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        world.edit(ahead, recent_chat_time=int(in_an_hour.timestamp() * 1000))
        assert versions(scan(simulate(world, knobs))).keys() == {at_start, now, ahead}


def test_ties_that_never_hold_still_are_not_certified(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 0})
    ids = world.tie("support", 300)
    upstream = simulate(world)

    def leave(_: object) -> None:
        world.advance(timedelta(milliseconds=5), activity=False)
        if ids:
            world.chat(ids.pop())

    upstream.on_request = leave
    with pytest.raises(NotCertified, match="do not hold still"):
        scan(upstream)


def test_readings_come_oldest_first(make_world: MakeWorld, simulate: Simulate) -> None:
    readings = scan(simulate(make_world(bots={"support": 900})), window_rows=100)
    ends = [reading.table["recent_chat_time"].to_pylist() for reading in readings if reading.table]
    assert len(ends) > 3
    assert all(max(a) <= min(b) + timedelta(milliseconds=1) for a, b in pairwise(ends))


def test_an_error_ends_the_scan(make_world: MakeWorld, simulate: Simulate) -> None:
    world = make_world(bots={"support": 900})
    upstream = simulate(world)
    upstream.on_request = lambda _: world.revoke("support") if len(upstream.log) > 5 else None
    with pytest.raises(KeyRejected):
        scan(upstream)


def test_a_bad_row_does_not_keep_a_window_from_its_certificate(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 250})
    for row in world.truth("gptbots")[100:103]:
        world.edit(str(row["conversation_id"]), message_count="many")
    readings = scan(simulate(world), window_rows=1000)
    assert_covered(readings)
    assert sum(len(reading.rejected) for reading in readings) == 3
    assert len(versions(readings)) == 247


def test_the_certificate_says_what_was_asked_and_counted(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 250})
    upstream = simulate(world)
    readings = scan(upstream, window_rows=1000)
    found, *later = [reading.certificate for reading in readings]
    assert found is not None
    assert (found.kind, found.certified) == ("window", True)
    assert found.total_before == found.total_after == found.distinct_rows
    assert found.evidence == "counts before and after agree with the rows"
    assert found.distinct_rows + sum(c.distinct_rows for c in later if c) == 250
    # The first request found out that there is more than a page; what is settled is read by
    # its pages and page 1 again, what is not by one request.
    assert found.requests + 1 + sum(c.requests for c in later if c) == len(upstream.log)
    assert found.started_at <= found.finished_at


@pytest.mark.parametrize(
    ("order", "recent", "pages"),
    [
        ("newest_first", 0, "3 2 1"),  # the first look was at its first page
        ("newest_first", 5, "1 3 2 1"),  # at a page with later ones
        ("oldest_first", 5, "1 3 2 1"),  # at its first page, but the total was another
    ],
)
def test_a_first_page_is_asked_for_once_where_it_is_that_of_the_past(
    simulate: Simulate, order: Literal["newest_first", "oldest_first"], recent: int, pages: str
) -> None:
    now = datetime.now(UTC)
    world = World.seeded(7, bots={"support": 250}, now=now - timedelta(hours=1))
    world.advance(timedelta(minutes=58), activity=False)
    for _ in range(recent):
        world.begin("support")
    upstream = simulate(world, Knobs(order=order))
    readings = scan(upstream, window_rows=1000)
    assert versions(readings) == wanted(world)
    of_past = next(r.certificate for r in readings if r.certificate)
    assert of_past.total_before == of_past.total_after == of_past.distinct_rows == 250
    whole, *others = upstream.log
    asked = [r.params["page"] for r in others if r.params["end_time"] != whole.params["end_time"]]
    assert " ".join(asked) == pages


@pytest.mark.parametrize("rows", [100, 250])
@pytest.mark.parametrize(("behind", "waits"), [(0, 600), (240, 90), (240, 600)])
def test_what_begins_after_a_slow_first_look_is_read(
    simulate: Simulate, rows: int, behind: int, waits: int
) -> None:
    """The server's clock is behind ours by so many seconds; the second answer takes so many."""
    now = datetime.now(UTC) - timedelta(hours=2)
    world = World.seeded(7, bots={"support": rows}, now=now - timedelta(minutes=30))
    world.advance(now - world.now, activity=False)
    requests: list[int] = []
    readings: list[Reading] = []

    async def run(api: GptbotsApi) -> None:
        async def ask(start: int, end: int, number: int, size: int = 100) -> Page:
            requests.append(number)
            if len(requests) == 2:
                world.advance(timedelta(seconds=1), activity=False)
                world.begin("support")
                world.advance(timedelta(seconds=waits - 1), activity=False)
            page = await api.page(start, end, number, size)
            return replace(page, at=world.now + timedelta(seconds=behind), server_at=None)

        readings.extend([reading async for reading in Scan(ask).read(START, world.now)])

    with_gptbots(simulate(world), "support", run)
    assert versions(readings) == wanted(world)
    assert all(r.certificate and r.certificate.requests for r in readings)


@pytest.mark.parametrize("seconds", [-60, -20, 20, 60])
def test_a_clock_that_goes_wrong_hides_nothing_that_moves(simulate: Simulate, seconds: int) -> None:
    """By the server's clock what chats now may lie in a window that seems to be past."""
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    world = World.seeded(7, bots={"support": 900}, now=now, clock="real")
    moving = [str(row["conversation_id"]) for row in world.truth("gptbots")[-9::4]]
    held = Held(world.start)
    readings = []

    async def run(api: GptbotsApi) -> None:
        async def ask(start: int, end: int, number: int, size: int = 100) -> Page:
            if moving and held.back(start, end):
                await held.until_idle()
                while moving:
                    world.chat(moving.pop())
            with held.counted():
                return await api.page(start, end, number, size)

        read = Scan(ask, window_rows=399).read(world.start, datetime.now(UTC))
        readings.extend([reading async for reading in read])

    with_gptbots(simulate(world), "support", run)
    assert not moving
    assert versions(readings) == wanted(world)


def test_a_retry_after_that_no_patience_waits_for_ends_the_scan(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    """Also for the window that was not refused: it does not wait for the key to open again."""
    world = make_world(bots={"support": 900})
    upstream = simulate(world)
    held = Held(world.start)

    def refuse(request: Request) -> None:
        later = int(request.params["start_time"]) >= world.start.timestamp() * 1000
        upstream.faults = Faults(rate_limited_seconds=float(later), retry_after=3600)

    async def run(api: GptbotsApi) -> None:
        async def ask(start: int, end: int, number: int, size: int = 100) -> Page:
            if held.back(start, end):
                await held.until_idle()
            with held.counted():
                return await api.page(start, end, number, size)

        async def everything() -> None:
            async for _ in Scan(ask, window_rows=399).read(world.start, datetime.now(UTC)):
                pass

        await asyncio.wait_for(everything(), LONG)

    upstream.on_request = refuse
    with pytest.raises(RateLimited):
        with_gptbots(upstream, "support", run)
    refused = [logged.params["start_time"] for logged in upstream.log if logged.fault]
    assert len(refused) == len(set(refused))  # none was asked again


class Held:
    """Holds the oldest window of several back until nothing else is under way."""

    def __init__(self, start: datetime) -> None:
        self._start = start.timestamp() * 1000
        self._end = (datetime.now(UTC) - timedelta(days=1)).timestamp() * 1000
        self._under_way = 0

    def back(self, start: int, end: int) -> bool:
        return start < self._start and end < self._end

    async def until_idle(self) -> None:
        idle = 0
        while idle < 20:
            await asyncio.sleep(0.01)
            idle = 0 if self._under_way else idle + 1

    @contextmanager
    def counted(self) -> Iterator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
