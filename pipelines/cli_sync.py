"""The command `sync`, once or on a schedule. As in `cli.py`: parse, call, print."""

from typing import Annotated, NoReturn

import typer

from pipelines.cli_shared import AsJson, Source, Yes, finish, stopping

Every = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help='Sync again and again: "15m", or cron like "0 6 * * *" or "0 6 * * * Asia/Singapore".',
    ),
]


def sync(
    source: Annotated[
        list[Source] | None, typer.Option(help="Only this source; may be given again.")
    ] = None,
    no_models: Annotated[bool, typer.Option("--no-models", help="Load only.")] = False,
    yes: Yes = False,
    every: Every = None,
    as_json: AsJson = False,
) -> None:
    """Load what is new since the last sync, then build the models and publish if anything was.

    The first sync of a bot begins at its source's start_date and commits in chunks, oldest
    first: stopped at any moment, the next one goes on where it stood. A later sync reads again
    from `lookback` behind the cursor, so that what settles late is seen. Then the server's
    count of all history is compared with what is loaded: gaps are read, what is gone upstream is
    marked in deleted_at. One bot's failure stops no other.

    With --every it syncs at once and then at fixed points of the clock (15m: at :00, :15, :30
    and :45) until it is stopped, a line of log a sync, with --json a JSON document a line. What
    fails is tried again after 1, 2, 4 minutes and so on up to an hour. Ctrl-C or SIGTERM ends
    the sync that runs, then the schedule, with 0; a second one kills it. Wrong usage or
    configuration at the start ends with 2. [schedule] in the configuration says whom to tell
    about failures.
    """
    sources = [s.value for s in source or ()]
    if every is not None:
        _unattended(every, sources, no_models=no_models, yes=yes, as_json=as_json)
    from pipelines import output, settings
    from pipelines import sync as run

    configured = settings.load()
    with stopping(), output.progress(quiet=as_json) as tell:
        outcome = run.sync(configured, sources=sources, models=not no_models, yes=yes, tell=tell)
    finish(outcome, as_json=as_json)


def _unattended(
    every: str, sources: list[str], *, no_models: bool, yes: bool, as_json: bool
) -> NoReturn:
    # Nothing that costs memory is imported: it would be held for months.
    from pipelines import journal, notify, schedule, settings, unattended

    try:
        when = schedule.schedule(every)
    except ValueError as wrong:
        raise typer.BadParameter(f"{every!r} {wrong}", param_hint="--every") from None
    if yes:
        message = "--yes is for a sync that you watch; leave it out of a schedule"
        raise typer.BadParameter(message)
    tell = journal.as_json if as_json else journal.as_lines
    arguments = [argument for name in sources for argument in ("--source", name)]
    arguments += ["--no-models"] if no_models else []
    channels = notify.channels(settings.load())
    raise typer.Exit(unattended.run(when, arguments, channels, tell))
