"""`python -m pipelines` is `convoy`: a process of its own."""

import errno
import sys
from typing import TYPE_CHECKING

from pipelines import pandas_refused
from pipelines.cli import main

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def run() -> None:
    """Run a command, without pandas."""
    pandas_refused.refuse()
    sys.unraisablehook = _unraisable
    main()


def _unraisable(found: "UnraisableHookArgs") -> None:
    """Show what went wrong where nobody can be told, but for a full disk, which was told.

    Writers of dlt's that could not write find that out once more as they are thrown away.
    """
    if not (isinstance(found.exc_value, OSError) and found.exc_value.errno == errno.ENOSPC):
        sys.__unraisablehook__(found)


if __name__ == "__main__":
    run()
