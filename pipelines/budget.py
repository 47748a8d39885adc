"""How many requests a key may still send, across processes."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pipelines.slots import Slots

MINUTE = 60.0


class Budget:
    """Never more than `per_minute` requests in any 60 seconds, as the server counts them.

    A token bucket would allow a full bucket and its refill within one minute. Here every
    request holds one of `per_minute` slots, and a slot is free again a minute after its
    request *ended*: whenever in between it reached the server, no minute sees it twice.

    When each ended is also written to a file, by the wall clock, so that the next process
    goes on where this one stops, or is killed. Within the process the wall clock means nothing.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        file: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._slots = Slots(file)
        self._free_at: asyncio.PriorityQueue[tuple[float, int]] = asyncio.PriorityQueue()
        self._closed_until = 0.0
        ended = self._slots.read()
        self._next_place = len(ended)
        self._unused = per_minute - self._take_over(ended, per_minute)

    def _take_over(self, ended: list[float], most: int) -> int:
        """Go on with the slots of an earlier process, the latest if it had more; count them."""
        now, wall = self._clock(), self._wall()
        # What seems to end in the future was still under way when its process died, or the
        # wall clock was set back: by now it is over, so none is waited for beyond a minute.
        ages = ((wall - at if at <= wall else 0.0, place) for place, at in enumerate(ended))
        taken = sorted(ages)[:most]
        for age, place in taken:
            self._free_at.put_nowait((now - age + MINUTE, place))
        return len(taken)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, hold it, give it back."""
        free_at, place = await self._next()
        try:
            if (wait := free_at - self._clock()) > 0:
                await asyncio.sleep(wait)
            await self.opened()
            self._slots.write(place, math.inf)
            free_at = math.inf
            yield
        finally:
            if free_at == math.inf:
                self._slots.write(place, self._wall())
                free_at = self._clock() + MINUTE
            self._free_at.put_nowait((free_at, place))

    async def _next(self) -> tuple[float, int]:
        if self._unused:
            self._unused -= 1
            self._next_place += 1
            return 0.0, self._next_place - 1
        return await self._free_at.get()

    @property
    def closed(self) -> float:
        """For how many seconds nothing may be sent, 0 when it may."""
        return max(0.0, self._closed_until - self._clock())

    async def opened(self) -> None:
        """Wait until something may be sent."""
        # Longer after waking, where the server has asked again meanwhile.
        while wait := self.closed:  # noqa: ASYNC110 - time passes, nothing happens
            await asyncio.sleep(wait)

    def close_for(self, seconds: float) -> None:
        """Send nothing for so long: the server asked for it."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)
