"""The chart as a Vega-Lite specification, and the libraries that draw it.

The colours are variables of the page's style, so light, dark and print need no other chart.
"""

from functools import cache
from typing import Any

COLOURS = 6
"""Platforms with a colour of their own, the largest; the others share the last one."""
_HALF_A_DAY = {"expr": "width * 432e5 / (domain('x')[1] - domain('x')[0])"}
_DAYS = {
    # A day begins at the left edge of its bar; its name belongs under the middle.
    "labelOffset": _HALF_A_DAY,
    # Neither the day after the last one, nor a day twice where there is room for its hours.
    "labelExpr": "datum.value < domain('x')[1] && !utchours(datum.value) ? datum.label : ''",
    "format": "%-d %b",
    "grid": False,
    "ticks": False,
    "labelFlush": False,
    "labelSeparation": 12,
}
_LICENCE = "/* Vega, Vega-Lite, Vega-Embed: BSD-3-Clause, UW Interactive Data Lab */"


@cache
def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that needs no network."""
    import vl_convert  # noqa: PLC0415 - 85 MB, for this command only

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f"{_LICENCE}\n{bundle}"


def spend() -> dict[str, Any]:
    """Return the bars of credits a day; the page gives the rows of `spend`.

    A row is day (ms), slot (0 to COLOURS), credits (number) and tip (text).
    """
    slots = list(range(COLOURS + 1))
    return {
        "width": "container",
        "height": 240,
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"name": "spend", "values": []},
        "mark": {"type": "bar", "binSpacing": 1},
        "encoding": {
            "x": {
                "field": "day",
                "type": "temporal",
                "timeUnit": "utcyearmonthdate",
                "title": None,
                "axis": _DAYS,
            },
            "y": {
                "field": "credits",
                "type": "quantitative",
                "title": None,
                "axis": {"tickCount": 4, "domain": False, "ticks": False},
            },
            "color": {
                "field": "slot",
                "type": "nominal",
                "scale": {"domain": slots, "range": [f"var(--slot-{slot})" for slot in slots]},
                "legend": None,
            },
            "order": {"field": "slot", "type": "ordinal"},
            "tooltip": {"field": "tip", "type": "nominal"},
        },
        "config": _config(),
    }


def _config() -> dict[str, Any]:
    axis = {
        "labelColor": "var(--quiet)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "labelPadding": 6,
    }
    # The marks are hidden from screen readers: the figure bears a name and a table.
    return {
        "background": None,
        "font": "inherit",
        "aria": False,
        "axis": axis,
        "view": {"stroke": None},
    }
