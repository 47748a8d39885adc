"""The backfill as a chart: time and memory of each contestant, the quickest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import vl_convert
from figures import memory, middle, wall

if TYPE_CHECKING:
    from figures import Workload

OURS, OTHERS, INK, QUIET = "#1f6feb", "#b6bec9", "#1f2328", "#59636e"


def svg(workload: Workload) -> str:
    """Return the chart of a workload as SVG, on white, for pages that are light or dark."""
    drawn: str = vl_convert.vegalite_to_svg(specification(workload))
    return drawn


def specification(workload: Workload) -> dict[str, Any]:
    """Return it for Vega-Lite."""
    values = [
        {"who": name, "wall": middle(runs, wall), "memory": middle(runs, memory)}
        for name, runs in workload.runs.items()
        if any(not run.wrong for run in runs)
    ]
    return {
        "title": {"text": workload.title.capitalize(), "anchor": "start", "fontSize": 15},
        "data": {"values": values},
        "hconcat": [bars("wall", "seconds, less is better", names=True), bars("memory", "peak MB")],
        "background": "white",
        "padding": 16,
        "config": {
            "font": "system-ui, Helvetica, Arial, sans-serif",
            "view": {"stroke": None},
            "axis": {"labelColor": INK, "titleColor": QUIET, "labelFontSize": 12},
            "title": {"color": INK},
        },
    }


def bars(of: str, title: str, *, names: bool = False) -> dict[str, Any]:
    """Return one panel: a bar and its figure for each contestant."""
    axis = {"domain": False, "ticks": False, "labelPadding": 8} if names else None
    who = {
        "field": "who",
        "type": "nominal",
        "title": None,
        "axis": axis,
        "sort": {"field": "wall", "op": "min"},
    }
    length = {
        "field": of,
        "type": "quantitative",
        "title": title,
        "axis": {
            "labels": False,
            "grid": False,
            "ticks": False,
            "domain": False,
            "titleAlign": "left",
            "titleX": 0,
        },
    }
    colour = {"condition": {"test": "datum.who == 'ours'", "value": OURS}, "value": OTHERS}
    text = {"field": of, "type": "quantitative", "format": ",.1f" if of == "wall" else ",.0f"}
    return {
        "width": 260,
        "height": {"step": 30},
        "encoding": {"y": who, "x": length},
        "layer": [
            {"mark": {"type": "bar", "height": 18}, "encoding": {"color": colour}},
            {
                "mark": {"type": "text", "align": "left", "dx": 5, "color": INK, "fontSize": 12},
                "encoding": {"text": text},
            },
        ],
    }
