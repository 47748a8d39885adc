"""What page drift does: naive readers lose rows, Convoy's own lose none, run after run.

A row is lost when it is there from before a reading until after it and was read at no version.
Something happens before each request, of the naive readers and of ours alike, to the very end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import naive
import pytest
from upstream import EVERY_WAY, with_gptbots, with_okchat

from pipelines.errors import NotCertified
from pipelines.gptbots.scan import Scan
from pipelines.okchat.scan import Sweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from conftest import MakeWorld, Simulate

    from pipelines.gptbots.api import GptbotsApi
    from pipelines.okchat.api import OkchatApi
    from pipelines.reading import Reading
    from pipelines.simulator import Simulator, World

OPEN = "in_progress"
FEW, MANY = 15, 300
runs_of_each = pytest.mark.parametrize("runs", [FEW, pytest.param(MANY, marks=pytest.mark.long)])


# What happens before each request.


def going_on(world: World, _: str, ids: Iterator[str]) -> None:
    """Let a conversation go on: it leaves the window, those behind it move up."""
    world.advance(timedelta(milliseconds=1), activity=False)
    world.chat(next(ids))


def beginning(world: World, name: str, _: Iterator[str]) -> None:
    """Let some begin: they enter at the head and push the others down."""
    world.advance(timedelta(milliseconds=1), activity=False)
    world.tie(name, 3)


def closing(world: World, _: str, ids: Iterator[str]) -> None:
    """Close one: it leaves the list of the open ones."""
    world.edit(next(ids), state="closed", active=False)


def deleting(world: World, _: str, ids: Iterator[str]) -> None:
    """Delete one: those behind it move up."""
    world.delete(next(ids))


# How it is read, naively.


def window_forward(upstream: Simulator, name: str) -> set[str]:
    return _windows(upstream, name, naive.Gptbots.forward)


def window_backward(upstream: Simulator, name: str) -> set[str]:
    return _windows(upstream, name, naive.Gptbots.backward)


def list_forward(upstream: Simulator, name: str) -> set[str]:
    with naive.Okchat(upstream, name) as chatbot:
        return chatbot.forward()


def list_of_open_forward(upstream: Simulator, name: str) -> set[str]:
    with naive.Okchat(upstream, name) as chatbot:
        return chatbot.forward(state=OPEN)


def _windows(
    upstream: Simulator, name: str, read: Callable[[naive.Gptbots, naive.Span], set[str]]
) -> set[str]:
    """Read all up to now, then in peace what has come since: so what left is not called lost."""
    now = _milliseconds(upstream.world.now)
    with naive.Gptbots(upstream, name) as bot:
        found = read(bot, (0, now))
        upstream.on_request = None
        return found | read(bot, (now, _milliseconds(upstream.world.now)))


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


# How it is read by Convoy.


def scan(upstream: Simulator, name: str) -> tuple[set[str], bool]:
    """Return what was read, and whether it was called complete."""

    async def run(of: GptbotsApi) -> tuple[set[str], bool]:
        return await _read(Scan(of.page).read(upstream.world.start, datetime.now(UTC)))

    return with_gptbots(upstream, name, run)


def sweep(upstream: Simulator, name: str) -> tuple[set[str], bool]:
    async def run(of: OkchatApi) -> tuple[set[str], bool]:
        return await _read(Sweep(of.page).read())

    return with_okchat(upstream, name, run, naive.PAGES["okchat"])


async def _read(readings: AsyncIterator[Reading]) -> tuple[set[str], bool]:
    found: set[str] = set()
    certified = True
    try:
        async for reading in readings:
            found.update(reading.table["conversation_id"].to_pylist())
            certified &= reading.certificate is None or reading.certificate.certified
    except NotCertified:
        certified = False
    return found, certified


# The lines of the table.


@dataclass(frozen=True)
class Line:
    """A list of so many rows, what happens to those of a page, how it is read, what that comes to.

    `state`: the naive reader asks only for rows of that state, so others are no loss of its.
    """

    rows: int
    drift: Callable[[World, str, Iterator[str]], None]
    naive: Callable[[Simulator, str], set[str]]
    ours: Callable[[Simulator, str], tuple[set[str], bool]]
    loses: bool
    page: int = 1
    state: str | None = None


LINES = {
    "window forward, rows leave": Line(350, going_on, window_forward, scan, loses=True),
    "window backward, rows leave": Line(350, going_on, window_backward, scan, loses=False),
    "window of one page, rows leave": Line(60, going_on, window_forward, scan, loses=False),
    "list forward, rows begin": Line(50, beginning, list_forward, sweep, loses=False),
    "list of a state, rows leave": Line(
        160, closing, list_of_open_forward, sweep, loses=True, state=OPEN
    ),
    # Of page 2: then page 1 is the same when it is read once more.
    "list forward, rows are deleted": Line(50, deleting, list_forward, sweep, loses=True, page=2),
}


def lost(
    upstream: Simulator,
    line: Line,
    seed: int,
    read: Callable[[Simulator, str], set[str]],
    state: str | None = None,
) -> set[str]:
    """Read a new bot while its list drifts; return what was there all the time and is not read."""
    world, name = upstream.world, f"bot {seed}"
    (world.add_bot if line.ours is scan else world.add_chatbot)(name, line.rows)
    size = naive.PAGES[world.accounts[name].api]
    moving = _ids(world, name, line.state)[::-1][(line.page - 1) * size : line.page * size]
    Random(seed).shuffle(moving)  # noqa: S311 - the same drift each time
    ids, before = iter(moving), set(_ids(world, name, state))
    upstream.on_request = lambda _: line.drift(world, name, ids)
    found = read(upstream, name)
    upstream.on_request = None
    return before & set(_ids(world, name, state)) - found


def _ids(world: World, name: str, state: str | None = None) -> list[str]:
    """Return the conversations that are there, oldest first; only those of a state if given."""
    rows = world.accounts[name].timeline.rows()
    return [r.conversation_id for r in rows if state in (None, r.as_sent().get("state"))]


@runs_of_each
@pytest.mark.parametrize("name", LINES)
def test_a_naive_reader_loses_rows_where_a_list_moves_up(
    make_world: MakeWorld, simulate: Simulate, name: str, runs: int
) -> None:
    line, upstream = LINES[name], simulate(make_world())
    losses = [lost(upstream, line, seed, line.naive, line.state) for seed in range(runs)]
    assert sum(map(bool, losses)) == (runs if line.loses else 0)


OURS = [name for name in LINES if name != "window backward, rows leave"]


@runs_of_each
@pytest.mark.parametrize("name", OURS)
def test_convoy_loses_none(make_world: MakeWorld, simulate: Simulate, name: str, runs: int) -> None:
    """Windows are always read backward, so that there is one line less."""
    counts = _of_ours(simulate(make_world()), LINES[name], range(runs))
    assert counts == {"lost": 0, "unproved": 0}


@pytest.mark.parametrize("runs", [1, pytest.param(2, marks=pytest.mark.long)])
def test_convoy_loses_none_whatever_is_not_known_of_the_list(
    make_world: MakeWorld, simulate: Simulate, runs: int
) -> None:
    line, upstream = LINES["window forward, rows leave"], simulate(make_world())
    for number, knobs in enumerate(EVERY_WAY if runs > 1 else EVERY_WAY[::5]):
        upstream.knobs = knobs
        seeds = range(number * runs, (number + 1) * runs)
        assert _of_ours(upstream, line, seeds) == {"lost": 0, "unproved": 0}, knobs


def _of_ours(upstream: Simulator, line: Line, seeds: Iterable[int]) -> dict[str, int]:
    """Count the readings that lost rows though called complete, and those not called complete."""
    counts = {"lost": 0, "unproved": 0}

    def read(upstream: Simulator, name: str) -> set[str]:
        found, complete = line.ours(upstream, name)
        counts["unproved"] += not complete
        return found if complete else set(_ids(upstream.world, name))

    for seed in seeds:
        counts["lost"] += bool(lost(upstream, line, seed, read))
    return counts
