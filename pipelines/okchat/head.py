"""Reads what is new between sweeps: the head of the list, and what is open one by one."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime

from pipelines.interpret import merge
from pipelines.okchat.api import Mark, Page
from pipelines.okchat.handover import certificate, ids, pieces
from pipelines.okchat.lookup import Lookup, One
from pipelines.okchat.pages import Ask, Pages
from pipelines.okchat.passes import Passes
from pipelines.okchat.walk import CantOverlap, Walk
from pipelines.reading import Reading

PIECE_ROWS = 25_000
"""Rows of one piece of a reading."""


class Head:
    """One reading of the head of the list and of the conversations that may have gone on.

    It finds what began. A conversation that is neither new nor among those asked for may have
    changed or gone all the same: only a sweep tells.
    """

    def __init__(self, ask: Ask, one: One, at_once: int = 8) -> None:
        self._ask = ask
        self._pages = Pages(ask)
        self._lookup = Lookup(one, self._alive, at_once)

    async def read(self, known: Collection[str], open_ids: Sequence[str]) -> AsyncIterator[Reading]:
        """Read down to a page that brings only known ids, then `open_ids` not seen there.

        Raises:
            NotCertified: the server gives the same page whatever is asked, or the list changes
                faster than it can be read.
        """
        started_at = datetime.now(UTC)
        down = await self._down(frozenset(known))
        listed = self._pages.take()
        seen = frozenset(ids(listed).to_pylist())
        found = await self._lookup.ask([name for name in open_ids if name not in seen])
        rows = merge([listed, found.rows])
        requests = self._pages.requests + found.requests
        evidence = f"{down}; the open ones {found.evidence}"
        done = certificate("head", rows, requests, evidence, started_at)
        whole = Reading(rows.table, rows.rejected, done, gone=tuple(found.gone))
        for piece in pieces(whole, PIECE_ROWS):
            yield piece

    async def _down(self, known: frozenset[str]) -> str:
        def is_known(marks: list[Mark]) -> bool:
            return all(row in known for row, _ in marks)

        try:
            await Walk(self._pages, is_known).go()
        except CantOverlap:
            passes = await Passes(self._pages, is_known).go()
            return f"pages did not overlap; down to a page of known ones {passes} times"
        return "down to a page of known ones in overlapping pages"

    async def _alive(self) -> Page:
        return await self._ask(1, 1)
