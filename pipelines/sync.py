"""One sync: lock, read what is new, load it, compare with all there is, models, publish."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import built, http, live, publish
from pipelines.books import read_books
from pipelines.chunk import Chunk
from pipelines.errors import ConvoyError, Stopped
from pipelines.jobs import BotName, GptbotsTask, OkchatTask, chosen
from pipelines.lake.place import Lake
from pipelines.lock import locked
from pipelines.news import News
from pipelines.okchat.head import Head
from pipelines.okchat.scan import Sweep
from pipelines.outcome import Outcome
from pipelines.reader import Job
from pipelines.reconcile import reconcile
from pipelines.run import Run, Tell
from pipelines.settings import Settings
from pipelines.transcripts import read_transcripts
from pipelines.warehouse import connect, exists

if TYPE_CHECKING:
    from pipelines.models import Built


def sync(  # noqa: PLR0913 - what a sync may be told, all by name
    settings: Settings,
    *,
    sources: Collection[str] = (),
    bots: Collection[BotName] = (),
    models: bool = True,
    yes: bool = False,
    tell: Tell = lambda _: None,
    patience: float = http.PATIENCE,
) -> Outcome:
    """Bring the warehouse up to date.

    Args:
        settings: what is configured.
        sources: read only these; empty means all.
        bots: read only these; empty means all of the sources.
        models: build the models if anything was loaded since they were built, and publish.
        yes: mark what is gone upstream, however much it is.
        tell: called with the outcome as it grows, about ten times a second.
        patience: seconds after which a failing request is given up.

    Raises:
        ConfigurationError: none of the chosen sources has a bot, or a chosen bot is none of them.
        WarehouseBusy: another sync runs, or another program holds the file.
        WarehouseFailed: the warehouse can't be read or written.
    """
    started = time.monotonic()
    names = chosen(settings, sources, bots)
    with locked(settings) as held:
        with Run(settings, names, tell, patience, held) as run:
            run.read(jobs(run), Loading(run, moving=True))
            reconcile(run, Loading(run, moving=False), yes=yes)
            read_books(run)
            read_transcripts(run)
            run.finish()
        if models:
            show(settings, run.outcome, tell)
    run.outcome.seconds = time.monotonic() - started
    return run.outcome


class Loading:
    """Keeps what is found: loads it, marks what is gone."""

    def __init__(self, run: Run, *, moving: bool) -> None:
        self._run = run
        self._moving = moving

    def take(self, chunk: Chunk, fresh: News) -> None:
        """Load what is new, with or without the cursors."""
        self._run.load(chunk, fresh, moving=self._moving)

    def mark(self, name: BotName, gone: live.Gone) -> None:
        """Mark what is gone."""
        self._run.mark(name, gone)

    def waiting(self, _name: BotName) -> int:
        """Return 0: all that was taken is in the warehouse."""
        return 0

    def stale(self, _name: BotName) -> Collection[str]:
        """Return nothing: as above."""
        return ()


def full_jobs(run: Run) -> dict[BotName, Job]:
    """Return how each bot's news are read: from the lookback on, or by a sweep of all."""
    expected = run.expected([n for n, t in run.tasks.items() if isinstance(t, GptbotsTask)])
    return {
        name: partial(task.history.read, task.cursor.start, expected[name])
        if isinstance(task, GptbotsTask)
        else Sweep(task.api.page).read
        for name, task in run.tasks.items()
    }


def jobs(run: Run) -> dict[BotName, Job]:
    """Return the same, but only the head of a chatbot whose last sweep is recent enough."""
    found = full_jobs(run)
    every = run.settings.okchat.sweep_every
    chatbots = {n: t for n, t in run.tasks.items() if isinstance(t, OkchatTask) and every}
    if not chatbots:
        return found
    swept = run.stored.look(partial(live.last_sweeps, since=datetime.now(UTC) - every)) or ()
    for name, task in chatbots.items():
        if name.bot in swept:
            query = partial(live.chatbot, chatbot_id=task.chatbot_id)
            known, open_ids = run.stored.look(query) or ((), ())
            if len(open_ids) * task.page_size <= len(known):  # else a sweep costs less
                found[name] = partial(Head(task.api.page, task.api.one).read, known, open_ids)
    return found


def build_models(settings: Settings, *, full_refresh: bool = False) -> "Built":
    """Build the models, under the lock, and note that they show all that is loaded.

    Raises:
        ModelsFailed: names each model that failed, and why.
        WarehouseBusy: another program holds the file.
    """
    from pipelines import models  # noqa: PLC0415 - dbt costs a second and is often not needed

    if isinstance(settings.warehouse, Lake) and settings.spark:
        from pipelines.lake import models as of_lake  # noqa: PLC0415 - as above

        zone = settings.time_zone
        return of_lake.build(settings.warehouse, settings.spark, settings.work, zone=zone)
    with building(settings) as anew:
        return models.build(
            settings.warehouse,
            settings.work,
            zone=settings.time_zone,
            full_refresh=full_refresh or anew,
        )


@contextmanager
def building(settings: Settings) -> Iterator[bool]:
    """Let all models be built by whatever builds them, and note that they show all that is loaded.

    Yields whether they have to be built in full: other models than these built what is there.

    Where that fails, they show nothing in particular: the next sync builds them.

    Raises:
        WarehouseBusy: another program holds the file.
    """
    # An open file is told as such, not as a model that failed.
    with connect(settings.warehouse) as connection:
        anew = not built.by_these_models(connection)
        built.begin(connection)
    yield anew
    with connect(settings.warehouse) as connection:
        built.end(connection, settings.time_zone)


def show(settings: Settings, outcome: Outcome, tell: Tell) -> None:
    """Build the models and publish, unless both show already all that is loaded.

    What was loaded stands, whatever fails here: it is told in the outcome.
    """
    if isinstance(settings.warehouse, Lake):
        outcome.models = "elsewhere"
        return
    if not exists(settings.warehouse):
        return
    try:
        if not models_are_current(settings):
            outcome.models = "building"
            tell(outcome)
            build_models(settings)
            outcome.models = "built"
        if isinstance(settings.warehouse, Path) and not publish.is_current(settings):
            outcome.publish = "publishing"
            tell(outcome)
            publish.publish(settings)
            outcome.publish = "published"
    except Stopped:
        raise
    except ConvoyError as failed:
        if outcome.publish == "publishing":
            outcome.publish, outcome.publish_error = "failed", str(failed)
        else:
            outcome.models, outcome.models_error = "failed", str(failed)


def models_are_current(settings: Settings) -> bool:
    """Tell whether the models show all that is loaded.

    Raises:
        WarehouseBusy: another program writes to the file.
    """
    with connect(settings.warehouse, read_only=True) as connection:
        return built.are_current(connection, settings.time_zone)
