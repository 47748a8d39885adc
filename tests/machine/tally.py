"""How much the machine has done, over all its runs of this process."""

from __future__ import annotations

import time
from collections import Counter

_started = time.monotonic()
tally: Counter[str] = Counter()
"""Steps, syncs, kills and so on, by name; a step that found nothing to do is also idle."""


def report() -> str:
    """Return one line a name."""
    seconds = time.monotonic() - _started
    lines = [f"  {count:>7} {name}" for name, count in sorted(tally.items())]
    return "\n".join(["", f"the machine, {seconds:.0f} s:", *lines])
