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


class Source(StrEnum):
    """The sources there are."""

    GPTBOTS = "gptbots"
    OKCHAT = "okchat"


Yes = Annotated[bool, typer.Option("--yes", help="Mark what is gone upstream, however much it is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


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
