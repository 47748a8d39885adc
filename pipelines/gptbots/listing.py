"""One list of GPTBots' books, page by page, and what proves that none of its rows is missing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipelines import errors, values
from pipelines.interpret import Interpreted, Rejected

ATTEMPTS = 3
"""Readings of a list before it is given up: its order may shift from page to page."""
_NO_CAP = 10
"""Fewer rows than any page size that a server may cap at."""
_CONFLICT = "another row of the same key says something else"


@dataclass(frozen=True)
class Page:
    """One page: its rows, how many were received, what `total` said."""

    rows: Interpreted
    received: int
    total: int | None

    @property
    def shown(self) -> set[object]:
        """What its rows say, whenever that was; rejected rows among them."""
        readable = self.rows.table.drop_columns(["observed_at"]).to_pylist()
        return {*(tuple(row.values()) for row in readable), *(r.raw for r in self.rows.rejected)}


Ask = Callable[[int], Awaitable[Page]]


@dataclass
class Listing:
    """The pages of a list so far; a row that came twice is one.

    Attributes:
        counts_windows: the server's `total` is known to count more than the page.
        settled: nothing in it moves any more, so that a repeated row stands for a missing one.
        seen: what all rows say.
        stuck: the last page brought nothing new.
    """

    counts_windows: bool
    settled: bool
    pages: list[Page] = field(default_factory=list)
    seen: set[object] = field(default_factory=set)
    stuck: bool = False

    def add(self, page: Page) -> None:
        """Keep a page."""
        before = len(self.seen)
        self.pages.append(page)
        self.seen |= page.shown
        self.stuck = len(self.seen) == before

    @property
    def evidence(self) -> str | None:
        """How it is known that no row is missing; None while it is not."""
        first, total = self.pages[0], self.pages[0].total or 0
        if total > first.received or (self.counts_windows and total == first.received > 0):
            return "as many rows as counted" if len(self.seen) >= total else None
        received = sum(page.received for page in self.pages)
        if not self.pages[-1].received and not (self.settled and received > len(self.seen)):
            return "read to an empty page"
        is_short = len(self.pages) == 1 and first.received < _NO_CAP
        return "one short page" if is_short else None


async def read_whole(ask: Ask, *, counts_windows: bool, settled: bool) -> Listing:
    """Read a list until it is shown to be complete, again from its first page if need be.

    Raises:
        NotCertified: it never was.
    """
    for _ in range(ATTEMPTS):
        listing = Listing(counts_windows, settled)
        number = 1
        while number == 1 or not (listing.evidence or listing.stuck):
            listing.add(await ask(number))
            number += 1
        if listing.evidence:
            return listing
    total, seen = listing.pages[0].total, len(listing.seen)
    counted = "does not say how many there are" if total is None else f"counts {total}"
    message = f"the API sends {seen} different rows in {len(listing.pages)} pages and {counted}"
    raise errors.NotCertified(message)


def agreeing(key: Sequence[str], read: Interpreted) -> Interpreted:
    """Put those rows aside that say something else than an earlier one of the same key."""
    first: dict[tuple[object, ...], object] = {}
    kept, rejected = [], [*read.rejected]
    for row in read.table.drop_columns(["observed_at"]).to_pylist():
        agrees = first.setdefault(tuple(row[name] for name in key), row) == row
        kept.append(agrees)
        if not agrees:
            rejected.append(Rejected(_CONFLICT, values.raw_json(row)))
    return Interpreted(read.table.filter(pa.array(kept, pa.bool_())), rejected)
