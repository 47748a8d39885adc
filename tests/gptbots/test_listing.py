"""When a list of GPTBots' books is taken for whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from pipelines.errors import NotCertified
from pipelines.gptbots.books import interpret_rows
from pipelines.gptbots.listing import ATTEMPTS, Page, agreeing, read_whole
from pipelines.tables import CONVERSATION_CREDITS

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME = {"bot": "support", "credited_on": date(2026, 3, 1)}


def page(numbers: range, total: int | None) -> Page:
    rows = [{"conversation_id": str(n), "total": 1} if n else {} for n in numbers]
    observed = {**SAME, "observed_at": datetime.now(UTC)}
    return Page(interpret_rows(CONVERSATION_CREDITS, rows, observed), len(rows), total)


ENDS, SHORT = range(0), range(9)
HALF, REST, OVERLAP = range(100), range(100, 150), range(80, 130)


@pytest.mark.parametrize(
    ("shown", "total", "known", "settled", "evidence"),
    [
        ([HALF, REST], 150, False, True, "as many rows as counted"),
        ([HALF], 100, True, True, "as many rows as counted"),
        ([HALF, ENDS], 100, False, True, "read to an empty page"),
        ([HALF, REST, ENDS], None, False, True, "read to an empty page"),
        ([HALF, OVERLAP, ENDS], None, False, False, "read to an empty page"),
        ([SHORT], None, False, True, "one short page"),
        ([SHORT, range(9, 20)], 20, False, True, "as many rows as counted"),
        ([ENDS], 0, True, True, "read to an empty page"),
        ([HALF, HALF], 150, True, True, None),
        ([HALF, HALF], 100, False, True, None),
        ([HALF, HALF], None, False, True, None),
        ([HALF, OVERLAP, ENDS], 150, False, True, None),
        ([HALF, OVERLAP, ENDS], None, False, True, None),
        ([ENDS], 5, False, True, None),
    ],
)
def test_what_proves_that_a_list_is_whole(
    shown: Sequence[range], total: int | None, *, known: bool, settled: bool, evidence: str | None
) -> None:
    asked: list[int] = []

    async def ask(number: int) -> Page:
        asked.append(number)
        return page(shown[number - 1], total)

    reading = read_whole(ask, counts_windows=known, settled=settled)
    if evidence:
        listing = asyncio.run(reading)
        assert (listing.evidence, asked) == (evidence, [*range(1, len(shown) + 1)])
    else:
        with pytest.raises(NotCertified, match=f" {len(set().union(*shown))} different"):
            asyncio.run(reading)
        assert asked == [*range(1, len(shown) + 1)] * ATTEMPTS


def test_a_list_that_moved_is_read_again() -> None:
    answers = iter([page(HALF, 150), page(OVERLAP, 150), page(ENDS, 150)])
    again = iter([page(HALF, 150), page(REST, 150)])

    async def ask(_: int) -> Page:
        return next(answers, None) or next(again)

    listing = asyncio.run(read_whole(ask, counts_windows=True, settled=True))
    assert (len(listing.seen), len(listing.pages)) == (150, 2)


def test_a_row_that_says_something_else_is_not_lost() -> None:
    rows = [{"conversation_id": "a", "total": total} for total in (1, 2, 1)]
    observed = {**SAME, "observed_at": datetime.now(UTC)}
    read = agreeing(CONVERSATION_CREDITS.key, interpret_rows(CONVERSATION_CREDITS, rows, observed))
    assert read.table["total"].to_pylist() == [1, 1]
    assert [row.reason for row in read.rejected] == [
        "another row of the same key says something else"
    ]
