"""W1, W2, W3, W6 and W9: everything is loaded into an empty warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checks import Run
from contestants import FETCH, FLOOR, OURS, RIVALS, sync
from figures import (
    Figure,
    Workload,
    connections,
    divided,
    figure,
    memory,
    middle,
    ratio,
    threads,
    wall,
)
from rounds import Bench, rounds, told

from pipelines.run import CONCURRENCY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from simulated import Upstream

LATENCY = 0.1  # seconds
BUDGET = 100  # requests a minute
A_FEW = 8  # threads beyond those of the requests: the main one, the loop, DuckDB's, Arrow's
RIVALS_LEAST = {
    "dlt rest_api, tuned": 6,
    "dlt rest_api, defaults": 30,
    "Singer": 8,
    "Airbyte": 8,
}


def backfilled(bench: Bench, upstream: Upstream, rows: int) -> Path:
    """W1: everyone loads everything; returns what we loaded last."""
    contestants = [OURS, FLOOR, FETCH, *(RIVALS if bench.peers else ())]
    runs, loaded = rounds(bench, "W1", contestants, upstream)
    figures = figure("wall, ours ÷ floor", ratio(runs, "ours", "floor"), at_most=2.0)
    for who in RIVALS:
        value, least = ratio(runs, who.name, "ours"), RIVALS_LEAST[who.name]
        figures += figure(f"wall, {who.name} ÷ ours", value, at_least=least)
    figures += figure("peak memory of ours", middle(runs["ours"], memory), "MB", at_most=400)
    once = [who.name for who in RIVALS if who.slow and bench.peers and bench.repeat > 1]
    notes = [f"{' and '.join(once)}: run once, compared with ours of that round."] if once else []
    title = f"backfill of {rows:,} conversations of one bot, zero latency"
    bench.done["W1"] = Workload("W1", title, rows, runs, figures, notes)
    return loaded


def multiplied(bench: Bench, upstream: Upstream, rows: int) -> Path:
    """W2: five times as much."""
    runs, loaded = rounds(bench, "W2", [OURS, FLOOR], upstream)
    title = f"backfill of {rows:,} conversations of one bot, zero latency"
    bench.done["W2"] = Workload("W2", title, rows, runs, grown(bench, runs, rows))
    return loaded


def grown(bench: Bench, runs: Mapping[str, Sequence[Run]], rows: int) -> list[Figure]:
    """Compare W2 with W1."""
    if "W1" not in bench.done:
        return figure("peak memory of ours", middle(runs["ours"], memory), "MB")
    small = bench.done["W1"]
    first, now = small.runs["ours"], runs["ours"]
    more = divided(middle(now, memory), middle(first, memory))
    times = divided(middle(now, wall), middle(first, wall))
    speed = divided(rows / (small.rows or 1), times)
    return [
        *figure("peak memory of ours, W2 ÷ W1", more, at_most=1.15),
        *figure("rows a second of ours, W2 ÷ W1", speed, at_least=0.9),
        *figure("wall, ours ÷ floor", ratio(runs, "ours", "floor")),
    ]


def distant(bench: Bench) -> None:
    """W3: every answer takes a while."""
    rows = bench.many(100_000)
    with bench.upstream({"bot": rows}) as upstream:
        upstream.turn(latency=LATENCY)
        runs, _ = rounds(bench, "W3", [OURS], upstream)
    took = middle(runs["ours"], lambda run: wall(run) / (run.requests * LATENCY / CONCURRENCY))
    figures = figure("wall ÷ (requests × latency ÷ concurrency)", took, at_most=1.5)
    title = f"backfill of {rows:,} conversations of one bot, {LATENCY * 1000:.0f} ms latency"
    bench.done["W3"] = Workload("W3", title, rows, runs, figures)


def limited(bench: Bench) -> None:
    """W6: a key may send so many requests a minute, in real time and so once only."""
    rows = bench.many(34_500)
    with bench.upstream({"bot": rows}) as upstream:
        upstream.turn(requests_per_minute=BUDGET)
        run = sync(upstream, bench.fresh(), budget=BUDGET)
        if not run.wrong and (refused := upstream.refused()):
            run = Run(run.usage, run.requests, f"{refused} requests were refused")
    runs = {"ours": [told("W6", "ours", run)]}
    took = middle(runs["ours"], lambda run: wall(run) / (run.requests / BUDGET * 60))
    figures = figure("wall ÷ (requests ÷ budget)", took, at_most=1.05)
    least = (run.requests - 1) // BUDGET * 60
    figures += figure("least that the budget allows", least, "s")
    over_least = middle(runs["ours"], lambda run: wall(run) / max(1, least))
    figures += figure("wall ÷ the least that the budget allows", over_least, at_most=1.05)
    title = f"backfill of {rows:,} conversations, a key limited to {BUDGET} requests a minute"
    notes = ["In real time, once; the first minute's budget may be spent at once."]
    bench.done["W6"] = Workload("W6", title, rows, runs, figures, notes)


def crowd(bench: Bench) -> None:
    """W9: many bots at once."""
    each = bench.many(500)
    with bench.upstream({f"bot{number}": each for number in range(200)}) as upstream:
        runs, _ = rounds(bench, "W9", [OURS], upstream)
    mine = runs["ours"]
    figures = figure("connections", middle(mine, connections), at_most=CONCURRENCY)
    figures += figure("threads", middle(mine, threads), at_most=CONCURRENCY + A_FEW)
    if "W1" in bench.done:
        alone = middle(bench.done["W1"].runs["ours"], memory)
        more = divided(middle(mine, memory), alone)
        figures += figure("peak memory, W9 ÷ W1", more, at_most=1.15)
    title = f"200 bots of {each:,} conversations at once"
    bench.done["W9"] = Workload("W9", title, 200 * each, runs, figures)
