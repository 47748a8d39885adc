"""What several commands have in common: options, how a run is stopped, how it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pipelines.errors import Stopped

if TYPE_CHECKING:
    from pipelines.outcome import Outcome
    from pipelines.settings import Settings


class Source(StrEnum):
    """The sources there are."""

    GPTBOTS = "gptbots"
    OKCHAT = "okchat"


Yes = Annotated[bool, typer.Option("--yes", help="Mark what is gone upstream, however much it is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        envvar="CONVOY_SHARD",
        help='Only this part of the bots: "1/4" to "4/4", a worker each.',
    ),
]


def configured(shard: str | None) -> "Settings":
    """Read the settings, for all bots or for a part of them."""
    from pipelines import settings
    from pipelines import shard as shards

    try:
        part = shards.read(shard) if shard else None
    except ValueError as wrong:
        raise typer.BadParameter(f"{shard!r} {wrong}", param_hint="--shard") from None
    return settings.load().model_copy(update={"shard": part})


@contextmanager
def stopping() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end a run cleanly."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None


def _stop(signum: int, _frame: object) -> None:
    raise Stopped(signum)


def finish(outcome: "Outcome", *, as_json: bool) -> NoReturn:
    """Print what a run did and end with its exit code."""
    from pipelines import output

    if as_json:
        output.print_json(outcome.as_json())
    else:
        output.summary(outcome)
    raise typer.Exit(0 if outcome.complete else 1)
