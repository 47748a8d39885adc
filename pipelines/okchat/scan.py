"""Reads a chatbot's conversations completely: the whole list forward, then its head again.

There is no time filter and no count, and the list is ordered by creation, not by update, so
nothing short of the whole list is enough. A page shorter than asked proves nothing, since the
server may cap pages: the list ends at an empty page or at one that brings nothing new.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pyarrow as pa

from pipelines.interpret import Interpreted
from pipelines.okchat.api import Page
from pipelines.reading import Certificate, Reading, distinct, merge

Ask = Callable[[int], Awaitable[Page]]

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
        """Yield the sweep in pieces, least recently updated first, once all of it is read."""
        started_at = datetime.now(UTC)
        await self._forward()
        await self._forward()  # the head again: what began meanwhile stands there
        rows = merge(self._pages)
        certificate = self._certificate(rows, started_at)
        table = rows.table.sort_by("last_activity_at")
        pieces = [table.slice(i, PIECE_ROWS) for i in range(0, len(table), PIECE_ROWS)]
        for piece in pieces[:-1]:
            yield Reading(piece, [], None)
        yield Reading(pieces[-1] if pieces else table, rows.rejected, certificate)

    async def _forward(self) -> None:
        """Read pages from the first on, until one brings nothing new."""
        number = 1
        while self._add(await self._ask(number)):
            number += 1

    def _add(self, page: Page) -> bool:
        """Keep a page; tell whether it brought anything new."""
        self._requests += 1
        self._pages.append(page.rows)
        ids: pa.Array = page.rows.table["conversation_id"]
        found = {*ids.to_pylist(), *(row.raw for row in page.rows.rejected)}
        news = found - self._seen
        self._seen |= found
        return bool(news)

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
