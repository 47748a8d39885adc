"""Reads a chatbot's conversations completely: the whole list down, then its head again.

There is no time filter and no count, and the list may be ordered by creation, so nothing short
of the whole list is enough. A walk (see `walk`) reads all rows that kept their place. What came
or jumped to the head meanwhile stands there, before all rows of the walk's chain: once one page
shows the head and a row of that chain together, everything that exists at that instant has
been read. Where the first page shows none of it, another walk goes down to where it does; its
chain then counts as well, and the head is read again.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from pipelines.errors import NotCertified
from pipelines.okchat.api import Mark
from pipelines.okchat.handover import certificate, ids, pieces
from pipelines.okchat.pages import Ask, Pages
from pipelines.okchat.passes import Passes
from pipelines.okchat.walk import CantOverlap, Walk, first_shared
from pipelines.reading import Reading

PIECE_ROWS = 25_000
"""Rows of one piece of a sweep."""
_HEADS = 20
"""Walks from the head that a sweep makes before it gives up."""


class Sweep:
    """One reading of the whole list."""

    def __init__(self, ask: Ask) -> None:
        self._pages = Pages(ask)

    async def read(self) -> AsyncIterator[Reading]:
        """Yield the sweep in pieces, least recently updated first, once all of it is read.

        Raises:
            NotCertified: the server gives the same page whatever is asked, or the list changes
                faster than it can be read.
        """
        started_at = datetime.now(UTC)
        try:
            evidence = await self._walk()
        except CantOverlap:
            evidence = await self._repeat()
        rows = self._pages.take()
        done = certificate("sweep", rows, self._pages.requests, evidence, started_at)
        whole = Reading(rows.table, rows.rejected, done, seen=ids(rows))
        for piece in pieces(whole, PIECE_ROWS):
            yield piece

    async def _walk(self) -> str:
        walk = Walk(self._pages)
        await walk.go()
        chain = walk.chain

        def joins(marks: list[Mark]) -> bool:
            return first_shared(marks, chain) is not None

        for _ in range(_HEADS):
            walk = Walk(self._pages, joins)
            await walk.go()
            chain |= walk.chain
            if walk.steps == 1:
                return "read to the end in overlapping pages; then the head, which joins them"
        raise NotCertified("the head of the list changes faster than it can be read")

    async def _repeat(self) -> str:
        """Read a list whose pages can't overlap."""
        passes = await Passes(self._pages).go()
        return f"pages did not overlap; read {passes} times, the last brought nothing more"
