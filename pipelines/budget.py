"""How many requests a key may still send."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

MINUTE = 60.0


class Budget:
    """Never more than `per_minute` requests in any 60 seconds, as the server counts them.

    A token bucket would allow a full bucket and its refill within one minute. Here every
    request holds one of `per_minute` slots, and a slot is free again a minute after its
    request *ended*: whenever in between it reached the server, no minute sees it twice.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free_at: asyncio.Queue[float] = asyncio.Queue()
        self._unused = per_minute
        self._closed_until = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, hold it, give it back."""
        free_at = await self._next()
        try:
            # Again after waking: the server may have asked for more silence meanwhile.
            while (wait := max(free_at, self._closed_until) - self._clock()) > 0:  # noqa: ASYNC110 - time passes, nothing happens
                await asyncio.sleep(wait)
            free_at = 0.0
            yield
        finally:
            self._free_at.put_nowait(free_at or self._clock() + MINUTE)

    async def _next(self) -> float:
        if self._unused:
            self._unused -= 1
            return 0.0
        return await self._free_at.get()

    def close_for(self, seconds: float) -> None:
        """Send nothing for so long: the server asked for it."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)
