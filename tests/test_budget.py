"""The budget of a key, in a time of its own: nothing here waits."""

from __future__ import annotations

import asyncio
import math
import selectors
import tempfile
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.budget import Budget
from pipelines.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

LATENCY = st.sampled_from([0.0, 0.01, 1.0, 30.0, 59.9, 60.0, 61.0]) | st.floats(0, 200)


class _Jump(selectors.SelectSelector):
    """Lets time pass instead of waiting for it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing to do."""

    def __init__(self) -> None:
        self.jump = _Jump()
        super().__init__(self.jump)

    def time(self) -> float:
        return self.jump.now


def run(main: Coroutine[Any, Any, None], loop: VirtualLoop) -> None:
    try:
        loop.run_until_complete(main)
    finally:
        loop.close()


def most_in_a_minute(arrivals: Sequence[float]) -> int:
    """The most arrivals in any 60 seconds, the last instant left out."""
    times = sorted(arrivals)
    # A microsecond less: floats of the clock are no exact decimals.
    return max(bisect_left(times, t + 60.0 - 1e-6) - i for i, t in enumerate(times))


@given(
    per_minute=st.integers(1, 5),
    requests=st.lists(st.tuples(LATENCY, LATENCY, st.floats(0, 90)), min_size=1, max_size=25),
)
def test_no_minute_sees_more_than_the_budget_whatever_the_latencies(
    per_minute: int, requests: list[tuple[float, float, float]]
) -> None:
    """Each request reaches the server some time after it was sent, and ends some time later."""
    loop = VirtualLoop()
    budget = Budget(per_minute, loop.time)
    arrivals: list[float] = []

    async def request(to_server: float, back: float, begin: float) -> None:
        await asyncio.sleep(begin)
        async with budget.slot():
            await asyncio.sleep(to_server)
            arrivals.append(loop.time())
            await asyncio.sleep(back)

    async def everything() -> None:
        await asyncio.gather(*(request(*times) for times in requests))

    run(everything(), loop)
    assert len(arrivals) == len(requests)
    assert most_in_a_minute(arrivals) <= per_minute


@given(st.lists(st.floats(0, 100), min_size=1, max_size=10), st.data())
def test_requests_that_are_given_up_leave_the_budget_whole(
    begins: list[float], data: st.DataObject
) -> None:
    loop = VirtualLoop()
    budget = Budget(2, loop.time)
    arrivals: list[float] = []

    async def request() -> None:
        async with budget.slot():
            arrivals.append(loop.time())
            await asyncio.sleep(1)

    async def everything() -> None:
        tasks = []
        for begin in begins:
            tasks.append(asyncio.create_task(request()))
            await asyncio.sleep(begin)
            if data.draw(st.booleans()):
                tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        before = len(arrivals)
        await asyncio.gather(request(), request())
        assert len(arrivals) == before + 2

    run(everything(), loop)
    assert most_in_a_minute(arrivals) <= 2


def test_the_whole_budget_is_there_at_once_and_again_a_minute_after() -> None:
    loop = VirtualLoop()
    budget = Budget(3, loop.time)
    arrivals: list[float] = []

    async def request() -> None:
        async with budget.slot():
            arrivals.append(loop.time())

    async def everything() -> None:
        await asyncio.gather(*(request() for _ in range(9)))

    run(everything(), loop)
    assert arrivals == pytest.approx([0] * 3 + [60] * 3 + [120] * 3)


def test_nothing_is_sent_while_the_server_asked_to_wait() -> None:
    loop = VirtualLoop()
    budget = Budget(3, loop.time)
    arrivals: list[float] = []

    async def request() -> None:
        async with budget.slot():
            arrivals.append(loop.time())

    async def everything() -> None:
        budget.close_for(10)
        first = asyncio.create_task(request())
        await asyncio.sleep(5)
        budget.close_for(20)
        budget.close_for(1)  # an earlier end does not shorten a later one
        await asyncio.gather(first, request())

    run(everything(), loop)
    assert arrivals == pytest.approx([25, 25])


# Across processes: what one leaves in the file, the next goes on with.

HOUR = 3600.0


class Life:
    """Processes one after the other, each with a budget over the same file."""

    def __init__(self, file: Path) -> None:
        self.loop = VirtualLoop()
        self.sent: list[float] = []
        self.arrivals: list[float] = []
        self.wall_ahead = 1e9
        self._file = file

    def wall(self) -> float:
        return self.loop.time() + self.wall_ahead

    def budget(self, per_minute: int) -> Budget:
        return Budget(per_minute, self.loop.time, file=self._file, wall=self.wall)

    async def request(self, budget: Budget, to_server: float = 0.0, back: float = 0.0) -> None:
        async with budget.slot():
            self.sent.append(self.loop.time())
            await asyncio.sleep(to_server)
            self.arrivals.append(self.loop.time())
            await asyncio.sleep(back)

    async def requests(self, budget: Budget, count: int) -> None:
        await asyncio.gather(*(self.request(budget) for _ in range(count)))

    async def kill(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """End what is under way; the file stays as it was then."""
        held = self._file.read_bytes() if self._file.exists() else b""
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            assert found is None or isinstance(found, asyncio.CancelledError), found
        self._file.write_bytes(held)


PROCESS = st.fixed_dictionaries(
    {
        "per_minute": st.integers(1, 5),
        "requests": st.lists(st.tuples(LATENCY, LATENCY, st.floats(0, 90)), max_size=12),
        "closes": st.tuples(st.floats(0, 90), st.floats(0, 90)),
        "lives": st.floats(0, 150),
    }
)


@given(st.lists(PROCESS, min_size=1, max_size=4))
def test_no_minute_sees_more_than_the_budget_however_often_the_process_is_killed(
    processes: list[dict[str, Any]],
) -> None:
    """Whatever minute ends in the life of a process keeps to the budget that it has."""
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder) / "slots")
        allowed: list[int] = []  # for each arrival

        async def late(budget: Budget, to_server: float, back: float, begin: float) -> None:
            await asyncio.sleep(begin)
            await life.request(budget, to_server, back)

        async def close(budget: Budget, begin: float, seconds: float) -> None:
            await asyncio.sleep(begin)
            closed = life.loop.time()
            budget.close_for(seconds)
            await asyncio.sleep(seconds)
            assert not [at for at in life.sent if closed < at < closed + seconds - 1e-6]

        async def everything() -> None:
            for process in processes:
                budget = life.budget(process["per_minute"])
                tasks = [asyncio.create_task(late(budget, *r)) for r in process["requests"]]
                closing = asyncio.create_task(close(budget, *process["closes"]))
                await asyncio.sleep(process["lives"])
                await life.kill([*tasks, closing])
                allowed.extend([process["per_minute"]] * (len(life.arrivals) - len(allowed)))

        run(everything(), life.loop)
        for i, most in enumerate(allowed):
            begins = life.arrivals[i] - 60 + 1e-6
            assert sum(t > begins for t in life.arrivals[: i + 1]) <= most


def test_a_process_goes_on_with_what_the_last_one_left(tmp_path: Path) -> None:
    life = Life(tmp_path / "slots")

    async def everything() -> None:
        await life.requests(life.budget(3), 2)
        await asyncio.sleep(20)
        await life.requests(life.budget(3), 3)

    run(everything(), life.loop)
    assert life.arrivals == pytest.approx([0, 0, 20, 60, 60])


def test_what_was_under_way_at_a_kill_counts_until_the_next_process_begins(tmp_path: Path) -> None:
    life = Life(tmp_path / "slots")

    async def everything() -> None:
        task = asyncio.create_task(life.request(life.budget(1), back=HOUR))
        await asyncio.sleep(30)
        await life.kill([task])
        await life.requests(life.budget(1), 1)

    run(everything(), life.loop)
    assert life.arrivals == pytest.approx([0, 90])


def test_another_budget_than_that_of_the_last_run(tmp_path: Path) -> None:
    life = Life(tmp_path / "slots")

    async def everything() -> None:
        first = life.budget(4)
        await life.requests(first, 2)
        await asyncio.sleep(20)
        await life.requests(first, 2)
        await asyncio.sleep(10)
        await life.requests(life.budget(2), 1)  # two are known to be the latest
        await life.requests(life.budget(6), 6)  # all are known, one of them less than a minute old

    run(everything(), life.loop)
    assert life.arrivals == pytest.approx([0, 0, 20, 20, *[80] * 6, 140])


def test_slots_that_come_on_top_get_places_of_their_own(tmp_path: Path) -> None:
    life = Life(tmp_path / "slots")

    async def everything() -> None:
        await life.requests(life.budget(1), 1)
        await life.requests(life.budget(3), 2)
        await life.requests(life.budget(3), 1)

    run(everything(), life.loop)
    assert life.arrivals == pytest.approx([0, 0, 0, 60])


@pytest.mark.parametrize("jump", [-HOUR, -1.0, 1.0, HOUR])
def test_a_wall_clock_that_jumps_frees_nothing_early_here_and_blocks_no_longer_than_a_minute(
    tmp_path: Path, jump: float
) -> None:
    life = Life(tmp_path / "slots")

    async def everything() -> None:
        budget = life.budget(2)
        await life.requests(budget, 1)
        await asyncio.sleep(10)
        life.wall_ahead += jump
        await life.requests(budget, 3)
        assert life.arrivals == pytest.approx([0, 10, 60, 70])
        life.wall_ahead -= 2 * jump
        await life.requests(life.budget(2), 2)

    run(everything(), life.loop)
    assert max(life.arrivals) <= 130 + 1e-6


@pytest.mark.parametrize(
    "held",
    [b"", b"\x01", b"\xff" * 50, array("d", [math.nan, math.inf, -math.inf, -5.0, 9e99]).tobytes()],
    ids=["nothing", "a byte", "no numbers", "odd numbers"],
)
def test_a_damaged_file_blocks_no_longer_than_a_minute(tmp_path: Path, held: bytes) -> None:
    file = tmp_path / "slots"
    file.write_bytes(held)
    life = Life(file)
    run(life.requests(life.budget(3), 3), life.loop)
    assert max(life.arrivals) <= 60


def test_a_file_of_any_size_is_read_quickly(tmp_path: Path) -> None:
    file = tmp_path / "slots"
    with file.open("wb") as made:
        made.truncate(2**40)  # takes no room
    assert len(Slots(file).read()) == 100_000


def test_a_file_that_can_not_be_written_is_no_error(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "missing" / "slots", Path("/dev/full")):
        life = Life(file)
        run(life.requests(life.budget(2), 4), life.loop)
        assert life.arrivals == pytest.approx([0, 0, 60, 60])


def test_each_slot_has_its_place(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    slots.write(2, 5.0)
    slots.write(0, math.inf)
    slots.write(0, 7.0)
    assert slots.read() == [7.0, 0.0, 5.0]
    assert (tmp_path / "slots").stat().st_size == 24
