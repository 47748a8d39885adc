"""One conversation's messages, page by page, and what shows that none of them is missing.

How the APIs page them, in which order, and whether `total` counts the page or all of them is not
known; a conversation may go on meanwhile. So a page in itself proves nothing, unless it is short.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pipelines.interpret import Interpreted

ATTEMPTS = 3
"""Readings of one conversation before it is left for the next sync."""
_NO_CAP = 10
"""Fewer messages than any page size that a server may cap at."""


@dataclass(frozen=True)
class Page:
    """One page: its rows (schema of `messages`), and what `total` said."""

    rows: Interpreted
    total: int | None = None

    @property
    def received(self) -> int:
        """How many messages were sent."""
        return len(self.rows.table) + len(self.rows.rejected)

    @property
    def ids(self) -> set[str]:
        """The messages on it; one that can't be read is all that was received of it."""
        readable = self.rows.table["message_id"].to_pylist()
        return {*readable, *(row.raw for row in self.rows.rejected)}


Ask = Callable[[str, int], Awaitable[Page]]
"""Ask for a page (from 1) of the messages of a conversation; one after the last is empty."""


@dataclass(frozen=True)
class Transcript:
    """What was read of a conversation; without evidence it may not be all."""

    rows: list[Interpreted]
    messages: int
    requests: int
    evidence: str | None


@dataclass
class _Attempt:
    """The pages of one reading so far."""

    pages: list[Page] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    ended: bool = False

    def add(self, page: Page) -> None:
        """Keep a page; one that brings nothing new is the last."""
        self.ended = not page.ids - self.ids
        self.pages.append(page)
        self.ids |= page.ids

    @property
    def totals(self) -> set[int]:
        """What the server counted, page for page."""
        return {page.total for page in self.pages if page.total is not None}


class Transcripts:
    """Reads the conversations of one bot; what is learnt of its server saves requests."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._counts_all = False
        self._ignores_pages = False

    async def read(self, conversation_id: str) -> Transcript:
        """Read a conversation until all of it is shown to be there, or a few times."""
        attempts: list[_Attempt] = []
        evidence: str | None = None
        while not evidence and len(attempts) < ATTEMPTS:
            before = attempts[-1] if attempts else None
            attempts.append(found := await self._attempt(conversation_id))
            evidence = self._evidence(found)
            if not evidence and before and (before.ids, before.totals) == (found.ids, found.totals):
                evidence = "read twice to its end, alike"
        pages = [page for attempt in attempts for page in attempt.pages]
        ids = set[str]().union(*(attempt.ids for attempt in attempts))
        return Transcript([page.rows for page in pages], len(ids), len(pages), evidence)

    async def _attempt(self, conversation_id: str) -> _Attempt:
        found = _Attempt()
        while not (found.ended or (found.pages and self._evidence(found))):
            page = await self._ask(conversation_id, len(found.pages) + 1)
            found.add(page)
            self._learn(found)
        return found

    def _learn(self, found: _Attempt) -> None:
        *before, last = found.pages
        self._counts_all |= (last.total or 0) > last.received
        self._ignores_pages |= bool(last.received and before and last.ids == before[-1].ids)

    def _evidence(self, found: _Attempt) -> str | None:
        """Tell how it is known that these are all messages; None while it is not."""
        first = found.pages[0]
        if self._counts_all and found.totals:
            counted = found.totals == {len(found.ids)}
            return "as many as the API counts" if counted else None
        if len(found.pages) == 1 and first.received < _NO_CAP:
            return "one short page"
        if self._ignores_pages:
            return "the API gives all of them at once"
        return "read until nothing new came" if found.ended else None
