"""The report as a reader has it: in a browser, without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pipelines import report
from report.published import EVIL_BOT, EVIL_CHANNEL, Asked, changed, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from report.opened import Opened

    Open = Callable[..., Opened]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
PERIOD = {"first": f"{NOW - 40 * DAY:%Y-%m-%d}", "last": f"{NOW - 3 * DAY:%Y-%m-%d}"}
FILTERS = [
    {"source": "GPTBots"},
    {"source": "OKChat"},
    {"platform": "whatsapp"},
    {"bot": "sales"},
    {"bot": "website"},
    PERIOD,
    {"source": "GPTBots", "platform": "web", "bot": "support", **PERIOD},
    {"source": "OKChat", "platform": "line", "bot": "website", **PERIOD},
]


@pytest.fixture(scope="session")
def written(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(published, tmp_path_factory.mktemp("report") / "report.html", now=NOW)


@pytest.fixture
def asked(published: Path) -> Asked:
    return Asked(published)


def normal(tiles: dict[str, str]) -> dict[str, str]:
    """Exact values without zeros at the end."""
    return {
        name: value.rstrip("0").rstrip(".") if "." in value else value
        for name, value in tiles.items()
    }


def test_every_filter_changes_the_figures_to_those_of_the_sql(
    written: Path, asked: Asked, open_report: Open
) -> None:
    opened = open_report(written)
    start = {"first": f"{NOW - 89 * DAY:%Y-%m-%d}", "last": f"{NOW:%Y-%m-%d}"}
    before = normal(opened.tiles())
    assert before == asked.tiles(**start)
    for filters in FILTERS:
        opened.page.click("#clear")
        assert normal(opened.tiles()) == before
        opened.choose(**filters)
        found = normal(opened.tiles())
        assert found == asked.tiles(**(start | filters)), filters
        assert found != before, filters
