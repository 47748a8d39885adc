"""The commands on models: build, test, document. As in `cli.py`: parse, call, print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import ConvoyError

if TYPE_CHECKING:
    from pipelines.settings import Settings

app = typer.Typer(help="Build the models alone, test them, write their documentation.")


@app.callback(invoke_without_command=True)
def build(
    context: typer.Context,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Book the ledger anew, from the first change on.")
    ] = False,
) -> None:
    """Build the models alone, out of what is loaded; or test or document them."""
    if context.invoked_subcommand:
        return
    from pipelines import output
    from pipelines import sync as run

    with held(on_spark=True) as configured:
        built = run.build_models(configured, full_refresh=full_refresh)
    output.say(f"{built.models} models built in {built.seconds:.1f} s")


@app.command()
def test() -> None:
    """Test what the models show: keys, ranges, sums that must agree, bills, freshness.

    Ends with 1 where one fails; one that only warns is named.
    """
    from pipelines import models, output

    with held() as configured:
        work, zone = configured.work, configured.time_zone
        tested = models.run_tests(configured.warehouse, work, zone=zone)
    for warning in tested.warnings:
        output.say(f"warning: {warning}")
    output.say(f"{tested.tests} tests passed, {len(tested.warnings)} of them with a warning")


@app.command()
def docs(
    to: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path(
        "models.html"
    ),
) -> None:
    """Write the browsable documentation of all models and columns as one HTML file."""
    from pipelines import models, output, target

    with held() as configured:
        target.check(to, configured)
        work, zone = configured.work, configured.time_zone
        models.document(configured.warehouse, work, to, zone=zone)
    output.say(f"{to.absolute()} is written; open it in a browser")


@contextmanager
def held(*, on_spark: bool = False) -> Iterator["Settings"]:
    """Hold the warehouse that is configured; there must be one.

    Of a lakehouse only what is done on Spark can be, and where one is configured.
    """
    from pipelines import settings
    from pipelines.lake.place import MODELS_ELSEWHERE, Lake
    from pipelines.lock import locked
    from pipelines.warehouse import exists

    configured = settings.load(need_bots=False)
    if not exists(configured.warehouse):
        message = f"there is no warehouse at {configured.warehouse} yet; run `convoy sync` first"
        raise ConvoyError(message)
    if isinstance(configured.warehouse, Lake) and not (on_spark and configured.spark):
        raise ConvoyError(MODELS_ELSEWHERE)
    with locked(configured):
        yield configured
