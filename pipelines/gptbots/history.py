"""A bot's whole history: the server's count of it, and where that differs from what is known.

One request counts everything since the start date. Where the count is not what is known, the
history is halved until the windows are found that differ, and those are read again.
"""

from bisect import bisect_left
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import log2

from pipelines.errors import NothingThere
from pipelines.gptbots.api import LARGEST_PAGE, Page
from pipelines.gptbots.scan import HEAD, Scan
from pipelines.gptbots.windows import Window, instant, milliseconds
from pipelines.reading import Certificate, Reading

NOTHING = (
    "the API answers with no conversation at all, though {} are known; nothing is marked as "
    "deleted: check the key, or remove the bot if it was emptied"
)
_GAP = 3
"""Milliseconds between two conversations so that a cut there leaves both off its ends."""


@dataclass(frozen=True)
class Expected:
    """What is known of a bot before it is read.

    Attributes:
        counts: live conversations since the start date, by bot's id, of all bots.
        nameless: those that were read under this bot's name and bear no id.
        bot_ids: ids that conversations under this bot's name bear.
        recent: those since the lookback, id to activity (ms); None if more than a page.
        unreadable: conversations counted last time that could not be read; None the first time.
        counted_windows: whether `total` counted windows in earlier runs.
        largest_page: most rows of a page in earlier runs.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    nameless: int = 0
    bot_ids: Collection[str] = ()
    recent: Mapping[str, int] | None = None
    unreadable: int | None = None
    counted_windows: bool = False
    largest_page: int = 0

    def of(self, bot_ids: Collection[str]) -> int:
        """Count the live conversations of a bot; those without an id where none bears any."""
        if not (bot_ids or self.bot_ids):
            return self.nameless
        return sum(self.counts.get(bot_id, 0) for bot_id in bot_ids or self.bot_ids)

    def shows(self, page: Page) -> bool:
        """Tell whether a page holds the recent conversations and nothing else."""
        if page.total not in (None, page.received) or page.alone.rejected:
            return False
        ids = page.alone.table["conversation_id"].to_pylist()
        return dict(zip(ids, page.times, strict=True)) == self.recent


class History:
    """Everything of a bot since the start date.

    `counted` is how many conversations the server last said or showed to have, None if unknown.
    """

    def __init__(self, scan: Scan, since: datetime, now: datetime) -> None:
        self._scan = scan
        self._server = scan.server
        self._now = now
        self._whole = Window(milliseconds(since), milliseconds(now + HEAD))
        scan.start = self._whole.start
        self.counted: int | None = None
        self._began = 0

    async def read(self, start: datetime, expected: Expected) -> AsyncIterator[Reading]:
        """Yield what is new since an instant; where all is as known, with two requests at most.

        Raises:
            NotCertified: see `Scan.read`.
        """
        self._remember(expected)
        recent = Window(milliseconds(start), self._whole.end)
        if self.known(expected) < LARGEST_PAGE and not expected.counted_windows:
            recent = self._whole  # a page: reading all costs no more than reading and counting
        first = await self._scan.first(recent)
        self._began = milliseconds(start) if self.known(expected) else self._server.settled
        if recent != self._whole and expected.shows(first):
            known = self.known(expected) + (expected.unreadable or 0)
            count = await self._server.count(self._whole, known, above=first.received)
            if count.agrees:
                self.counted = known
                yield self._scan.one_page(recent, "shows what is known; all history is counted")
                return
        readings = 0
        async for reading in self._scan.read(instant(recent.start), self._now):
            yield reading
            readings += 1
            certificate = reading.certificate
            if certificate and recent == self._whole:
                self.counted = certificate.distinct_rows if readings == 1 else None

    def _remember(self, expected: Expected) -> None:
        self._server.counted_windows = expected.counted_windows
        self._server.largest_before = expected.largest_page

    @property
    def bot_ids(self) -> Collection[str]:
        """The ids that the bot's conversations bear, as far as any was seen."""
        return self._server.bot_ids

    def known(self, expected: Expected) -> int:
        """Count what is known of this bot: not what an earlier one of its name has left."""
        return expected.of(self.bot_ids)

    async def agrees(self, expected: Expected, more: int, gone: Collection[str] = ()) -> bool:
        """Tell whether the server has as many conversations as are known, and some more.

        None of those that are gone may have chatted on meanwhile while others really went.

        Raises:
            NothingThere: it answers with none at all, though some are known.
        """
        self._remember(expected)
        known = self.known(expected) + more
        if self.counted != known:
            await self._count(known)
        if self.counted != (known_now := self.known(expected) + more) != known:
            await self._count(known_now)  # the answer showed that the bot is another one
        return self.counted == known_now and not (gone and await self._moved(gone))

    async def _moved(self, gone: Collection[str]) -> bool:
        """Tell whether any of these stands among the newest."""
        newest = Window(min(self._began, self._whole.end - 1), self._whole.end)
        async for page in self._server.pages(newest):
            if not page.ids.isdisjoint(gone):
                self.counted = None
                return True
        return False

    async def _count(self, known: int) -> None:
        count = await self._server.count(self._whole, known)
        self.counted = known if count.agrees else count.total
        if not count.agrees and not (count.total and self.bot_ids):
            page = await self._server.page(self._whole, 1, 1)
            if not page.received:
                raise NothingThere(NOTHING.format(known))
            self.counted = page.total if self._server.counts_windows else None

    async def differing(
        self, times: Sequence[int], *, thorough: bool = False
    ) -> AsyncIterator[Reading]:
        """Yield readings of the windows whose counts differ from what is known; count again.

        Args:
            times: activity (ms) of all that is known, ascending.
            thorough: compare ever smaller windows even where the whole agrees.
        """
        known = _Known(times)
        if thorough:
            windows = await self._differing_parts(known, known.octaves(self._whole))
        else:
            windows = await self._narrow(known, self._whole, self.counted)
        async for reading in self._scan.windows(windows):
            yield reading
        if windows:
            page = await self._server.page(self._whole, 1, 1)
            self.counted = page.total if self._server.counts_windows else None

    async def _narrow(self, known: "_Known", window: Window, counted: int | None) -> list[Window]:
        """Return the smallest parts of a window that are worth reading alone."""
        here = known.count(window)
        if max(here, counted or 0) <= LARGEST_PAGE or _mostly_differs(here, counted):
            return [window]
        parts = known.halves(window)
        return await self._differing_parts(known, parts) if len(parts) > 1 else [window]

    async def _differing_parts(self, known: "_Known", parts: Sequence[Window]) -> list[Window]:
        found = []
        for part in parts:
            count = await self._server.count(part, known.count(part))
            if not count.agrees:
                found += await self._narrow(known, part, count.total)
        return found

    def certificate(self, known: int, *, certified: bool) -> Certificate:
        """Return how the count of all history compares with the conversations known."""
        told = self._server.counts_windows
        counted = "another number" if self.counted is None else f"{self.counted}"
        evidence = f"the server {'counts' if told else 'lists'} {counted}, known are {known}"
        return Certificate(
            kind="history",
            window_start=instant(self._whole.start),
            window_end=instant(self._whole.end),
            total_before=self.counted if told else None,
            total_after=self.counted,
            distinct_rows=known,
            requests=self._server.spent.pop(self._whole, 0),
            certified=certified,
            evidence=evidence,
            started_at=self._now,
            finished_at=datetime.now(UTC),
        )


def _mostly_differs(known: int, counted: int | None) -> bool:
    """Tell whether reading the window costs less than finding what differs in it."""
    if not known:
        return True
    if counted is None:
        return False
    pages = max(known, counted) / LARGEST_PAGE
    return abs(counted - known) * 2 * log2(pages) >= pages


class _Known:
    """Instants of known conversations (ms, ascending): counted and cut."""

    def __init__(self, times: Sequence[int]) -> None:
        self._times = times

    def count(self, window: Window) -> int:
        first, last = self._span(window)
        return last - first

    def halves(self, window: Window) -> list[Window]:
        """Cut near the middle of the known, or of the time where too few are known."""
        first, last = self._span(window)
        cut = self._gap(first, last, (first + last) // 2)
        return window.split_at(cut) if cut else [window]

    def octaves(self, window: Window) -> list[Window]:
        """Cut off the older half, the older half of the rest, and so on, down to one page."""
        first, last = self._span(window)
        cuts = []
        while last - first > LARGEST_PAGE and (cut := self._gap(first, last, (first + last) // 2)):
            cuts.append(cut)
            first = bisect_left(self._times, cut)
        return window.split_at(*cuts)

    def _span(self, window: Window) -> tuple[int, int]:
        return bisect_left(self._times, window.start), bisect_left(self._times, window.end)

    def _gap(self, first: int, last: int, near: int) -> int | None:
        """Return an instant next to a place with no conversation on it or just before."""
        for far in range(last - first):
            for i in (near - far, near + far):
                if first < i < last and self._times[i] - self._times[i - 1] >= _GAP:
                    return self._times[i] - 1
        return None
