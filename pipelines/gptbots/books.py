"""GPTBots' own books: what it bills a day, what a conversation cost, what a bot is called.

Upstream forgets them, so a day is read while it is served. Their lists page as the list of
conversations does, with the same open questions; a day in the past holds still.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from pipelines import errors, values
from pipelines.gptbots.api import LARGEST_PAGE, read_body, read_list
from pipelines.gptbots.rows import SOURCE
from pipelines.gptbots.windows import milliseconds
from pipelines.http import Client, Reply
from pipelines.interpret import Field, Interpreted, Row, interpret
from pipelines.reading import Certificate
from pipelines.tables import BILLS, BOTS, CONVERSATION_CREDITS, CREDIT, Table

BILL = "/v1/account/bill/page"
CREDITS = "/v1/account/agent/conversation/credits"
DETAIL = "/v1/bot/detail"
BILLED_DAYS, CREDITED_DAYS = 90, 30
"""How many days back each is served, today included."""
SETTLES = timedelta(days=3)
"""So long after its end, a day's figures are taken to be final."""
_DAY = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)
_NO_CAP = 10
"""Fewer rows than any page size that a server may cap at."""


def _amounts(table: Table) -> dict[str, Field]:
    return {n: (n, values.credit) for n, c in table.columns.items() if c.type == CREDIT}


_FIELDS: Mapping[str, Mapping[str, Field]] = {
    BILLS.name: {"billed_on": ("date", values.day), **_amounts(BILLS)},
    CONVERSATION_CREDITS.name: {
        "conversation_id": ("conversation_id", values.required),
        "conversation_create_time": ("conversation_create_time", values.instant),
        **_amounts(CONVERSATION_CREDITS),
    },
    BOTS.name: {"bot_id": ("bot_id", values.required), "name": ("name", values.text)},
}


@dataclass(frozen=True)
class Sheet:
    """What was read of a table; the certificate is there where that is final."""

    table: Table
    rows: list[Interpreted] = field(default_factory=list)
    certificate: Certificate | None = None

    @property
    def distinct(self) -> int:
        """How many keys were read."""
        key = [name for name in self.table.key if name != "source"]
        found = pa.concat_tables([self.table.schema.empty_table(), *(p.table for p in self.rows)])
        return len(found.group_by(key).aggregate([]))


@dataclass(frozen=True)
class _Page:
    rows: Interpreted
    received: int
    total: int | None


_Ask = Callable[[int], Awaitable[_Page]]


class Books:
    """Reads the books that one bot's key opens.

    `counts_windows` tells that the server's `total` is known to count more than the page.
    """

    def __init__(self, client: Client, bot: str, *, counts_windows: bool) -> None:
        self._client = client
        self._bot = bot
        self._counts_windows = counts_windows

    async def bill(self, now: datetime) -> Sheet:
        """Read each day that is still billed: it costs no more than to read the last few."""
        start = _start(now.date() - (BILLED_DAYS - 1) * _DAY)
        pages = await self._pages(BILL, BILLS, (start, now), {})
        return Sheet(BILLS, [page.rows for page in pages])

    async def credits(self, day: date, now: datetime) -> Sheet:
        """Read what each conversation spent on a day; certified once it is settled."""
        start, end = _start(day), min(_start(day + _DAY) - _MILLISECOND, now)
        pages = await self._pages(CREDITS, CONVERSATION_CREDITS, (start, end), {"credited_on": day})
        sheet = Sheet(CONVERSATION_CREDITS, [page.rows for page in pages])
        if now < _start(day + _DAY) + SETTLES:
            return sheet
        return Sheet(sheet.table, sheet.rows, _certificate(start, pages, sheet.distinct, now))

    async def name(self, bot_ids: Collection[str]) -> Sheet:
        """Ask for the bot's name; `bot_ids` is known of it, should the answer not say."""

        def read(status: int, reply: Reply, retry_after: str | None) -> Interpreted:
            body = read_body(status, reply, retry_after)
            row = _detail(body, bot_ids)
            return interpret_rows(BOTS, [row], {"bot": self._bot, "observed_at": reply.at})

        return Sheet(BOTS, [await self._client.get(DETAIL, {}, read)])

    async def _pages(
        self, path: str, table: Table, span: tuple[datetime, datetime], same: Mapping[str, object]
    ) -> list[_Page]:
        start, end = span

        def read(status: int, reply: Reply, retry_after: str | None) -> _Page:
            rows, total = read_list(status, reply, retry_after)
            constants = {"bot": self._bot, "observed_at": reply.at, **same}
            return _Page(interpret_rows(table, rows, constants), len(rows), total)

        async def ask(number: int) -> _Page:
            params = {
                "start_time": milliseconds(start),
                "end_time": milliseconds(end),
                "page": number,
                "page_size": LARGEST_PAGE,
            }
            return await self._client.get(path, params, read)

        return await every_page(ask, counts_windows=self._counts_windows)


async def every_page(ask: _Ask, *, counts_windows: bool) -> list[_Page]:
    """Ask for page after page until the count is reached or nothing new comes.

    Raises:
        NotCertified: the list ends before its count.
    """
    pages = [await ask(1)]
    while not _is_last(pages, counts_windows=counts_windows):
        pages.append(await ask(len(pages) + 1))
    received, total = sum(page.received for page in pages), pages[0].total or 0
    if received < total:
        raise errors.NotCertified(f"the API counts {total} rows and sends {received}; sync again")
    return pages


def _is_last(pages: Sequence[_Page], *, counts_windows: bool) -> bool:
    last, total = pages[-1], pages[0].total or 0
    received = sum(page.received for page in pages)
    if not last.received or (len(pages) > 1 and _same(last, pages[-2])):
        return True
    if received < total:
        return False
    counted = counts_windows or total > pages[0].received
    return (counted and total > 0) or (len(pages) == 1 and received < _NO_CAP)


def _same(one: _Page, other: _Page) -> bool:
    """Tell whether a page is the one before it: a server may ignore the page's number."""
    bare = [p.rows.table.drop_columns(["observed_at"]) for p in (one, other)]
    return bool(bare[0].equals(bare[1]) and one.rows.rejected == other.rows.rejected)


def interpret_rows(
    table: Table, rows: Sequence[object], constants: Mapping[str, object]
) -> Interpreted:
    """Read rows of a table as received."""
    fields = _FIELDS[table.name]
    known = frozenset(key for key, _ in fields.values())

    def extra(row: Row) -> str | None:
        return values.unknown(row, known)

    given = {"source": SOURCE, **constants}
    return interpret(rows, {**fields, "extra": ("", extra)}, given, table.schema)


def _detail(body: object, bot_ids: Collection[str]) -> Mapping[str, Any]:
    """Return the bot's detail: the answer itself, or what lies in its `data`."""
    inner = body.get("data", body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        raise errors.BrokenReply("the answer is no bot; check base_url")
    known = {"bot_id": next(iter(bot_ids))} if len(bot_ids) == 1 else {}
    return {**known, **inner}


def _certificate(
    start: datetime, pages: Sequence[_Page], distinct: int, now: datetime
) -> Certificate:
    return Certificate(
        kind="credits",
        window_start=start,
        window_end=start + _DAY,
        total_before=pages[0].total,
        total_after=pages[-1].total,
        distinct_rows=distinct,
        requests=len(pages),
        certified=True,
        evidence="a settled day, read to its end",
        started_at=now,
        finished_at=datetime.now(UTC),
    )


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
