"""The commands: parse, call, print. Heavy imports wait until a command needs them."""

import sys
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pipelines import cli_models, cli_sync
from pipelines.cli_shared import AsJson, Shard, Source, Yes, configured, finish, stopping
from pipelines.errors import ConvoyError

if TYPE_CHECKING:
    from pipelines.settings import Settings

app = typer.Typer(
    name="convoy",
    help="""Chat conversations from GPTBots and OKChat into a DuckDB warehouse: complete, current,
    counted to the last credit.

    Run it in a directory that holds a .dlt/ folder: .dlt/config.toml for settings,
    .dlt/secrets.toml for API keys, the environment on top (SOURCES__GPTBOTS__BASE_URL).
    No account yet? `convoy demo` shows it all on simulated data.

    Exit codes: 0 everything asked for is complete; 1 a bot or a step failed, the others are
    loaded; 2 wrong usage or configuration, nothing was touched; 75 another program holds the
    warehouse; 130 or 143 stopped by Ctrl-C or SIGTERM, nothing is lost.""",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How a query's rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


app.command()(cli_sync.sync)
app.add_typer(cli_models.app, name="models")


@app.command()
def backfill(
    since: Annotated[
        str, typer.Option("--from", help="Where the range begins, a date or instant.")
    ],
    until: Annotated[str, typer.Option("--to", help="Where it ends, itself not in it.")],
    bot: Annotated[
        list[str] | None, typer.Option(help="Only this bot; may be given again.")
    ] = None,
    no_models: Annotated[bool, typer.Option("--no-models", help="Load only.")] = False,
    shard: Shard = None,
    as_json: AsJson = False,
) -> None:
    """Read a range of time again, at any time, and load what differs.

    Finds what no sync looks for: counters that settled later than `lookback`. Moves no cursor,
    and never puts an older version over a newer one. OKChat has no time filter: of its chatbots
    the whole list is read.
    """
    from pipelines import backfill as run
    from pipelines import output

    chosen = configured(shard)
    start, end = _moment(since, "--from"), _moment(until, "--to")
    with stopping(), output.progress(quiet=as_json) as tell:
        outcome = run.backfill(chosen, start, end, bots=bot or (), models=not no_models, tell=tell)
    finish(outcome, as_json=as_json)


@app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Load and mark what differs.")] = False,
    yes: Yes = False,
    source: Annotated[
        list[Source] | None, typer.Option(help="Only this source; may be given again.")
    ] = None,
    shard: Shard = None,
    as_json: AsJson = False,
) -> None:
    """Compare all history with the APIs and name what is missing, stale or deleted.

    GPTBots: the server's counts, of the whole and of ever smaller recent parts, against the
    warehouse; where they differ, down to the windows that do, which are read. OKChat: row by
    row. Without --repair nothing is written. Ends with 1 where something differs or can't be
    told.
    """
    from pipelines import output
    from pipelines import verify as run

    chosen = configured(shard)
    sources = [s.value for s in source or ()]
    with stopping(), output.progress(quiet=as_json) as tell:
        found = run.verify(chosen, repair=repair, yes=yes, sources=sources, tell=tell)
    if as_json:
        output.print_json(found.as_json())
    else:
        output.differences(found)
    raise typer.Exit(0 if found.agrees else 1)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Show what is configured and try each key with one cheap request.

    Every fault is named with its mend, and any of them ends it with 2. Nothing is written.
    """
    from pipelines import check as run
    from pipelines import output, settings

    configured = settings.load()
    findings = run.check(configured)
    if as_json:
        output.print_json({"findings": findings})
    else:
        output.findings(configured, findings)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 2)


@app.command()
def status(
    max_lag: Annotated[
        str | None, typer.Option(help='Only tell which bots lag behind by more, like "1h".')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show each bot: rows, cursor, newest activity, last sync, and what is still to do.

    With --max-lag, for monitors: ends with 1 where the last complete sync of any configured bot
    is longer ago than that, or there is none, and names those. It answers while a sync writes.
    """
    from pipelines import jobs, output, settings
    from pipelines import status as run

    most = None if max_lag is None else _duration(max_lag, "--max-lag")
    configured = settings.load(need_bots=most is not None)
    names = [(name.source, name.bot) for name in jobs.names(configured)]
    if most is not None:
        _lags(configured, names, most, as_json=as_json)
    found = run.status(configured, names)
    if as_json:
        output.print_json(found.as_json())
    else:
        output.status(found)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SQL statement; - reads it from standard input.")],
    form: Annotated[Format, typer.Option("--format", "-f", help="How to write the rows.")] = (
        Format.TABLE
    ),
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the warehouse in SQL; read only.

    Tables are found in the schema `marts` first, then in `chat` (as loaded). For example:

    convoy query "select platform, credits, share_of_credits from platform_breakdown"

    convoy query -f csv -o spend.csv "from credit_spend_daily"

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe in front; JSON
    and Parquet give every text as it is.
    """
    from pipelines import output, settings, target
    from pipelines import query as run

    form = Format.JSON if as_json else form
    if form is Format.PARQUET and to is None and sys.stdout.isatty():
        message = "Parquet is no text: name a file with --output"
        raise typer.BadParameter(message)
    configured = settings.load(need_bots=False)
    if to:
        target.check(to, configured)
    rows = run.run(configured.warehouse, sys.stdin.read() if sql == "-" else sql)
    output.rows(rows, form.value, to)


@app.command()
def publish() -> None:
    """Write the file that dashboards read: the schemas `marts` and `chat`.

    It is put in place by a rename: whoever reads the former one neither waits nor sees half of
    the new one. Each sync that changed something does this by itself; alone, it is for a new
    [publish] path. Models that are behind are built first.
    """
    from pipelines import output
    from pipelines import publish as run
    from pipelines import sync as models

    with cli_models.held() as configured:
        run.assert_possible(configured)
        if not models.models_are_current(configured):
            models.build_models(configured)
        made = run.publish(configured)
    size = f"{made.bytes / 1e6:,.1f} MB"
    output.say(f"{made.path}: {made.tables} tables, {size}, in {made.seconds:.1f} s")


@app.command()
def report(
    to: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "report.html"
    ),
    days: Annotated[int, typer.Option(help="Days back that it shows.", min=1, max=3_660)] = 365,
) -> None:
    """Write a report as one HTML file, out of the published data.

    Credits a day, platforms, bots, completeness and the newest conversations without their
    messages; with filters that work in the file alone, without a server or a network.
    """
    from pipelines import output, settings, target
    from pipelines import report as run

    configured = settings.load(need_bots=False)
    target.check(to, configured)
    written = run.write(configured.shown, to, days=days)
    output.say(f"the report is {written} ({written.stat().st_size / 1e6:.1f} MB)")


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="The port, on loopback only.", min=0, max=65535)] = 8765,
    gptbots: Annotated[int, typer.Option(help="GPTBots conversations.", min=0)] = 10_000,
    bots: Annotated[int, typer.Option(help="GPTBots bots that they are spread over.", min=1)] = 2,
    okchat: Annotated[int, typer.Option(help="OKChat conversations.", min=0)] = 2_000,
    chatbots: Annotated[int, typer.Option(help="OKChat chatbots.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="The same seed is the same world.")] = 7,
    tick: Annotated[
        float | None, typer.Option(help="Every so many seconds conversations go on.")
    ] = None,
) -> None:
    """Serve both APIs over a simulated world, until stopped with Ctrl-C.

    Prints the configuration that points Convoy at it. Under /_sim/ other programs can let time
    pass, change how the server behaves and make it fail.
    """
    from pipelines import demo

    demo.serve(
        demo.Size(gptbots=gptbots, bots=bots, okchat=okchat, chatbots=chatbots),
        port=port,
        seed=seed,
        tick=tick,
    )


@app.command(name="demo")
def show(
    folder: Annotated[
        Path, typer.Option("--dir", help="Where to put it; an earlier demo there is replaced.")
    ] = Path("convoy-demo"),
) -> None:
    """See it work, without an account: simulated upstream, two syncs, models, answers."""
    from pipelines import demo

    demo.run(folder)


def main() -> None:
    """Run a command; an error is one sentence and its exit code, never a traceback."""
    try:
        app()
    except ConvoyError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)


def _lags(
    configured: "Settings", names: list[tuple[str, str]], most: timedelta, *, as_json: bool
) -> NoReturn:
    from pipelines import lag, output

    found = lag.lags(configured, names, most)
    if as_json:
        output.print_json(found.as_json())
    else:
        output.lags(found)
    raise typer.Exit(1 if found.stale else 0)


def _duration(text: str, option: str) -> timedelta:
    from pipelines import settings_values

    try:
        return settings_values.duration(text)
    except ValueError as wrong:
        raise typer.BadParameter(f"{text!r} {wrong}", param_hint=option) from None


def _moment(text: str, option: str) -> datetime:
    from pipelines import settings_values

    try:
        return settings_values.moment(text)
    except ValueError as wrong:
        raise typer.BadParameter(f"{text!r} {wrong}", param_hint=option) from None


def _fail(message: str, code: int) -> None:
    for line in message.splitlines():
        sys.stderr.write(f"convoy: {line}\n")
    sys.exit(code)
