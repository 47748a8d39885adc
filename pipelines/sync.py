"""One run: lock, read, load in chunks, models."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from pipelines import http
from pipelines.chunk import Audit, Chunk, batch, behind, by_bot, chunks
from pipelines.cursor import Cursor
from pipelines.errors import ConfigurationError, ModelsFailed, WarehouseBusy
from pipelines.jobs import BOTS, BotName, Task, Wire, names, tasks
from pipelines.loader import Loader
from pipelines.news import News, news
from pipelines.outcome import BotOutcome, Outcome
from pipelines.reader import Reader
from pipelines.settings import Settings
from pipelines.warehouse import connect, known

if TYPE_CHECKING:
    from pipelines.models import Built

CONCURRENCY = 8
"""Requests under way at once, over all bots."""
CHUNK_ROWS = 50_000
"""Rows of one commit, about; a run that dies loses no more than that and what is ahead."""
CHUNK_SECONDS = 30.0
"""A commit at least so often, where rows come slowly."""

Tell = Callable[[Outcome], None]


def sync(
    settings: Settings,
    *,
    sources: Collection[str] = (),
    models: bool = True,
    tell: Tell = lambda _: None,
    patience: float = http.PATIENCE,
) -> Outcome:
    """Bring the warehouse up to date.

    Args:
        settings: what is configured.
        sources: read only these; empty means all.
        models: build the models if anything was loaded since they were built.
        tell: called with the outcome as it grows, about ten times a second.
        patience: seconds after which a failing request is given up.

    Raises:
        ConfigurationError: none of the chosen sources has a bot.
        WarehouseBusy: another sync runs, or another program holds the file.
        WarehouseFailed: the warehouse can't be read or written.
    """
    started = time.monotonic()
    if not names(settings, sources):
        table = " and ".join(sorted(BOTS[source] for source in sources))
        message = f"no bot of {' and '.join(sources)} is configured; add one to {table}"
        raise ConfigurationError(message)
    with locked(settings):
        outcome = _Run(settings, sources, tell, patience).run()
        if models:
            _models(settings, outcome, tell)
    outcome.seconds = time.monotonic() - started
    return outcome


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the warehouse against other syncs; a lock left by a dead process is no obstacle.

    Raises:
        WarehouseBusy: another sync runs.
    """
    if settings.warehouse.exists():
        with connect(settings.warehouse, read_only=True):
            pass  # what can't be opened is told before anything is made
    settings.work.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(settings.work / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        message = f"another sync holds {settings.warehouse}; wait for it to end"
        raise WarehouseBusy(message) from None
    try:
        yield
    finally:
        lock.release()


class _Run:
    """Reads all chosen bots and loads what is new, chunk by chunk."""

    def __init__(
        self, settings: Settings, sources: Collection[str], tell: Tell, patience: float
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._patience = patience
        self._loader = Loader(settings.warehouse, settings.work)
        chosen = names(settings, sources)
        self._outcome = Outcome({name: BotOutcome(name.source, name.bot) for name in chosen})
        self._tasks: Mapping[BotName, Task] = {}
        self._audit = Audit()

    def run(self) -> Outcome:
        """Read until nothing is left to read, load what is ready now and then."""
        with (
            ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="request") as pool,
            http.session(CONCURRENCY) as session,
        ):
            chosen = list(self._outcome.bots)
            cursors = self._loader.cursors
            at = {name: cursors.get((name.source, name.bot)) for name in chosen}
            slots = self._settings.work / "budget"
            self._tasks = tasks(
                self._settings, at, Wire(session, pool, self._patience, slots=slots)
            )
            with Reader({name: task.read for name, task in self._tasks.items()}) as reader:
                while taken := reader.take(
                    CHUNK_ROWS, CHUNK_SECONDS, lambda: self._progress(reader)
                ):
                    for chunk in chunks(taken):
                        self._load(chunk)
                self._loader.note(self._audit.take())
                self._progress(reader)
                for outcome in self._outcome.bots.values():
                    outcome.loaded = outcome.error is None
                self._tell(self._outcome)
        return self._outcome

    def _load(self, chunk: Chunk) -> None:
        """Load what a chunk brings that is not there yet, and its certificates."""
        read = chunk.read
        fresh = news(read, known(self._settings.warehouse, chunk.source, read["conversation_id"]))
        self._audit.add(chunk)
        cursors = self._cursors(chunk)
        late = behind(fresh, cursors)
        if fresh:
            _marker(self._settings).unlink(missing_ok=True)
        if fresh or len(late):
            self._loader.load(chunk.source, batch(fresh, self._audit.take(), late), cursors)
        self._count(chunk, fresh)

    def _cursors(self, chunk: Chunk) -> dict[str, Cursor]:
        at = self._loader.cursors
        return {
            name.bot: replace(task.cursor, last=at.get((name.source, name.bot)))
            for name, task in self._tasks.items()
            if name.source == chunk.source
        }

    def _count(self, chunk: Chunk, fresh: News) -> None:
        loaded = {bot: len(rows) for bot, rows in by_bot(fresh.conversations).items()}
        for bot, reading in chunk.readings:
            outcome = self._outcome.bots[BotName(chunk.source, bot)]
            outcome.rejected += len(reading.rejected)
            outcome.rows_loaded += loaded.pop(bot, 0)
            outcome.cursor = self._loader.cursors.get((chunk.source, bot))
            if reading.certificate:
                outcome.certified = reading.certificate.certified and (
                    outcome.certified or not outcome.windows
                )
                outcome.windows += 1
        self._outcome.changes += len(fresh.changes)

    def _progress(self, reader: Reader) -> None:
        for name, progress in reader.progress.items():
            outcome = self._outcome.bots[name]
            outcome.rows_read = progress.rows
            outcome.requests = self._tasks[name].client.requests
            outcome.done = progress.done
            outcome.error = str(progress.error) if progress.error else None
        self._tell(self._outcome)


def build_models(settings: Settings) -> "Built":
    """Build the models, under the lock, and note that they show all that is loaded.

    Raises:
        ModelsFailed: names each model that failed, and why.
        WarehouseBusy: another program holds the file.
    """
    from pipelines import models  # noqa: PLC0415 - dbt costs a second and is often not needed

    with connect(settings.warehouse):
        pass  # an open file is told as such, not as a model that failed
    built = models.build(settings.warehouse, settings.work)
    _marker(settings).touch()
    return built


def _models(settings: Settings, outcome: Outcome, tell: Tell) -> None:
    """Build the models unless they already show all that is loaded."""
    if _marker(settings).exists() or not settings.warehouse.exists():
        return
    outcome.models = "building"
    tell(outcome)
    try:
        build_models(settings)
    except ModelsFailed as failed:
        outcome.models = "failed"
        outcome.models_error = str(failed)
    else:
        outcome.models = "built"


def _marker(settings: Settings) -> Path:
    """A file that is there while the models show all that is loaded; lost, they are built."""
    return settings.work / "models-current"
