"""One reading of one window under way: its pages, and what they prove."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.gptbots.api import Page
from pipelines.gptbots.windows import Window, instant
from pipelines.interpret import Interpreted, rejected_id
from pipelines.reading import Certificate, Reading


@dataclass
class Attempt:
    """One reading of one window under way.

    Attributes:
        settled: as it was when the reading began.
        pages: what was received, in that order.
        ids: what all pages showed.
    """

    window: Window
    settled: int
    first: Page
    started_at: datetime
    last_page: int | None = None
    pages: list[Page] = field(init=False)
    ids: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.pages = [self.first]
        self.ids = set(self.first.ids)

    def add(self, page: Page) -> Page:
        """Keep a page."""
        self.pages.append(page)
        self.ids |= page.ids
        return page

    @property
    def moving(self) -> bool:
        """Whether conversations may still enter the window."""
        return self.window.end > self.settled

    @property
    def latest(self) -> list[Page]:
        """The pages without the first, where the last is that page again and says the same."""
        again = len(self.pages) > 1 and self.first.rows == self.pages[-1].rows
        return self.pages[1:] if again else self.pages

    @property
    def entered(self) -> bool:
        """Whether a list that is newest first has a newer one now: the clocks are not right."""
        before, after = self.first.times, self.pages[-1].times
        return before == sorted(before, reverse=True) and before[:1] < after[:1]

    def reading(
        self, rows: Interpreted, evidence: str, requests: int, *, is_first: bool = False
    ) -> Reading:
        """Return, of the rows of all pages, those of the window itself.

        What lies at its outer ends was asked for in case these don't count, and belongs to its
        neighbours; but before the first window there is none.
        """
        start = self.window.asked[0] if is_first else self.window.start
        table = _between(rows.table, start, self.window.end)
        certificate = self._certificate(evidence, requests)
        return Reading(table, rows.rejected, certificate, seen=_ids(rows))

    def _certificate(self, evidence: str, requests: int) -> Certificate:
        counted = [page.total for page in self.pages if page.received]
        return Certificate(
            kind="window",
            window_start=instant(self.window.start),
            window_end=instant(self.window.end),
            total_before=self.first.total,
            total_after=counted[-1] if counted else self.first.total,
            distinct_rows=len(self.ids),
            requests=requests,
            certified=True,
            evidence=evidence,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
        )


def _between(rows: pa.Table, start: int, end: int) -> pa.Table:
    at = rows["last_activity_at"]
    first, last = (pa.scalar(instant(i), at.type) for i in (start, end))
    found = pc.min_max(at)
    if len(rows) and found["min"].as_py() >= instant(start) and found["max"].as_py() < instant(end):
        return rows
    return rows.filter(pc.and_(pc.greater_equal(at, first), pc.less(at, last)))


def _ids(rows: Interpreted) -> pa.Array | None:
    """Return all ids that were there, those of rejected rows too; None if one can't be read."""
    rejected = [rejected_id(row, "conversation_id") for row in rows.rejected]
    if None in rejected:
        return None
    readable = rows.table["conversation_id"].combine_chunks()
    return pa.concat_arrays([readable, pa.array(rejected, readable.type)])
