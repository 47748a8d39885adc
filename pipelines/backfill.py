"""Reads a range of time again, at any time; moves no cursor, replaces nothing newer."""

import time
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from functools import partial

from pipelines import http
from pipelines.errors import ConfigurationError
from pipelines.gptbots.windows import Window, milliseconds
from pipelines.jobs import BotName, GptbotsTask, Task, chosen, names
from pipelines.lock import locked
from pipelines.okchat.scan import Sweep
from pipelines.outcome import Outcome
from pipelines.reading import Reading
from pipelines.run import Run, Tell
from pipelines.settings import Settings
from pipelines.sync import Loading, show


def backfill(  # noqa: PLR0913 - what it may be told, all by name
    settings: Settings,
    since: datetime,
    until: datetime,
    *,
    bots: Collection[str] = (),
    models: bool = False,
    tell: Tell = lambda _: None,
    patience: float = http.PATIENCE,
) -> Outcome:
    """Read what was active in a range again, and load what differs.

    OKChat has no time filter: a chatbot's whole list is read, and all of it is taken.

    Args:
        settings: what is configured.
        since: where the range begins.
        until: where it ends, itself not in it.
        bots: names of bots; empty means all.
        models: build the models if anything was loaded since they were built.
        tell: called with the outcome as it grows.
        patience: seconds after which a failing request is given up.

    Raises:
        ConfigurationError: the range is empty, or a bot is not configured.
        WarehouseBusy: another sync runs, or another program holds the file.
        WarehouseFailed: the warehouse can't be read or written.
    """
    started = time.monotonic()
    if since >= until:
        raise ConfigurationError("the range is empty: --from must lie before --to")
    with locked(settings) as held:
        with Run(settings, _named(settings, bots), tell, patience, held) as run:
            jobs = {n: partial(_read, task, since, until) for n, task in run.tasks.items()}
            run.read(jobs, Loading(run, moving=False))
            run.finish()
        if models:
            show(settings, run.outcome, tell)
    run.outcome.seconds = time.monotonic() - started
    return run.outcome


def _named(settings: Settings, bots: Collection[str]) -> list[BotName]:
    configured = names(settings)
    if unknown := sorted(set(bots) - {name.bot for name in configured}):
        there = ", ".join(sorted(name.bot for name in configured))
        raise ConfigurationError(
            f"no bot named {', '.join(unknown)} is configured; there are: {there}"
        )
    return [name for name in chosen(settings, ()) if not bots or name.bot in bots]


def _read(task: Task, since: datetime, until: datetime) -> AsyncIterator[Reading]:
    if isinstance(task, GptbotsTask):
        return task.scan.windows([Window(milliseconds(since), milliseconds(until))])
    return Sweep(task.api.page).read()
