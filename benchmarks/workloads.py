"""The workloads, in groups that share an upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfills import backfilled, crowd, distant, limited, multiplied
from changes import changed, modelled, swept
from rounds import Bench, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def million(bench: Bench) -> None:
    """W1, W4, W5 and W7 at their size, on one world."""
    rows = bench.many(1_000_000)
    with bench.upstream({"bot": rows}) as upstream:
        loaded = backfilled(bench, upstream, rows) if bench.wants("W1") else None
        if bench.wants("W4", "W5"):
            loaded = loaded or load(bench, upstream)
            changed(bench, upstream, loaded)
        if bench.wants("W7"):
            modelled(bench, upstream, loaded or load(bench, upstream), rows)


def five_million(bench: Bench) -> None:
    """W2, and W7 at this size."""
    rows = bench.many(5_000_000)
    with bench.upstream({"bot": rows}) as upstream:
        loaded = None
        if bench.wants("W2"):
            loaded = multiplied(bench, upstream, rows)
        if bench.wants("W7"):
            modelled(bench, upstream, loaded or load(bench, upstream), rows)


GROUPS: Mapping[Callable[[Bench], None], tuple[str, ...]] = {
    million: ("W1", "W4", "W5", "W7"),
    five_million: ("W2", "W7"),
    distant: ("W3",),
    limited: ("W6",),
    swept: ("W8",),
    crowd: ("W9",),
}
NAMES = sorted({name for names in GROUPS.values() for name in names})
