"""The optional resources of a sync, beside the conversations: bills, credits, names of bots.

Whatever fails here fails no bot: its conversations stand, the failure is named.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import duckdb
import pyarrow as pa

from pipelines import tables
from pipelines.errors import ApiError, BrokenReply, NotCertified
from pipelines.gptbots.books import CREDITED_DAYS, SETTLES, Books, Sheet
from pipelines.jobs import BotName, GptbotsTask, OkchatTask
from pipelines.okchat import names as okchat
from pipelines.reader import Question
from pipelines.run import CHUNK_ROWS, CHUNK_SECONDS, Run

_DAY = {tables.BILLS.name: "billed_on", tables.CONVERSATION_CREDITS.name: "credited_on"}
"""Columns with the day that figures are of: once it has settled, it is written again, to say so."""
_READER = {tables.CONVERSATION_CREDITS.name: {"bot", "observed_at"}}
"""Columns that say who read a row and when: no news. A key may show its whole account."""


def read_books(run: Run) -> None:
    """Read what is switched on, of the bots whose conversations were read, and load the news."""
    run.write_audit()  # what is known of the conversations outlives a kill in here
    books = _Books(run, present())
    gptbots = {n: t for n in run.healthy if isinstance(t := run.tasks[n], GptbotsTask)}
    okchats = {n: t for n in run.healthy if isinstance(t := run.tasks[n], OkchatTask)}
    if run.settings.gptbots.bot_names:
        books.gptbots_names(gptbots)
    if run.settings.okchat.bot_names:
        books.okchat_names(okchats)
    if run.settings.gptbots.bill:
        books.bills(gptbots)
    if run.settings.gptbots.conversation_credits:
        books.credits(gptbots)
    books.load()


def present() -> datetime:
    """Return now: days are counted back from here."""
    return datetime.now(UTC)


class _Books:
    """Asks all bots side by side, and loads what is new now and then."""

    def __init__(self, run: Run, now: datetime) -> None:
        self._run = run
        self._now = now
        self._read: list[tuple[BotName, Sheet]] = []
        self._loaded_at = time.monotonic()

    def gptbots_names(self, bots: Mapping[BotName, GptbotsTask]) -> None:
        known = self._run.expected(bots)
        questions = {
            name: partial(_of(name, task).name, known[name].bot_ids) for name, task in bots.items()
        }
        self._ask("bot_names", questions)

    def okchat_names(self, bots: Mapping[BotName, OkchatTask]) -> None:
        page_param = self._run.settings.okchat.page_param
        questions = {n: partial(_chatbot, n, task, page_param) for n, task in bots.items()}
        self._ask("bot_names", questions)

    def bills(self, bots: Mapping[BotName, GptbotsTask]) -> None:
        questions = {name: partial(_of(name, task).bill, self._now) for name, task in bots.items()}
        self._ask("bill", questions)

    def credits(self, bots: Mapping[BotName, GptbotsTask]) -> None:
        """Read day after day, what is forgotten first of all: each that is not held for good.

        A day that can't be read keeps no other from being read, unless none can be.
        """
        today, left, last = self._now.date(), dict(bots), dict[BotName, ApiError]()
        days = [today - timedelta(days=n) for n in range(CREDITED_DAYS - 1, -1, -1)]
        held = self._run.stored.look(partial(_held, since=days[0])) or {}
        for day in days:
            asked = {n: t for n, t in left.items() if day not in held.get(n.bot, ())}
            questions = {
                name: partial(_of(name, task).credits, day, self._now)
                for name, task in asked.items()
            }
            failed = self._ask("conversation_credits", questions)
            for name in [n for n, error in failed.items() if _ends(error, last.get(n))]:
                del left[name]
            last = {**{n: error for n, error in last.items() if n not in asked}, **failed}

    def _ask(
        self, what: str, questions: Mapping[BotName, Question[Sheet]]
    ) -> Mapping[BotName, ApiError]:
        """Ask, keep what is answered, note and return what fails."""
        answers = self._run.ask({n: partial(_caught, asked) for n, asked in questions.items()})
        failed = {n: error for n, error in answers.items() if isinstance(error, ApiError)}
        for name, error in failed.items():
            self._run.outcome.bots[name].failures.append(f"{what}: {error}")
        read = {n: sheet for n, sheet in answers.items() if isinstance(sheet, Sheet)}
        veil = self._run.veil
        self._read += [
            (n, replace(sheet, rows=[veil(part) for part in sheet.rows]))
            for n, sheet in read.items()
        ]
        rows = sum(len(part.table) for _, sheet in self._read for part in sheet.rows)
        if rows >= CHUNK_ROWS or time.monotonic() - self._loaded_at >= CHUNK_SECONDS:
            self.load()
        return failed

    def load(self) -> None:
        """Load what is new of what was read, then write which days are held."""
        for source in {name.source for name, _ in self._read}:
            sheets = [sheet for name, sheet in self._read if name.source == source]
            self._run.add(source, {t.name: self._fresh(t, sheets) for t in tables.BOOKS})
        for name, sheet in self._read:
            rejected = [row for part in sheet.rows for row in part.rejected]
            self._run.note(name, rejected, sheet.certificate)
        self._run.write_audit()
        self._read, self._loaded_at = [], time.monotonic()

    def _fresh(self, table: tables.Table, sheets: Sequence[Sheet]) -> pa.Table:
        parts = [part.table for s in sheets if s.table is table for part in s.rows]
        read = newest(table, pa.concat_tables([table.schema.empty_table(), *parts]))
        fresh = self._run.stored.look(partial(news, table=table, read=read)) if len(read) else None
        return read if fresh is None else fresh


def news(connection: duckdb.DuckDBPyConnection, table: tables.Table, read: pa.Table) -> pa.Table:
    """Return the rows that the warehouse does not have, or has otherwise.

    What was read of a settled day is not replaced by less: upstream begins to forget.
    """
    connection.register("newest", read)
    found = connection.execute(_NEWS.format(**_parts(table))).to_arrow_table()
    return found.cast(table.schema)


def newest(table: tables.Table, read: pa.Table) -> pa.Table:
    """Return each key once, as it was read last; a page may repeat rows."""
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        memory.register("read", read)
        return memory.execute(_NEWEST.format(**_parts(table))).to_arrow_table().cast(table.schema)


_NEWEST = """
    select * from read
    qualify row_number() over (partition by {key} order by observed_at desc) = 1
"""
_NEWS = """
    select new.* from newest as new
    left join chat.{table} as old using ({key})
    where old.source is null or (
        (({ours}) is distinct from ({theirs}) or {new_final} and not {old_final})
        and not {shrunk}
    )
"""
_FINAL = "({side}.observed_at >= ({side}.{day} + interval '{days} days') at time zone 'UTC')"
_HELD = """
    select bot, cast(window_start as date)
    from chat.sync_windows
    where source = 'gptbots' and kind = 'credits' and certified and window_start >= ?
"""


def _parts(table: tables.Table) -> dict[str, str]:
    left_out = {*table.key, *_READER.get(table.name, {"observed_at"})}
    content = {n: c for n, c in table.columns.items() if n not in left_out}
    theirs = [f"old.{n}::varchar" if c.json else f"old.{n}" for n, c in content.items()]
    new, old = (_final(table, side) for side in ("new", "old"))
    return {
        "new_final": new,
        "old_final": old,
        "shrunk": f"({old} and new.total < old.total)" if table.name in _DAY else "false",
        "table": table.name,
        "key": ", ".join(table.key),
        "ours": ", ".join(f"new.{name}" for name in content),
        "theirs": ", ".join(theirs),
    }


def _final(table: tables.Table, side: str) -> str:
    if table.name not in _DAY:
        return "false"
    return _FINAL.format(side=side, day=_DAY[table.name], days=(SETTLES + timedelta(days=1)).days)


def _held(connection: duckdb.DuckDBPyConnection, since: date) -> dict[str, set[date]]:
    """Return the days of each bot that were read after they had settled."""
    found: defaultdict[str, set[date]] = defaultdict(set)
    for bot, day in connection.execute(_HELD, [since]).fetchall():
        found[bot].add(day)
    return found


def _of(name: BotName, task: GptbotsTask) -> Books:
    return Books(task.client, name.bot, counts_windows=task.scan.server.counts_windows)


async def _chatbot(name: BotName, task: OkchatTask, page_param: str) -> Sheet:
    found = await okchat.name(task.client, name.bot, task.chatbot_id, page_param)
    return Sheet(tables.BOTS, [found])


def _ends(error: ApiError, before: ApiError | None) -> bool:
    """Tell whether no other day is worth asking for; a broken one is, unless two in turn are."""
    if isinstance(error, BrokenReply):
        return isinstance(before, BrokenReply)
    return not isinstance(error, NotCertified)


async def _caught(question: Question[Sheet]) -> Sheet | ApiError:
    """Ask, and take an error for an answer: it is none of the conversations'."""
    try:
        return await question()
    except ApiError as error:
        return error
