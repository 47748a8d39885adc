"""The budget of a key, in a time of its own: nothing here waits."""

from __future__ import annotations

import asyncio
import selectors
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.budget import Budget

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
