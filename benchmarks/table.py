"""Results as Markdown and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from figures import connections, cpu, memory, middle, ratio, requests, sql, threads, wall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from checks import Run
    from figures import Figure, Measure, Workload

COLUMNS: Mapping[str, tuple[Measure, str]] = {
    "wall s": (wall, ",.2f"),
    "CPU s": (cpu, ",.2f"),
    "peak MB": (memory, ",.0f"),
    "threads": (threads, ".0f"),
    "connections": (connections, ".0f"),
    "requests": (requests, ",.0f"),
}
TIMES = "wall ÷ ours"
MET = {True: "met", False: "**missed**", None: ""}


def markdown(workload: Workload) -> str:
    """Return a heading, the medians of each contestant, the figures with their targets."""
    parts = [
        f"### {workload.name} · {workload.title}",
        table(columns(workload), [line(workload, name) for name in workload.runs]),
        *workload.notes,
    ]
    if workload.figures:
        head = ["figure", "target", "measured", ""]
        parts.append(table(head, [judged(figure) for figure in workload.figures]))
    return "\n\n".join(parts) + "\n"


def columns(workload: Workload) -> list[str]:
    """Return the columns that say something here."""
    found = ["median of", *COLUMNS]
    found += ["SQL s"] if has_sql(workload) else []
    found += ["rows a second"] if workload.rows else []
    return found + ([TIMES] if "ours" in workload.runs and len(workload.runs) > 1 else [])


def line(workload: Workload, name: str) -> list[str]:
    """Return the cells of a contestant: what is wrong with it, if none of its runs counts."""
    runs = workload.runs[name]
    counted = [run for run in runs if not run.wrong]
    title = f"{name} ({len(counted)} of {len(runs)})"
    if not counted:
        return [title, f"failed: {runs[0].wrong}".replace("|", " ")] if runs else [title, "not run"]
    cells = [title, *(shown(runs, of, form) for of, form in COLUMNS.values())]
    cells += [shown(runs, sql, ".2f")] if has_sql(workload) else []
    took = middle(runs, wall) or 1.0
    cells += [f"{workload.rows / took:,.0f}"] if workload.rows else []
    times = ratio(workload.runs, name, "ours")
    return [*cells, f"{times:.2f}" if times else ""]


def shown(runs: Sequence[Run], of: Measure, form: str) -> str:
    """Return the median of a measure."""
    value = middle(runs, of)
    return "" if value is None else format(value, form)


def has_sql(workload: Workload) -> bool:
    """Tell whether models were built."""
    return any(run.sql is not None for runs in workload.runs.values() for run in runs)


def judged(figure: Figure) -> list[str]:
    """Return the cells of a figure."""
    target = ""
    if figure.at_most is not None:
        target = f"at most {figure.at_most:g} {figure.unit}"
    elif figure.at_least is not None:
        target = f"at least {figure.at_least:g} {figure.unit}"
    measured = f"{figure.value:,.2f} {figure.unit}"
    return [figure.what, target.strip(), measured.strip(), MET[figure.met]]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; rows may be shorter than its head."""
    lines = [head, ["---"] * len(head), *([*row, *[""] * len(head)][: len(head)] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def whole(surroundings: Mapping[str, str], asked: Mapping[str, object], parts: str) -> str:
    """Return the page of all results."""
    told = [*surroundings.items(), *((name, str(value)) for name, value in asked.items())]
    return f"# Results of `make bench`\n\n{table(['', ''], map(list, told))}\n\n{parts}"


def document(
    surroundings: Mapping[str, str], asked: Mapping[str, object], done: Iterable[Workload]
) -> dict[str, object]:
    """Return everything for JSON: every run of every contestant, every figure."""
    workloads = [
        {
            **asdict(workload),
            "figures": [{**asdict(f), "met": f.met} for f in workload.figures],
        }
        for workload in done
    ]
    return {"surroundings": surroundings, "asked": asked, "workloads": workloads}
