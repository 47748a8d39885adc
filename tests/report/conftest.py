"""What the tests of the report start from: a published file, and a browser that opens reports."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from project import Project

from pipelines import models
from pipelines.simulator import Simulator, World
from report.opened import ARGUMENTS, CHROMIUM, Opened
from report.published import publish, spoil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two GPTBots bots and a chatbot, synced twice, with hostile texts among them."""
    folder = tmp_path_factory.mktemp("published")
    (folder / ".dlt").mkdir()
    now = datetime.now(UTC) - timedelta(hours=49)
    world = World.seeded(
        7,
        bots={"support": 700, "sales": 300},
        chatbots={"website": 200},
        start=now - timedelta(days=100),
        now=now,
    )
    project = Project(folder)
    with Simulator(world) as upstream, contextlib.chdir(folder):
        project.configure(upstream)
        assert project.sync().complete
        world.advance(timedelta(hours=48))
        assert project.sync().complete  # now the counters are not all of one day
    spoil(project.warehouse)
    models.build(project.warehouse, folder / "work")
    return publish(project.warehouse, folder / "out.duckdb")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium for all tests; required where CONVOY_BROWSER says so."""
    required = os.environ.get("CONVOY_BROWSER") == "required"
    if not (required or CHROMIUM.exists()):
        pytest.skip(f"no browser at {CHROMIUM}; install chromium to run this")
    if not required:
        pytest.importorskip("playwright", reason="playwright is not installed")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the dev environment only

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def open_report(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open a file as a reader would; nothing may leave it, nothing may be complained of."""
    with contextlib.ExitStack() as contexts:

        def opened(file: Path, *, width: int = 1280, scheme: str = "light") -> Opened:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
                timezone_id="Pacific/Auckland",  # a reader's own: it must change nothing
            )
            contexts.callback(context.close)
            page = Opened(context.new_page(), file)
            contexts.callback(page.assert_quiet)
            return page

        yield opened
