"""How much the machine has done, over all its runs of this process, and what failed."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_started = time.monotonic()
tally: Counter[str] = Counter()
"""Steps, syncs, kills and so on, by name; a step that found nothing to do is also idle."""


def report() -> str:
    """Return one line a name."""
    seconds = time.monotonic() - _started
    lines = [f"  {count:>7} {name}" for name, count in sorted(tally.items())]
    return "\n".join(["", f"the machine, {seconds:.0f} s:", *lines, ""])


def failed(error: BaseException, steps: Iterable[object]) -> None:
    """Let an error tell after which steps it came, and write both to the log if one is named.

    Hypothesis goes on from there to the fewest steps that fail; the log has those of the first.
    """
    tally["failures, with those on the way to the fewest steps"] += 1
    text = "\n".join(["the steps were:", *map(str, steps)])
    error.add_note(text)
    log(f"{type(error).__name__}: {error}\n{text}\n")


def log(text: str) -> None:
    """Write to the file that CONVOY_MACHINE_LOG names, if it does."""
    if path := os.environ.get("CONVOY_MACHINE_LOG"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
