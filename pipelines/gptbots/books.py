"""GPTBots' own books: what it bills a day, what a conversation cost, what a bot is called.

Upstream forgets them, so a day is read while it is served. Their lists page as the list of
conversations does, with the same open questions; a day in the past holds still.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from pipelines import errors, values
from pipelines.gptbots.api import LARGEST_PAGE, read_body, read_list
from pipelines.gptbots.listing import Listing, Page, agreeing, read_whole
from pipelines.gptbots.rows import SOURCE
from pipelines.gptbots.windows import milliseconds
from pipelines.http import Client, Reply
from pipelines.interpret import Field, Interpreted, Row, interpret, interpret_bots
from pipelines.reading import Certificate
from pipelines.tables import BILLS, BOTS, CONVERSATION_CREDITS, CREDIT, Table

_PATHS = {
    BILLS.name: "/v1/account/bill/page",
    CONVERSATION_CREDITS.name: "/v1/account/agent/conversation/credits",
}
DETAIL = "/v1/bot/detail"
BILLED_DAYS, CREDITED_DAYS = 90, 30
"""How many days back each is served, today included."""
SETTLES = timedelta(days=3)
"""So long after its end, a day's figures are taken to be final."""
_DAY = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)


def _amounts(table: Table) -> dict[str, Field]:
    return {n: (n, values.credit) for n, c in table.columns.items() if c.type == CREDIT}


_FIELDS: Mapping[str, Mapping[str, Field]] = {
    BILLS.name: {"billed_on": ("date", values.day), **_amounts(BILLS)},
    CONVERSATION_CREDITS.name: {
        "conversation_id": ("conversation_id", values.required),
        "conversation_create_time": ("conversation_create_time", values.instant),
        **_amounts(CONVERSATION_CREDITS),
    },
}


@dataclass(frozen=True)
class Sheet:
    """What was read of a table; the certificate is there where that is final."""

    table: Table
    rows: list[Interpreted] = field(default_factory=list)
    certificate: Certificate | None = None


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
        first, last = now.date() - (BILLED_DAYS - 1) * _DAY, now.date()
        fields = {"billed_on": ("date", partial(_day_between, first, last))}
        listing = await self._list(BILLS, (_start(first), now), fields=fields)
        return Sheet(BILLS, [agreeing(BILLS.key, page.rows) for page in listing.pages])

    async def credits(self, day: date, now: datetime) -> Sheet:
        """Read what each conversation spent on a day; certified once it is settled."""
        start, end = _start(day), min(_start(day + _DAY) - _MILLISECOND, now)
        table, same, settled = CONVERSATION_CREDITS, {"credited_on": day}, now >= settles(day)
        listing = await self._list(table, (start, end), same, settled=settled)
        pages = [page.rows for page in listing.pages]
        if not settled:  # what has grown since an earlier page is no conflict
            return Sheet(table, [agreeing(table.key, page) for page in pages])
        found = agreeing(table.key, _joined(table, pages))
        return Sheet(table, [found], _certificate(start, listing, now))

    async def name(self, bot_ids: Collection[str]) -> Sheet:
        """Ask for the bot's name; `bot_ids` is known of it, should the answer not say."""

        def read(status: int, reply: Reply, retry_after: str | None) -> Interpreted:
            row = _detail(read_body(status, reply, retry_after), bot_ids)
            given = {"source": SOURCE, "bot": self._bot, "observed_at": reply.at}
            return interpret_bots([row], "bot_id", given)

        return Sheet(BOTS, [await self._client.get(DETAIL, {}, read)])

    async def _list(
        self,
        table: Table,
        span: tuple[datetime, datetime],
        same: Mapping[str, object] = MappingProxyType({}),
        *,
        fields: Mapping[str, Field] = MappingProxyType({}),
        settled: bool = False,
    ) -> Listing:
        (start, end), path = span, _PATHS[table.name]

        def read(status: int, reply: Reply, retry_after: str | None) -> Page:
            rows, total = read_list(status, reply, retry_after)
            constants = {"bot": self._bot, "observed_at": reply.at, **same}
            return Page(interpret_rows(table, rows, constants, fields), len(rows), total)

        async def ask(number: int) -> Page:
            params = {
                "start_time": milliseconds(start),
                "end_time": milliseconds(end),
                "page": number,
                "page_size": LARGEST_PAGE,
            }
            return await self._client.get(path, params, read)

        try:
            return await read_whole(ask, counts_windows=self._counts_windows, settled=settled)
        except errors.NotCertified as error:
            raise error.at(f"bot {self._bot}, GET {path}, from {start:%Y-%m-%d}") from None


def interpret_rows(
    table: Table,
    rows: Sequence[object],
    constants: Mapping[str, object],
    fields: Mapping[str, Field] = MappingProxyType({}),
) -> Interpreted:
    """Read rows of a table as received; `fields` go before those of the table."""
    read = {**_FIELDS[table.name], **fields}
    known = frozenset(key for key, _ in read.values())

    def extra(row: Row) -> str | None:
        return values.unknown(row, known)

    given = {"source": SOURCE, **constants}
    return interpret(rows, {**read, "extra": ("", extra)}, given, table.schema)


def _day_between(first: date, last: date, value: object) -> date | None:
    """Return a day that was asked for, or one beside: upstream's midnight may be another."""
    day = values.day(value)
    if day is None or first - _DAY <= day <= last + _DAY:
        return day
    message = f"was not asked for: {day}"
    raise ValueError(message)


def _joined(table: Table, pages: Sequence[Interpreted]) -> Interpreted:
    read = pa.concat_tables([table.schema.empty_table(), *(page.table for page in pages)])
    return Interpreted(read, [row for page in pages for row in page.rejected])


def _detail(body: object, bot_ids: Collection[str]) -> Mapping[str, Any]:
    """Return the bot's detail: the answer itself, or what lies in its `data`."""
    inner = body.get("data", body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        raise errors.BrokenReply("the answer is no bot; check base_url")
    known = next(iter(bot_ids)) if len(bot_ids) == 1 else None
    told = inner.get("bot_id")
    return {**inner, "bot_id": known if told is None else told}


def _certificate(start: datetime, listing: Listing, now: datetime) -> Certificate:
    return Certificate(
        kind="credits",
        window_start=start,
        window_end=start + _DAY,
        total_before=listing.pages[0].total,
        total_after=listing.pages[-1].total,
        distinct_rows=len(listing.seen),
        requests=len(listing.pages),
        certified=listing.evidence is not None,
        evidence=f"a settled day: {listing.evidence}",
        started_at=now,
        finished_at=datetime.now(UTC),
    )


def settles(day: date) -> datetime:
    """Return when the figures of a day are taken to be final."""
    return _start(day + _DAY) + SETTLES


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
