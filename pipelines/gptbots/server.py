"""What a GPTBots server shows of itself while it is read: how it counts, pages and keeps time.

Nothing of it is configured. `total` may count a window or only its page, pages may be capped,
its clock may be off: each answer is looked at for what it proves.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Protocol

from pipelines.gptbots.api import LARGEST_PAGE, Page
from pipelines.gptbots.rows import interpret_pages
from pipelines.gptbots.windows import Window, milliseconds
from pipelines.interpret import Interpreted, owned

MARGIN = timedelta(minutes=5)
"""How far the server's clock may be behind ours without our taking its present for its past."""


class Ask(Protocol):
    """Ask for a page (from 1) of the conversations between two epoch milliseconds."""

    async def __call__(self, start: int, end: int, number: int, size: int = LARGEST_PAGE) -> Page:
        """Return the page; one after the last is empty."""


@dataclass(frozen=True)
class Count:
    """Whether a window holds as many conversations as expected, and how many if that is told."""

    agrees: bool
    total: int | None


class Server:
    """Asks for pages and learns from each.

    Attributes:
        counted_windows: whether `total` counted windows in an earlier run: a hint, no more.
        largest_before: most rows of a page in earlier runs.
        settled: instant (ms) up to which the server's time is past for certain.
        now: its clock (ms), as far as seen.
        counts_windows: whether `total` was seen to count more than the page.
        largest_page: most rows of a page so far; a shorter page was not capped.
        bot_ids: what the conversations bear.
        spent: requests for each window.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.counted_windows = False
        self.largest_before = 0
        self.settled = 0
        self.now = 0
        self.counts_windows = False
        self.largest_page = 0
        self.bot_ids: set[str] = set()
        self.spent: Counter[Window] = Counter()

    async def page(self, window: Window, number: int, size: int = LARGEST_PAGE) -> Page:
        """Ask for a page of a window."""
        page = await self._ask(*window.asked, number, size)
        server_at = page.server_at or page.at
        self.now = max(self.now, milliseconds(server_at))
        self.settled = max(self.settled, settled_by(page))
        self.counts_windows |= page.total is not None and page.total > page.received
        self.largest_page = max(self.largest_page, page.received)
        self.spent[window] += 1
        self.bot_ids |= page.bot_ids
        return page

    def read(self, pages: Sequence[Page]) -> Interpreted:
        """Read the rows of pages; those that don't say whose they are belong to the only bot."""
        rows = interpret_pages(pages, pages[0].bot)
        return owned(rows, *self.bot_ids) if len(self.bot_ids) == 1 else rows  # one key, one bot

    async def pages(self, window: Window) -> AsyncIterator[Page]:
        """Ask for one page after the other, to the end of a window that is not too large."""
        number, rows = 1, 0
        while (page := await self.page(window, number)).received:
            yield page
            number, rows = number + 1, rows + page.received
            if self.counts_windows and rows >= (page.total or 0):
                return

    async def count(self, window: Window, expected: int, above: int = 0) -> Count:
        """Find out with one request whether a window holds so many conversations.

        Where `total` tells nothing, the page is asked for on which the last of them has to be,
        and after it an empty place; in pages of a size that was seen not to be capped. With
        `above`, that page is to hold more rows than so many: no place may do that.
        """
        if self.counts_windows or self.counted_windows:
            told = self._told(await self.page(window, 1, 1), expected)
            if told:
                return told
        place = place_of_last(expected, above, max(self.largest_page, self.largest_before, 3))
        if place is None:
            return Count(agrees=False, total=None)
        number, size = place
        page = await self.page(window, number, size)
        return self._told(page, expected) or _shown(page, number, size, expected)

    def _told(self, page: Page, expected: int) -> Count | None:
        return Count(page.total == expected, page.total) if self.counts_windows else None

    async def last_page(self, window: Window, most: int) -> int:
        """Find the last page that holds rows, by halving, where `most` pages hold all."""
        low, high = 1, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            if (await self.page(window, middle)).received:
                low = middle
            else:
                high = middle
        return low

    async def bound(self, window: Window, least: int) -> int:
        """Return a number of pages, doubled from `least` until no page comes after it."""
        while (await self.page(window, least + 1)).received:
            least *= 2
        return least


def settled_by(page: Page) -> int:
    """Return the instant (ms) up to which the server's time was past when it sent a page."""
    return milliseconds(min(page.at, page.server_at or page.at) - MARGIN)


def _shown(page: Page, number: int, size: int, expected: int) -> Count:
    """Count by where the list ends: a full page may be followed, an empty one follow another."""
    total = (number - 1) * size + page.received
    shown = 0 < page.received < size or (number == 1 and not page.received)
    return Count(shown and total == expected, total if shown else None)


def place_of_last(rows: int, above: int, largest: int) -> tuple[int, int] | None:
    """Return (page, page size) so that the last of so many rows is in the middle of its page.

    Up to it, its page holds more than `above` rows; None where no page size up to `largest`
    does that.
    """
    if not rows:
        return None if above else (1, 2)
    sizes = [size for size in range(above + 2, largest + 1) if rows % size > above]
    best = max(sizes, key=lambda size: min(rows % size - above, size - rows % size), default=None)
    return (ceil(rows / best), best) if best else None
