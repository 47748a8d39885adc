"""The transcripts of a sync, where they are switched on: messages of conversations that changed.

They are read after the conversations are loaded, which say what is due; so nothing is to be
remembered but which transcript was read as of what, and that is written after its messages.
Whatever fails here fails no bot: its conversations stand, the failure is named.
"""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa

from pipelines import books, due, tables
from pipelines.due import Due
from pipelines.errors import ApiError, BadRequest, BrokenReply, NotFound
from pipelines.gptbots.messages import Messages as GptbotsMessages
from pipelines.interpret import Interpreted
from pipelines.jobs import BotName, GptbotsTask, Task
from pipelines.okchat.messages import Messages as OkchatMessages
from pipelines.run import CHUNK_ROWS, CHUNK_SECONDS, CONCURRENCY, Run
from pipelines.settings import Settings
from pipelines.transcript import Transcript, Transcripts

REFUSALS = 3
"""So many conversations that are not found, and none that is: then it is not they that are gone."""


def read_transcripts(run: Run) -> None:
    """Read what is due of the bots whose conversations were read, newest first, and load it."""
    most = {name: cap for name in run.tasks if (cap := cap_of(run.settings, name.source))}
    if not most:
        return
    run.write_audit()  # what is known of the conversations outlives a kill in here
    owners = due.owners(run.tasks)
    asked = {name: cap for name, cap in most.items() if name in run.healthy}
    found = run.stored.look(partial(due.newest, owners=owners, most=asked)) or {}
    queues = {n: _Queue(_reader(run, n), deque(d), most[n]) for n, d in found.items()}
    while open_ones := {n: queue for n, queue in queues.items() if queue.is_open}:
        _load(run, run.ask({name: queue.some for name, queue in open_ones.items()}))
    for name, queue in queues.items():
        run.outcome.bots[name].failures += [f"messages: {why}" for why in queue.failures]
    for name in asked.keys() - queues.keys():
        run.outcome.bots[name].transcripts_due = 0
    count_due(run, queues.keys() | (most.keys() - asked.keys()))


def count_due(run: Run, bots: Collection[BotName]) -> None:
    """Tell how many transcripts of these bots are due, where they are switched on."""
    names = [name for name in bots if cap_of(run.settings, name.source)]
    query = partial(due.counts, owners=due.owners(run.tasks), names=names)
    for name, count in ((run.stored.look(query) if names else None) or {}).items():
        run.outcome.bots[name].transcripts_due = count


def cap_of(settings: Settings, source: str) -> int:
    """Return how many requests a bot may have for transcripts; 0 where they are switched off."""
    of = settings.gptbots if source == "gptbots" else settings.okchat
    return of.messages_per_run if of.messages else 0


@dataclass(frozen=True)
class Read:
    """A transcript, or why there is none: `refused` says that the API has none to give."""

    of: Due
    rows: Sequence[Interpreted]
    messages: int
    requests: int
    evidence: str | None
    refused: bool = False


@dataclass
class _Queue:
    """What is due of one bot, read several at once, for a while at a time."""

    transcripts: Transcripts
    left: deque[Due]
    most: int
    spent: int = 0
    found_any: bool = False
    refused: list[tuple[Read, ApiError]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    broken: int = 0

    @property
    def is_open(self) -> bool:
        """Whether another conversation is to be asked for."""
        return bool(self.left) and self.spent < self.most

    async def some(self) -> list[Read]:
        """Read until it is time to load what was read."""
        read: list[Read] = []
        until = time.monotonic() + CHUNK_SECONDS

        async def one() -> None:
            self.spent += 1
            read.extend(await self._one(self.left.popleft()))

        async def work() -> None:
            while self.is_open:
                await one()
                if time.monotonic() >= until or _messages(read) >= CHUNK_ROWS:
                    return

        if not self.found_any:
            await one()  # alone: what it teaches of the server saves the others requests
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(work())
        return [*read, *self._refused()] if self.found_any else read

    async def _one(self, wanted: Due) -> list[Read]:
        """Read one conversation, if that can be."""
        try:
            found = await self.transcripts.read(wanted.conversation_id)
        except (NotFound, BadRequest) as error:
            self._refuse(wanted, error)
        except ApiError as error:
            self._fail(error)
        else:
            self.found_any, self.broken = True, 0
            self.spent += found.requests - 1
            return [_read(wanted, found)]
        return []

    def _refuse(self, wanted: Due, error: ApiError) -> None:
        """Note a conversation that is not there; unless none is, then it is the way to them."""
        self.refused.append((Read(wanted, (), 0, 1, error.message, refused=True), error))
        if not self.found_any and len(self.refused) == REFUSALS:
            self._end(f"{error}, of each of {REFUSALS} conversations")

    def _refused(self) -> list[Read]:
        """Take what was refused; one that is not found is gone, another refusal is told."""
        taken, self.refused = self.refused, []
        if told := [str(error) for _, error in taken if isinstance(error, BadRequest)]:
            more = f", and {len(told) - 1} more" if len(told) > 1 else ""
            self.failures.append(f"{told[0]}{more}")
        return [read for read, _ in taken]

    def _fail(self, error: ApiError) -> None:
        """Leave a conversation whose answer is broken; end with two in turn, and all else."""
        self.broken += 1
        if isinstance(error, BrokenReply) and self.broken == 1:
            self.failures.append(str(error))
        else:
            self._end(str(error))

    def _end(self, why: str) -> None:
        self.left.clear()
        self.failures.append(why)


def _read(wanted: Due, found: Transcript) -> Read:
    return Read(wanted, found.rows, found.messages, found.requests, found.evidence)


def _messages(read: Sequence[Read]) -> int:
    return sum(one.messages for one in read)


def _reader(run: Run, name: BotName) -> Transcripts:
    return Transcripts(_api(run.settings, name, run.tasks[name]).page)


def _api(settings: Settings, name: BotName, task: Task) -> GptbotsMessages | OkchatMessages:
    if isinstance(task, GptbotsTask):
        return GptbotsMessages(task.client, name.bot)
    of = settings.okchat
    names = (of.page_param, of.limit_param)
    return OkchatMessages(task.client, name.bot, task.chatbot_id, of.page_size, names)


def _load(run: Run, answers: Mapping[BotName, Sequence[Read]]) -> None:
    """Load what is new of the messages, then write whose transcripts are read."""
    for source in {name.source for name in answers}:
        of_source = {name: read for name, read in answers.items() if name.source == source}
        parts = {n: [run.veil(p) for one in r for p in one.rows] for n, r in of_source.items()}
        rows = [part.table for of_bot in parts.values() for part in of_bot]
        run.add(source, {tables.MESSAGES.name: _fresh(run, rows)})
        for name, of_bot in parts.items():
            run.note(name, [row for part in of_bot for row in part.rejected], None)
    for name, read in answers.items():
        run.outcome.bots[name].transcripts += sum(bool(one.evidence) for one in _done(read))
    run.write_audit()
    noted = [_noted(n, one) for n, read in answers.items() for one in read if one.evidence]
    if noted:
        schema = tables.TRANSCRIPTS.schema
        run.write({tables.TRANSCRIPTS.name: pa.Table.from_pylist(noted, schema)})


def _done(read: Sequence[Read]) -> list[Read]:
    return [one for one in read if not one.refused]


def _fresh(run: Run, rows: Sequence[pa.Table]) -> pa.Table:
    table = tables.MESSAGES
    read = books.newest(table, pa.concat_tables([table.schema.empty_table(), *rows]))
    fresh = run.stored.look(partial(books.news, table=table, read=read)) if len(read) else None
    return read if fresh is None else fresh


def _noted(name: BotName, one: Read) -> dict[str, object]:
    return {
        "source": name.source,
        "conversation_id": one.of.conversation_id,
        "bot": name.bot,
        "last_activity_at": one.of.last_activity_at,
        "message_count": one.of.message_count,
        "complete": not one.refused,
        "evidence": one.evidence,
        "messages": one.messages,
        "requests": one.requests,
        "read_at": datetime.now(UTC),
    }
