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
_TRIES = 5
"""Readings of a window that can't be split before it is given up."""


@dataclass
class _Attempt:
    """One reading of one window under way."""

    window: Window
    started_at: datetime
    first: Page
    pages: list[Page] = field(default_factory=list)

    def add(self, page: Page) -> Page:
        self.pages.append(page)
        return page

    @property
    def rows(self) -> Interpreted:
        return merge([page.rows for page in self.pages])


class Scan:
    """One bot's reading, from an instant on; finds out by itself what `total` means."""

    def __init__(self, ask: Ask, *, ahead: int = 8, window_rows: int = WINDOW_ROWS) -> None:
        self._ask = ask
        self._ahead = ahead
        self._window_rows = window_rows
        self._total_of_page = False

    async def read(self, start: datetime, now: datetime) -> AsyncIterator[Reading]:
        """Yield certified readings, oldest window first, until everything up to now is read.

        Raises:
            NotCertified: a window that can't be split kept changing; what came before it stands.
        """
        waiting: deque[Window | asyncio.Task[Reading | list[Window]]]
        waiting = deque([Window(milliseconds(start), milliseconds(now + _HEAD))])
        try:
            while waiting:
                self._start_ahead(waiting, milliseconds(now))
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

    def _start_ahead(
        self, waiting: deque[Window | asyncio.Task[Reading | list[Window]]], now: int
    ) -> None:
        """Start the first few windows; one that reaches past now only as the last of all.

        A conversation that chats while older windows are read turns up there.
        """
        for i, window in enumerate(list(waiting)[: self._ahead]):
            if isinstance(window, Window) and (i == 0 or window.end <= now):
                waiting[i] = asyncio.create_task(self._window(window, now))

    async def _window(self, window: Window, now: int) -> Reading | list[Window]:
        """Read a window; where it is too large or did not hold still, return its parts."""
        tries = 0
        while True:
            tries += 1
            attempt = await self._begin(window)
            if await self._fits_one_page(attempt):
                return _reading(attempt, None, "fits in one page")
            total = attempt.first.total or 0
            if window.splits and (self._total_of_page or total > 1.5 * self._window_rows):
                return _parts(window, now, ceil(total / self._window_rows))
            after = await self._read_back(attempt)
            if evidence := self._evidence(attempt, after):
                return _reading(attempt, after, evidence)
            if window.splits:
                return _parts(window, now, 2)
            if tries == _TRIES:
                message = f"the conversations of {instant(window.start)} do not hold still"
                raise NotCertified(message + "; sync again")

    async def _begin(self, window: Window) -> _Attempt:
        started_at = datetime.now(UTC)
        first = await self._ask(*window.asked, 1)
        return _Attempt(window, started_at, first, [first])

    async def _fits_one_page(self, attempt: _Attempt) -> bool:
        """Tell whether page 1 is all: then nothing could have moved past the reader."""
        first = attempt.first
        if first.total is not None and first.total > first.received:
            return False
        if first.received < LARGEST_PAGE:
            return True
        if self._total_of_page:
            return False
        # A full page whose `total` says no more: the whole window, or `total` of the page.
        second = attempt.add(await self._ask(*attempt.window.asked, 2))
        self._total_of_page = self._total_of_page or second.received > 0
        return second.received == 0

    async def _read_back(self, attempt: _Attempt) -> Page:
        """Read the last page first, and page 1 once more at the end."""
        size = max(1, attempt.first.received)
        pages = ceil((attempt.first.total or 0) / size)
        if self._total_of_page:
            pages = await self._last_page(attempt)
        for number in range(pages, 1, -1):
            attempt.add(await self._ask(*attempt.window.asked, number))
        return attempt.add(await self._ask(*attempt.window.asked, 1))

    async def _last_page(self, attempt: _Attempt) -> int:
        """Find the last page where `total` does not tell: go forward until one is empty."""
        number = 1 + len(attempt.pages[1:])
        while attempt.add(await self._ask(*attempt.window.asked, number + 1)).received:
            number += 1
        return number

    def _evidence(self, attempt: _Attempt, after: Page) -> str | None:
        """Say what proves that nothing was missed; None when nothing does."""
        found = distinct(attempt.rows)
        if not self._total_of_page:
            same = attempt.first.total == after.total == found
            return "counts before and after agree with the rows" if same else None
        # Only one millisecond is left, and `total` counts the page: rows can leave it but
        # not enter. Read forward and back, both alike: nothing left meanwhile.
        half = len(attempt.pages) // 2
        forward = merge([page.rows for page in attempt.pages[: half + 1]])
        back = merge([page.rows for page in attempt.pages[half:]])
        same = distinct(forward) == distinct(back) == found
        return "read forward and back, both alike" if same else None


def _parts(window: Window, now: int, parts: int) -> list[Window]:
    """Cut a window; at now, if now lies in it, since what comes after keeps moving."""
    if window.start < now < window.end:
        return window.split_at(now)
    return window.split(min(parts, 64))


def _reading(attempt: _Attempt, after: Page | None, evidence: str) -> Reading:
    rows = attempt.rows
    certificate = Certificate(
        kind="window",
        window_start=instant(attempt.window.start),
        window_end=instant(attempt.window.end),
        total_before=attempt.first.total,
        total_after=(after or attempt.pages[-1]).total,
        distinct_rows=distinct(rows),
        requests=len(attempt.pages),
        certified=True,
        evidence=evidence,
        started_at=attempt.started_at,
        finished_at=datetime.now(UTC),
    )
    return Reading(rows.table, rows.rejected, certificate)
