"""W4, W5, W7 and W8: most is loaded already, and a little of it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checks import Run, ask
from contestants import OURS, models, sync
from figures import Figure, Workload, divided, figure, middle, ratio, requests, sql, wall
from rounds import Bench, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from simulated import Upstream


def changed(bench: Bench, upstream: Upstream, folder: Path) -> None:
    """W4 and W5, in turn on one warehouse: some conversations changed, then nothing."""
    some = bench.many(1_000)
    after, idle = [], []
    for _ in range(bench.repeat):
        before = change(upstream, folder, some)
        run = sync(upstream, folder)
        after.append(told("W4", "ours", brought(run, folder, before, some)))
        idle.append(told("W5", "ours", sync(upstream, folder)))
    both = {"W4": after, "W5": idle}
    figures = figure("wall, W4 ÷ W5", ratio(both, "W4", "W5"), at_most=1.5)
    figures += figure("requests", middle(after, requests), at_most=13)
    title = f"{some:,} conversations changed, the rest is loaded"
    bench.done["W4"] = Workload("W4", title, None, {"ours": after}, figures)
    figures = figure("wall", middle(idle, wall), "s", at_most=1.3)
    figures += figure("requests a bot", middle(idle, requests), at_most=2)
    bench.done["W5"] = Workload("W5", "nothing changed", None, {"ours": idle}, figures)


def change(upstream: Upstream, folder: Path, some: int) -> str:
    """Let some of the loaded conversations go on, strewn over all of the history."""
    one_of_all = "select conversation_id from chat.conversations order by hash(conversation_id, ?)"
    before = str(upstream.state()["now"])
    found = ask(folder, f"{one_of_all} limit {some}", before)
    return upstream.change([str(conversation) for (conversation,) in found])


def brought(run: Run, folder: Path, before: str, some: int) -> Run:
    """Return a run that counts only if all that changed is in the warehouse."""
    newer = "select count(*) from chat.conversations where last_activity_at > ?::timestamptz"
    loaded = ask(folder, newer, before)[0][0] if not run.wrong else some
    wrong = run.wrong if loaded == some else f"{loaded} of {some} changes"
    return Run(run.usage, run.requests, wrong)


def modelled(bench: Bench, upstream: Upstream, folder: Path, rows: int) -> None:
    """W7 at one size: models built in full, then after some conversations changed."""
    some = bench.many(1_000)
    full, incremental = f"{rows:,}, in full", f"{rows:,}, incremental"
    runs: dict[str, list[Run]] = {full: [], incremental: []}
    for _ in range(bench.repeat):
        runs[full].append(told("W7", full, models(upstream, folder, "--full-refresh")))
        before = change(upstream, folder, some)
        synced = brought(sync(upstream, folder), folder, before, some)
        run = models(upstream, folder)
        run = Run(run.usage, run.requests, run.wrong or synced.wrong, run.sql)
        runs[incremental].append(told("W7", incremental, run))
    title = f"models, in full and after {some:,} changes"
    held = bench.done.setdefault("W7", Workload("W7", title, None, {}))
    held.runs |= runs
    held.notes = ["SQL: the seconds of each model and seed by dbt's own log, added up."]
    held.figures = compared(held.runs)


def compared(runs: Mapping[str, Sequence[Run]]) -> list[Figure]:
    """Compare the sizes of W7, once both are there."""
    small_full, small, *large = runs
    if not large:
        return []
    found = figure(
        "SQL of the incremental build, large ÷ small",
        ratio(runs, large[1], small, sql),
        at_most=1.5,
    )
    found += figure("SQL of the full build, large ÷ small", ratio(runs, large[0], small_full, sql))
    return found + figure("SQL, incremental ÷ full, large", ratio(runs, large[1], large[0], sql))


def swept(bench: Bench) -> None:
    """W8: a list without a time filter, of which a little changed."""
    rows, some = bench.many(100_000), bench.many(1_000)
    runs: list[Run] = []
    with bench.upstream({}, {"chatbot": rows}) as upstream:
        folder = bench.fresh()
        told("to begin with,", OURS.name, sync(upstream, folder, api="okchat"))
        for _ in range(bench.repeat):
            before = change(upstream, folder, some)
            run = brought(sync(upstream, folder, api="okchat"), folder, before, some)
            runs.append(told("W8", "ours", run))
    figures = figure("wall", middle(runs, wall), "s")
    pages = figure("requests ÷ full pages", divided(middle(runs, requests), rows / 100))
    title = f"OKChat sweep of {rows:,} conversations, {some:,} of them changed"
    bench.done["W8"] = Workload("W8", title, rows, {"ours": runs}, figures + pages)
