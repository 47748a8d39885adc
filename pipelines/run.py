"""One run over some bots: reads them side by side, loads what is new chunk by chunk."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Protocol, Self, TypeVar

import pyarrow as pa

from pipelines import live, tables, values
from pipelines.batch import Batch
from pipelines.chunk import Audit, Chunk, batch, behind, chunks
from pipelines.connections import Connections
from pipelines.cursor import Cursor
from pipelines.errors import ApiError
from pipelines.gptbots.history import Expected
from pipelines.interpret import Rejected, rejected_id
from pipelines.jobs import BotName, GptbotsTask, Task, Wire, tasks
from pipelines.lake.place import Lake
from pipelines.loader import Loader
from pipelines.lock import Held
from pipelines.news import News, by_bot, news
from pipelines.outcome import BotOutcome, Outcome
from pipelines.postgres.server import Server
from pipelines.privacy import Veil
from pipelines.reader import READY_ROWS, Job, Question, Reader
from pipelines.reading import Certificate, Reading, failure
from pipelines.settings import Settings
from pipelines.spool import Spool
from pipelines.stored import Stored
from pipelines.warehouse import connect, translated, writing

CONCURRENCY = 8
"""Requests under way at once, over all bots."""
SPOOLED_ROWS = 100
"""Rows that are put aside, where none of them is known; fewer are loaded at once."""
CHUNK_ROWS = READY_ROWS
"""Rows that are looked at and put aside, or loaded, at once."""
CHUNK_SECONDS = 30.0
"""A commit at least so often, where rows come slowly."""
SLOW_SECONDS = 5.0
"""Several times what a load of a chunk takes: one that was waited for as long is loaded at once."""

T = TypeVar("T")
Tell = Callable[[Outcome], None]


class Keeper(Protocol):
    """What is done with what a run finds: loaded and marked, or only noted."""

    def take(self, chunk: Chunk, fresh: News) -> None:
        """Take what is new in a chunk."""

    def mark(self, name: BotName, gone: live.Gone) -> None:
        """Take what is proved to be gone upstream."""

    def waiting(self, name: BotName) -> int:
        """Return how many conversations were taken that the warehouse does not have."""

    def stale(self, name: BotName) -> Collection[str]:
        """Return the conversations that were taken and that the warehouse has an older one of."""


class Run:
    """Reads the chosen bots; `outcome` tells how far it is.

    Attributes:
        stored: what the warehouse holds.
        tasks: how each bot is read.
        veil: what all that was read goes through before anything else is done with it.
        seen: ids that a sweep of the whole list saw.
        gone: conversations that certified reads did not find where they are known to be.
        unreadable: rows of each bot that were rejected since that was last emptied, and their
            ids, where these can be read.
    """

    def __init__(
        self,
        settings: Settings,
        chosen: Sequence[BotName],
        tell: Tell,
        patience: float,
        held: Held,
    ) -> None:
        self.settings = settings
        self._tell = tell
        self._patience = patience
        self.stored = Stored(settings.warehouse)
        self.veil = Veil.of(settings.privacy)
        self._held = held
        self._loader = Loader(settings.warehouse, settings.work, held, settings.shard)
        self._audit = Audit()
        self._reader = Reader()
        self._open = ExitStack()
        self._expected: dict[str, Expected] | None = None
        self._spools: dict[str, Spool] = {}
        self.outcome = Outcome({name: BotOutcome(name.source, name.bot) for name in chosen})
        self.tasks: Mapping[BotName, Task] = {}
        self._after: datetime | None = None
        self._began = datetime.now(UTC)
        self.seen: dict[BotName, pa.Array] = {}
        self.gone: defaultdict[BotName, live.Gone] = defaultdict(dict)
        self.unreadable: defaultdict[BotName, dict[str, str | None]] = defaultdict(dict)
        self._rejected: defaultdict[BotName, set[tuple[str, str]]] = defaultdict(set)

    def __enter__(self) -> Self:
        pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps what was freed
        connections = self._open.enter_context(Connections(CONCURRENCY))
        self._open.enter_context(self._reader)
        at = {name: self._loader.cursors.get((name.source, name.bot)) for name in self.outcome.bots}
        wire = Wire(connections, self._patience, slots=self.settings.budgets, clean=self._clean)
        self.tasks = tasks(self.settings, at, wire)
        self._after = self.stored.look(live.last_change)
        self._began = datetime.now(UTC)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stored.let_go()
        for spool in self._spools.values():
            spool.remove()
        self._open.close()

    @property
    def _clean(self) -> Callable[[bytes], bytes]:
        """What answers go through: PostgreSQL keeps no text with NUL in it, others keep any."""
        return values.without_nul if isinstance(self.settings.warehouse, Server) else bytes

    @property
    def healthy(self) -> list[BotName]:
        """The bots that have not failed."""
        return [name for name, outcome in self.outcome.bots.items() if outcome.error is None]

    def read(self, jobs: Mapping[BotName, Job], keeper: Keeper) -> None:
        """Read until nothing is left to read; hand over what is ready now and then."""
        self._reader.start(jobs)
        while self._keep_ready(keeper):
            pass
        for source in list(self._spools):
            self.flush(source)
        self.progress()

    def _keep_ready(self, keeper: Keeper) -> bool:
        """Wait for what is ready and hand it over; False where there was nothing any more."""
        self.stored.let_go()
        began = time.monotonic()
        taken = self._reader.take(CHUNK_ROWS, CHUNK_SECONDS, self.progress)
        # There is time to load what comes slowly, and a run that dies should lose little of it.
        slow = time.monotonic() - began >= SLOW_SECONDS
        for chunk in chunks(taken):
            self.keep(chunk, keeper)
        for source in [source for source, spool in self._spools.items() if slow or spool.is_due]:
            self.flush(source)
        return bool(taken)  # gone from memory before the next is waited for

    def keep(self, chunk: Chunk, keeper: Keeper) -> None:
        """Hand a chunk over; keep what tells, with later readings, what is gone upstream."""
        chunk = self.veil.chunk(chunk)
        read = chunk.read
        spool = self._spools.get(chunk.source)
        if spool and spool.holds(read["conversation_id"]):
            self.flush(chunk.source)
        fresh = news(read, self.stored.known(chunk.source, read), self._after)
        keeper.take(chunk, fresh)
        self._learn(chunk)

    def ask(self, questions: Mapping[BotName, Question[T]]) -> dict[BotName, T]:
        """Ask something of several bots at once; those that fail are left out."""
        if questions:
            self.stored.let_go()
        answers = self._reader.ask(questions)
        self.progress()
        return answers

    def load(self, chunk: Chunk, fresh: News, *, moving: bool) -> None:
        """Load what a chunk brings, with its certificates; move the cursors or leave them."""
        self.count(chunk, fresh)
        cursors = self._cursors(chunk.source) if moving else {}
        if moving and fresh.all_first and len(fresh.conversations) >= SPOOLED_ROWS:
            self._audit.add(chunk)
            self._put_aside(chunk.source, fresh, cursors)
            return
        self.flush(chunk.source)  # no cursor moves past rows that are not loaded
        self._audit.add(chunk)  # and no certificate goes ahead of its own
        late = behind(fresh, cursors) if moving else None
        if fresh or late:
            self._load(chunk.source, batch(fresh, self._audit.take(chunk.source), late), cursors)
        loaded = by_bot(fresh.conversations)
        self._loaded(chunk.source, {bot: len(rows) for bot, rows in loaded.items()})

    def _put_aside(self, source: str, fresh: News, cursors: Mapping[str, Cursor]) -> None:
        try:
            if source not in self._spools:
                self._spools[source] = Spool(self.settings.work / "new" / source)
            spool = self._spools[source]
            spool.add(fresh, cursors)
        except OSError as failed:
            raise translated(failed, self.settings.warehouse) from failed

    def flush(self, source: str) -> None:
        """Load what was put aside."""
        if spool := self._spools.get(source):
            try:
                found = spool.batch(self._audit.take(source))
            except OSError as failed:
                raise translated(failed, self.settings.warehouse) from failed
            self._load(source, found, self._cursors(source))
            self._loaded(source, spool.rows)
            self._spools.pop(source).remove()

    def _load(self, source: str, found: Batch, cursors: Mapping[str, Cursor]) -> None:
        self._will_write()
        self._loader.load(source, found, cursors)

    def mark(self, name: BotName, gone: live.Gone) -> None:
        """Mark conversations as deleted upstream."""
        self._will_write()
        self.outcome.bots[name].deleted += self._marked(name.source, gone, datetime.now(UTC))

    def _marked(self, source: str, gone: live.Gone, at: datetime) -> int:
        place = self.settings.warehouse
        if isinstance(place, Lake):
            from pipelines.lake import write  # noqa: PLC0415 - of an extra

            with writing(place):
                return write.mark_deleted(place, source, gone, at)
        with connect(place) as connection:
            return live.mark_deleted(connection, source, gone, at)

    def certify(self, name: BotName, certificate: Certificate) -> None:
        """Keep a certificate that stands for no rows of its own."""
        self.note(name, [], certificate)

    def add(self, source: str, rest: Mapping[str, pa.Table]) -> None:
        """Load rows that no cursor follows, by the names of their tables."""
        filled = {name: rows for name, rows in rest.items() if len(rows)}
        if filled:
            self._load(source, Batch(rest=filled), {})

    def note(
        self, name: BotName, rejected: list[Rejected], certificate: Certificate | None
    ) -> None:
        """Keep rejected rows, and perhaps a certificate, of what is no conversation."""
        reading = Reading(tables.READING.empty_table(), rejected, certificate)
        self._audit.add(Chunk(name.source, [(name.bot, reading)]))
        self._rejected[name].update((row.reason, row.raw) for row in rejected)
        self.outcome.bots[name].rejected = len(self._rejected[name])

    def write_audit(self) -> None:
        """Write the audit trail as far as it is."""
        if audit := self._audit.take():
            self.write(audit)

    def write(self, noted: Mapping[str, pa.Table]) -> None:
        """Write what the loader only notes."""
        self._will_write()
        self._loader.note(noted)

    def _will_write(self) -> None:
        """Let go of the warehouse, and forget what was known of it.

        Raises:
            WarehouseFailed: it is ours no more.
        """
        self._held()
        self.stored.forget()
        self._expected = None

    def finish(self, *, write: bool = True) -> None:
        """Write what is left of the audit trail, and why bots failed."""
        self.progress()
        for name, outcome in self.outcome.bots.items():
            if outcome.error and self.stored.look(lambda _: True):
                self.certify(name, failure(outcome.error, self._began))
        if write:
            self.write_audit()
        for outcome in self.outcome.bots.values():
            outcome.loaded = outcome.error is None
        self._tell(self.outcome)

    def fail(self, name: BotName, error: ApiError) -> None:
        """Note why a bot is not complete."""
        self._reader.progress[name].error = error

    def progress(self) -> None:
        """Tell how far it is."""
        for name, progress in self._reader.progress.items():
            outcome = self.outcome.bots[name]
            outcome.rows_read = progress.rows
            outcome.requests = self.tasks[name].client.requests
            outcome.done = progress.done
            outcome.error = str(progress.error) if progress.error else None
        self._tell(self.outcome)

    def expected(self, names: Collection[BotName]) -> dict[BotName, Expected]:
        """Return what is known of GPTBots bots now."""
        if self._expected is None:
            bots = {n.bot: t for n, t in self.tasks.items() if isinstance(t, GptbotsTask)}
            starts = {bot: task.cursor.start for bot, task in bots.items()}
            query = partial(live.expected, since=self.since, starts=starts)
            self._expected = (self.stored.look(query) if bots else None) or {}
        return {name: self._expected.get(name.bot, Expected(recent={})) for name in names}

    @property
    def since(self) -> datetime:
        """Where the history of GPTBots begins: a server may count its start date in, or not."""
        return self.settings.gptbots.start_date - timedelta(milliseconds=1)

    def _cursors(self, source: str) -> dict[str, Cursor]:
        at = self._loader.cursors
        return {
            name.bot: replace(task.cursor, last=at.get((name.source, name.bot)))
            for name, task in self.tasks.items()
            if name.source == source
        }

    def _learn(self, chunk: Chunk) -> None:
        for bot, reading in chunk.readings:
            name = BotName(chunk.source, bot)
            for row in reading.rejected:
                self.unreadable[name][row.raw] = rejected_id(row, "conversation_id")
            if reading.seen is not None and name.source == "okchat":
                self.seen[name] = reading.seen
            if reading.gone:
                query = partial(live.activities, source=chunk.source, ids=reading.gone)
                self.gone[name] |= self.stored.look(query) or {}
        if chunk.source == "gptbots":
            for bot, gone in self._absent(chunk).items():
                self.gone[BotName(chunk.source, bot)] |= gone

    def _absent(self, chunk: Chunk) -> dict[str, live.Gone]:
        """Find what is known in the windows of a chunk and was not read there."""
        certified = [
            (bot, c, reading.seen)
            for bot, reading in chunk.readings
            if (c := reading.certificate) and c.certified and reading.seen is not None
        ]
        if not certified or not self.stored.knows(chunk.source):
            return {}
        nobody: list[str | None] = [None]
        windows: list[dict[str, object]] = [
            {"bot": bot, "bot_id": i, "window_start": c.window_start, "window_end": c.window_end}
            for bot, c, _ in certified
            for i in self._bot_ids(BotName(chunk.source, bot)) or nobody
        ]
        read = pa.table({"conversation_id": pa.chunked_array([seen for *_, seen in certified])})
        return self.stored.look(partial(live.absent, windows=windows, read=read)) or {}

    def _bot_ids(self, name: BotName) -> Collection[str]:
        task = self.tasks[name]
        return task.history.bot_ids if isinstance(task, GptbotsTask) else ()

    def count(self, chunk: Chunk, fresh: News) -> None:
        """Count what a chunk brought into the outcome."""
        for bot, reading in chunk.readings:
            name = BotName(chunk.source, bot)
            outcome = self.outcome.bots[name]
            self._rejected[name].update((row.reason, row.raw) for row in reading.rejected)
            outcome.rejected = len(self._rejected[name])
            if reading.certificate:
                outcome.certified = reading.certificate.certified and (
                    outcome.certified or not outcome.windows
                )
                outcome.windows += 1
        self.outcome.changes += len(fresh.changes)

    def _loaded(self, source: str, rows: Mapping[str, int]) -> None:
        """Count what was loaded."""
        for name, outcome in self.outcome.bots.items():
            if name.source == source:
                outcome.rows_loaded += rows.get(name.bot, 0)
                outcome.cursor = self._loader.cursors.get((source, name.bot))
