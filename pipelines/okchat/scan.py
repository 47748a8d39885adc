"""Reads a chatbot's conversations completely: the whole list forward, then its head again.

There is no time filter and no count, and the list is ordered by creation, not by update, so
nothing short of the whole list is enough. A page shorter than asked proves nothing, since the
server may cap pages: the list ends at an empty page, or where it repeats more rows than began
at its head meanwhile (a server that repeats its last page).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

from pipelines.errors import NotCertified
from pipelines.interpret import Interpreted
from pipelines.okchat.api import Page
from pipelines.reading import Certificate, Reading, distinct, merge

Ask = Callable[[int, int | None], Awaitable[Page]]
"""Ask for (page number, page size or the usual one)."""

PIECE_ROWS = 25_000
"""Rows of one piece of a sweep."""


class Sweep:
    """One reading of the whole list."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._pages: list[Interpreted] = []
        self._seen: set[str] = set()
        self._requests = 0

    async def read(self) -> AsyncIterator[Reading]:
        """Yield the sweep in pieces, least recently updated first, once all of it is read.

        Raises:
            NotCertified: the server gives the same page whatever is asked.
        """
        started_at = datetime.now(UTC)
        await self._forward()
        await self._head()  # what began meanwhile stands there
        rows = merge(self._pages)
        certificate = self._certificate(rows, started_at)
        table = rows.table.sort_by("last_activity_at")
        pieces = [table.slice(i, PIECE_ROWS) for i in range(0, len(table), PIECE_ROWS)]
        for piece in pieces[:-1]:
            yield Reading(piece, [], None)
        yield Reading(pieces[-1] if pieces else table, rows.rejected, certificate)

    async def _forward(self) -> None:
        """Read pages from the first on, to the end of the list."""
        number, began, repeated = 1, 0, 0
        while found := await self._page(number):
            if not self._news(found):
                began += await self._head()
                repeated += len(found)
                if repeated > began:
                    await self._try_paging(found)
                    return
            number += 1

    async def _head(self) -> int:
        """Read pages from the first on until one brings nothing new; count what is new."""
        number, began = 1, 0
        while news := self._news(await self._page(number)):
            began += news
            number += 1
        return began

    async def _try_paging(self, repeated: set[str]) -> None:
        """Let two pages of one row show that a page that came again was the last, not the only."""
        if len(repeated) > 1 and await self._page(1, 1) & await self._page(2, 1):
            message = "page 2 is page 1 again; set page_param and limit_param as the API names them"
            raise NotCertified(message)

    async def _page(self, number: int, size: int | None = None) -> set[str]:
        """Read a page and keep it; return what identifies its rows."""
        page = await self._ask(number, size)
        self._requests += 1
        self._pages.append(page.rows)
        ids: list[str] = page.rows.table["conversation_id"].to_pylist()
        return {*ids, *(row.raw for row in page.rows.rejected)}

    def _news(self, found: set[str]) -> int:
        """Count what was not seen before."""
        news = found - self._seen
        self._seen |= found
        return len(news)

    def _certificate(self, rows: Interpreted, started_at: datetime) -> Certificate:
        return Certificate(
            kind="sweep",
            window_start=None,
            window_end=None,
            total_before=None,
            total_after=None,
            distinct_rows=distinct(rows),
            requests=self._requests,
            certified=True,
            evidence="read to the end; the head again brought nothing new",
            started_at=started_at,
            finished_at=datetime.now(UTC),
        )
