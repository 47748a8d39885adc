"""Reads a bot's conversations completely: windows of time, each certified or read again smaller.

The list shifts while it is paged. A conversation that chats again leaves every window that
ended before now, and the rows behind it move up, towards page 1. Hence the last page is read
first: a row that moves up is read twice, never missed, whatever the order of the list. And
hence the proof: the server's count before and after, and the distinct rows, must agree.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil

from pipelines.errors import NotCertified
from pipelines.gptbots.api import LARGEST_PAGE, Page
from pipelines.gptbots.windows import Window, instant, milliseconds
from pipelines.interpret import Interpreted
from pipelines.reading import Certificate, Reading, distinct, merge

Ask = Callable[[int, int, int], Awaitable[Page]]
"""Ask for (start, end, page number)."""

WINDOW_ROWS = 5_000
"""Rows aimed at in a window: more cost memory, fewer cost requests."""
_HEAD = timedelta(days=1)
"""How far past now the last window reaches, for a server whose clock is ahead."""
_MARGIN = timedelta(minutes=5)
"""How far the server's clock may be behind ours without our taking its present for its past."""
_TRIES = 5
"""Readings of a window that can't be split before it is given up."""
_MOST_PARTS = 64

_Waiting = deque["Window | asyncio.Task[Reading | list[Window]]"]


@dataclass
class _Attempt:
    """One reading of one window under way; `moving` when it was not settled at its start."""

    window: Window
    moving: bool
    started_at: datetime
    first: Page
    pages: list[Page] = field(init=False)

    def __post_init__(self) -> None:
        self.pages = [self.first]

    def add(self, page: Page) -> Page:
        self.pages.append(page)
        return page

    @property
    def rows(self) -> Interpreted:
        return merge([page.rows for page in self.pages])


class Scan:
    """One bot's reading, from an instant on; finds out by itself what `total` means.

    Windows before `_settled` lie in the server's past: conversations leave them but never enter,
    which is what their proof rests on. Later ones are proved only by fitting in one page.
    """

    def __init__(self, ask: Ask, *, ahead: int = 8, window_rows: int = WINDOW_ROWS) -> None:
        self._ask = ask
        self._ahead = ahead
        self._window_rows = window_rows
        self._settled = 0
        self._server_now = 0
        self._total_of_window = False
        self._page_rows: int | None = None

    async def read(self, start: datetime, now: datetime) -> AsyncIterator[Reading]:
        """Yield certified readings, oldest window first, until everything up to now is read.

        Raises:
            NotCertified: a window that can't be split kept changing; what came before it stands.
        """
        end = milliseconds(now + _HEAD)
        waiting: _Waiting = deque([Window(milliseconds(start), end)])
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
                if not waiting and self._server_now >= end:  # our clock is days behind
                    waiting.append(
                        Window(end, end := milliseconds(instant(self._server_now) + _HEAD))
                    )
        finally:
            for task in waiting:
                if isinstance(task, asyncio.Task):
                    task.cancel()

    def _start_ahead(self, waiting: _Waiting) -> None:
        """Start the first few windows; one that is not settled only as the last of all.

        A conversation that chats while older windows are read turns up there.
        """
        for i, window in enumerate(list(waiting)[: self._ahead]):
            if isinstance(window, Window) and (i == 0 or window.end <= self._settled):
                waiting[i] = asyncio.create_task(self._window(window))

    async def _window(self, window: Window) -> Reading | list[Window]:
        """Read a window; where it is too large or did not hold still, return its parts."""
        for _ in range(_TRIES):
            moving, started_at = window.end > self._settled, datetime.now(UTC)
            first = await self._page(window, 1)
            attempt = _Attempt(window, moving, started_at, first)
            if await self._is_one_page(attempt):
                return _reading(attempt, "fits in one page")
            if parts := self._parts(attempt):
                return parts
            await self._read_back(attempt)
            if evidence := self._evidence(attempt):
                return _reading(attempt, evidence)
            if window.splits:
                return window.split(2)
        message = f"the conversations of {instant(window.start)} do not hold still; sync again"
        raise NotCertified(message)

    async def _page(self, window: Window, number: int) -> Page:
        """Ask for a page and learn from it how the server counts and what time it is there."""
        page = await self._ask(*window.asked, number)
        server_at = page.server_at or page.at
        self._server_now = max(self._server_now, milliseconds(server_at))
        self._settled = max(self._settled, milliseconds(min(page.at, server_at) - _MARGIN))
        if page.total is not None and page.total > page.received > 0:
            self._total_of_window = True
        return page

    async def _is_one_page(self, attempt: _Attempt) -> bool:
        """Tell whether page 1 is all there is: then nothing could have moved past the reader."""
        first = attempt.first
        if first.total is not None and first.total > first.received:
            if not first.received:
                message = f"the API counts {first.total} conversations and sends none"
                raise NotCertified(message)
            return False
        if self._total_of_window or not first.received:
            return True
        if self._page_rows is not None:
            return first.received < self._page_rows
        return await self._nothing_follows(attempt)

    async def _nothing_follows(self, attempt: _Attempt) -> bool:
        """Ask for page 2 where `total` may count the page alone, and pages may be capped."""
        first = attempt.first
        second = attempt.add(await self._page(attempt.window, 2))
        if second.received:
            self._page_rows = first.received
            return False
        if first.received < LARGEST_PAGE:
            return True
        # The only row of page 2 may have moved to page 1 in between.
        return attempt.add(await self._page(attempt.window, 1)).ids == first.ids

    def _parts(self, attempt: _Attempt) -> list[Window]:
        """Cut a window that is not settled, too large or can't be counted; else nothing."""
        window, total = attempt.window, attempt.first.total or 0
        if not window.splits:
            return []
        margin = _MARGIN // timedelta(milliseconds=1)
        for cut in (self._settled, self._settled + 2 * margin):
            # Not nearer to an end: what is settled grows with each request.
            if window.start + margin <= cut <= window.end - margin:
                return window.split_at(cut)
        if attempt.moving or not self._total_of_window:
            return window.split(2)
        if total > 1.5 * self._window_rows:
            return window.split(min(ceil(total / self._window_rows), _MOST_PARTS))
        return []

    async def _read_back(self, attempt: _Attempt) -> None:
        """Read the last page first, and page 1 once more at the end."""
        pages = ceil((attempt.first.total or 0) / attempt.first.received)
        if not self._total_of_window:
            pages = await self._last_page(attempt)
        for number in range(pages, 0, -1):
            attempt.add(await self._page(attempt.window, number))

    async def _last_page(self, attempt: _Attempt) -> int:
        """Find the last page where `total` does not tell: go forward until one is empty."""
        number = len(attempt.pages)
        while attempt.add(await self._page(attempt.window, number + 1)).received:
            number += 1
        return number

    def _evidence(self, attempt: _Attempt) -> str | None:
        """Say what proves that nothing was missed; None when nothing does."""
        found, first, last = distinct(attempt.rows), attempt.first, attempt.pages[-1]
        if first.ids != last.ids:  # one came as another went: the counts alone would not tell
            return None
        if self._total_of_window:
            same = first.total == last.total == found
            return "counts before and after agree with the rows" if same else None
        # Only one millisecond is left, and `total` counts the page: rows can leave it but
        # not enter. Read forward and back, both alike: nothing left meanwhile.
        half = len(attempt.pages) // 2
        forward = merge([page.rows for page in attempt.pages[: half + 1]])
        back = merge([page.rows for page in attempt.pages[half:]])
        same = distinct(forward) == distinct(back) == found
        return "read forward and back, both alike" if same else None


def _reading(attempt: _Attempt, evidence: str) -> Reading:
    rows = attempt.rows
    certificate = Certificate(
        kind="window",
        window_start=instant(attempt.window.start),
        window_end=instant(attempt.window.end),
        total_before=attempt.first.total,
        total_after=next(
            p.total for p in reversed(attempt.pages) if p.received or p is attempt.first
        ),
        distinct_rows=distinct(rows),
        requests=len(attempt.pages),
        certified=True,
        evidence=evidence,
        started_at=attempt.started_at,
        finished_at=datetime.now(UTC),
    )
    return Reading(rows.table, rows.rejected, certificate)
