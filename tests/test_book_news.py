"""What of the books is written again: what has changed, and what has become final."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from pipelines import books
from pipelines.gptbots.books import interpret_rows
from pipelines.tables import BILLS

DAY = date(2026, 3, 1)
SETTLED = datetime(2026, 3, 5, tzinfo=UTC)
EARLY, LATE = SETTLED - timedelta(seconds=1), SETTLED + timedelta(days=9)


@pytest.mark.parametrize(
    ("held", "read", "written"),
    [
        ((5, EARLY), (5, EARLY), False),
        ((5, EARLY), (6, EARLY), True),
        ((5, EARLY), (4, EARLY), True),
        ((5, EARLY), (5, SETTLED), True),
        ((5, EARLY), (4, SETTLED), True),
        ((5, SETTLED), (5, LATE), False),
        ((5, SETTLED), (6, LATE), True),
        ((5, SETTLED), (4, LATE), False),
    ],
)
def test_what_of_a_day_is_written(
    held: tuple[int, datetime], read: tuple[int, datetime], *, written: bool
) -> None:
    old, new = (
        interpret_rows(
            BILLS, [{"date": f"{DAY}", "total": total}], {"bot": "support", "observed_at": at}
        ).table
        for total, at in (held, read)
    )
    with duckdb.connect() as warehouse:
        warehouse.execute("set TimeZone = 'Asia/Tokyo'; create schema chat")
        warehouse.register("old", old)
        warehouse.execute("create table chat.bills as from old")
        assert len(books.news(warehouse, BILLS, new)) == written
