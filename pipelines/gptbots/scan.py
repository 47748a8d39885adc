"""Reads a bot's conversations completely: windows of time, each certified or read again smaller.

The list shifts while it is paged. A conversation that chats again leaves every window that
ended before now, and the rows behind it move up, towards page 1. Hence the last page is read
first: a row that moves up is read twice, never missed, whatever the order of the list. So what
was read is all that is left in the window, and perhaps more: rows that have left meanwhile.
Hence the proof: the server's count afterwards agrees with the distinct rows read, as they are
or without those that are now seen to have moved on.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from math import ceil

from pipelines.errors import NotCertified
from pipelines.gptbots.api import LARGEST_PAGE, Page
from pipelines.gptbots.attempt import Attempt
from pipelines.gptbots.server import MARGIN, Ask, Server, settled_by
from pipelines.gptbots.windows import Window, instant, milliseconds
from pipelines.reading import Reading

WINDOW_ROWS = 5_000
"""Rows aimed at in a window: more cost memory, fewer cost requests."""
HEAD = timedelta(days=1)
"""How far past now the last window reaches, for a server whose clock is ahead."""
_TRIES = 5
"""Readings of a window that can't be split before it is given up."""
_LOOKS = 3
"""Looks at what has moved on, before the window is read again smaller."""
_MOST_PARTS = 64

_Waiting = deque["Window | asyncio.Task[Reading | list[Window]]"]


def _cut_by(page: Page, window: Window) -> list[Window]:
    """Cut so that one part holds a little less than the page, if that was an end of the list."""
    times = sorted(page.times)
    if not times:
        return window.split(2)
    newest_first = page.times[0] >= page.times[-1]
    cut = times[len(times) // 10 if newest_first else -len(times) // 10]
    parts = window.split_at(cut) if times[0] < times[-1] else window.split_at(cut - 1, cut + 2)
    return parts if len(parts) > 1 else window.split(2)


def _is_first_before(cut: int, page: Page) -> bool:
    """Tell whether page 1 of a window is that of its part before a cut as well, with its total.

    So it is where the list is newest first and begins before the cut, and what was before the cut
    was already past when the page was sent: nothing has entered since.
    """
    newest_first = page.times == sorted(page.times, reverse=True)
    return newest_first and page.times[:1] < [cut] and cut <= settled_by(page)


class Scan:
    """Reads windows of one bot; `start` is where its history begins (ms).

    Windows before `settled` lie in the server's past: conversations leave them but never enter,
    which is what their proof rests on. Later ones are proved only by fitting in one page.
    """

    def __init__(self, ask: Ask, *, ahead: int = 8, window_rows: int = WINDOW_ROWS) -> None:
        self.server = Server(ask)
        self._ahead = ahead
        self._window_rows = window_rows
        self._firsts: dict[Window, Page] = {}
        self.start: int | None = None

    async def read(self, start: datetime, now: datetime) -> AsyncIterator[Reading]:
        """Yield certified readings, oldest window first, until everything up to now is read.

        Raises:
            NotCertified: a window that can't be split kept changing; what came before it stands.
        """
        window = Window(milliseconds(start), milliseconds(now + HEAD))
        async for reading in self.windows([window]):
            yield reading
        while self.server.now >= window.end:  # our clock is days behind
            window = Window(window.end, milliseconds(instant(self.server.now) + HEAD))
            async for reading in self.windows([window]):
                yield reading

    async def first(self, window: Window) -> Page:
        """Ask for page 1 ahead of reading the window, which then does not ask again."""
        page = self._firsts[window] = await self.server.page(window, 1)
        return page

    def one_page(self, window: Window, evidence: str) -> Reading:
        """Return page 1 of a window, asked for by `first`, as all there is in it."""
        first = self._firsts.pop(window)
        return self._reading(Attempt(window, 0, first, first.at), evidence)

    async def windows(self, windows: Iterable[Window]) -> AsyncIterator[Reading]:
        """Yield certified readings of windows, in their order.

        Raises:
            NotCertified: as `read`.
        """
        waiting: _Waiting = deque(windows)
        try:
            while waiting:
                self._start_ahead(waiting)
                task = waiting.popleft()
                assert isinstance(task, asyncio.Task)  # noqa: S101 - the front always runs
                result = await task
                if isinstance(result, Reading):
                    yield result
                else:
                    waiting.extendleft(reversed(result))
        finally:
            for task in waiting:
                if isinstance(task, asyncio.Task):
                    task.cancel()

    def _start_ahead(self, waiting: _Waiting) -> None:
        """Start the first few windows; one that is not settled only as the last of all.

        A conversation that chats while older windows are read turns up there.
        """
        for i, window in enumerate(list(waiting)[: self._ahead]):
            if isinstance(window, Window) and (i == 0 or window.end <= self.server.settled):
                waiting[i] = asyncio.create_task(self._window(window))

    async def _window(self, window: Window) -> Reading | list[Window]:
        """Read a window; where it is too large or did not hold still, return its parts."""
        for _ in range(_TRIES):
            settled, started_at = self.server.settled, datetime.now(UTC)
            first = self._firsts.pop(window, None) or await self.server.page(window, 1)
            attempt = Attempt(window, settled, first, started_at)
            if await self._is_one_page(attempt):
                return self._reading(attempt, "fits in one page")
            if parts := await self._parts(attempt):
                return parts
            await self._read_back(attempt)
            if evidence := await self._evidence(attempt):
                return self._reading(attempt, evidence)
            if window.splits:
                return window.split(2)
        message = f"the conversations of {instant(window.start)} do not hold still; sync again"
        raise NotCertified(message)

    def _reading(self, attempt: Attempt, evidence: str) -> Reading:
        requests = self.server.spent.pop(attempt.window, 0)
        rows = self.server.read(attempt.latest)
        is_first = attempt.window.start == self.start
        return attempt.reading(rows, evidence, requests, is_first=is_first)

    async def _is_one_page(self, attempt: Attempt) -> bool:
        """Tell whether page 1 is all there is: then nothing could have moved past the reader."""
        first = attempt.first
        if first.total is not None and first.total > first.received:
            if not first.received:
                message = f"the API counts {first.total} conversations and sends none"
                raise NotCertified(message)
            return False
        believed = first.total in (None, first.received)  # some counts are wrong
        if believed and (self.server.counts_windows or first.received < self.server.largest_page):
            return True
        return not first.received or await self._nothing_follows(attempt)

    async def _nothing_follows(self, attempt: Attempt) -> bool:
        """Ask for page 2 where `total` may count the page alone, and pages may be capped."""
        first = attempt.first
        if attempt.add(await self.server.page(attempt.window, 2)).received:
            return False
        if attempt.moving and first.received < LARGEST_PAGE:
            return True  # rows don't leave it
        # The only row of page 2 may have moved to page 1 in between.
        return attempt.add(await self.server.page(attempt.window, 1)).ids == first.ids

    async def _parts(self, attempt: Attempt) -> list[Window]:
        """Cut a window that is not settled or too large; else nothing."""
        window = attempt.window
        if not window.splits:
            return []
        margin = MARGIN // timedelta(milliseconds=1)
        for cut in (self.server.settled, self.server.settled + 2 * margin):
            # Not nearer to an end: what is settled grows with each request.
            if window.start + margin <= cut <= window.end - margin:
                parts = window.split_at(cut)
                if _is_first_before(cut, attempt.first):
                    self._firsts[parts[0]] = attempt.first
                return parts
        if attempt.moving:
            return _cut_by(attempt.first, window)
        pages, usual = await self._last_page(attempt), self._usual_pages(attempt)
        return await self._even_parts(attempt, pages, usual) if pages > 1.5 * usual else []

    def _usual_pages(self, attempt: Attempt) -> int:
        """Return how many pages a window should have; finding the last one costs requests."""
        finding = 1 if self.server.counts_windows else 2
        return ceil(finding * self._window_rows / attempt.first.received)

    async def _last_page(self, attempt: Attempt) -> int:
        if self.server.counts_windows:
            return ceil((attempt.first.total or 0) / attempt.first.received)
        if attempt.last_page is None:
            bound = await self.server.bound(attempt.window, 2 * self._usual_pages(attempt))
            attempt.last_page = await self.server.last_page(attempt.window, bound)
        return attempt.last_page

    async def _even_parts(self, attempt: Attempt, pages: int, usual: int) -> list[Window]:
        """Cut evenly between the first and the last of the rows, as far as two pages show."""
        window, last = attempt.window, await self.server.page(attempt.window, pages)
        times = sorted([*attempt.first.times, *last.times])
        parts = min(ceil(pages / usual), _MOST_PARTS)
        if not times or not window.start < times[0] < times[-1] < window.end - 1:
            return window.split(parts)
        inner = Window(times[0], times[-1] + 1)
        outer = Window(window.start, inner.start), Window(inner.end, window.end)
        return [outer[0], *inner.split(parts), outer[1]]

    async def _read_back(self, attempt: Attempt) -> None:
        """Read the last page first, and page 1 once more at the end."""
        for number in range(await self._last_page(attempt), 0, -1):
            attempt.add(await self.server.page(attempt.window, number))

    async def _evidence(self, attempt: Attempt) -> str | None:
        """Say what proves that nothing was missed; None when nothing does."""
        found, first, last = len(attempt.ids), attempt.first, attempt.pages[-1]
        if self.server.counts_windows:
            # Page 1 as well: one may have come as another went.
            if first.total == last.total == found and first.ids == last.ids:
                return "counts before and after agree with the rows"
        elif first.ids == last.ids and (await self.server.count(attempt.window, found)).agrees:
            return "the count after agrees with the rows"
        return await self._without_moved(attempt)

    async def _without_moved(self, attempt: Attempt) -> str | None:
        """Take out the rows that have chatted since the reading began, until the rest is counted.

        The count is made between two looks at those, and agrees with one of them or between.
        """
        if attempt.moving or attempt.entered:
            return None
        ids = attempt.ids
        since = Window(attempt.settled, milliseconds(attempt.first.at + HEAD))
        moved, since = await self._newest(since)
        for _ in range(_LOOKS):
            most = len(ids - moved)
            counted = (await self.server.count(attempt.window, most)).total
            seen, since = await self._newest(since)
            moved |= seen
            if counted is not None and len(ids - moved) <= counted <= most:
                return f"the count after agrees, without {len(moved & ids)} that moved on"
        return None

    async def _newest(self, since: Window) -> tuple[set[str], Window]:
        """Return the ids in a window that ends in the future, and a smaller one for the next."""
        seen, newest = set[str](), since.start
        async for page in self.server.pages(since):
            seen |= page.ids
            newest = max([newest, *page.times])
        return seen, Window(min(newest, since.end - 1), since.end)
