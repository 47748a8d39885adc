"""What every test may start from: a world, a simulator of it, a project that reads it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import settings
from project import Project
from report.opened import ARGUMENTS, CHROMIUM, Opened

from pipelines.simulator import Faults, Knobs, Simulator, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from engines.spark import Spark
    from playwright.sync_api import Browser
    from postgres.server import Server

# Found failures are printed; nothing is timed, and nothing is kept between runs.
settings.register_profile("convoy", deadline=None, database=None, max_examples=50)
settings.load_profile("convoy")


class MakeWorld(Protocol):
    def __call__(
        self, *, bots: Mapping[str, int] | None = None, chatbots: Mapping[str, int] | None = None
    ) -> World: ...


class Simulate(Protocol):
    def __call__(
        self, world: World, knobs: Knobs | None = None, faults: Faults | None = None
    ) -> Simulator: ...


@pytest.fixture
def make_world() -> MakeWorld:
    """Make a world that has lived until a minute ago: its present lies behind the real one."""

    def make(
        *, bots: Mapping[str, int] | None = None, chatbots: Mapping[str, int] | None = None
    ) -> World:
        now = datetime.now(UTC) - timedelta(minutes=1)
        return World.seeded(7, bots=bots, chatbots=chatbots, now=now)

    return make


@pytest.fixture
def simulate() -> Iterator[Simulate]:
    """Serve worlds until the test ends."""
    with ExitStack() as running:

        def start(
            world: World, knobs: Knobs | None = None, faults: Faults | None = None
        ) -> Simulator:
            return running.enter_context(Simulator(world, knobs, faults))

        yield start


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project in a directory of its own, which becomes the working directory."""
    folder = tmp_path / "project"
    (folder / ".dlt").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return Project(folder)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server for all tests of a run; required where CONVOY_POSTGRES says so."""
    required = os.environ.get("CONVOY_POSTGRES") == "required"
    if not required:
        for module in ("psycopg2", "adbc_driver_postgresql"):
            pytest.importorskip(module, reason="the extra `postgres` is not installed")
    from postgres import server as own  # noqa: PLC0415 - of an extra

    if not (required or own.program("initdb")):
        pytest.skip("no PostgreSQL server; install postgresql to run this")
    with own.running() as found:
        yield found


@pytest.fixture
def sail(tmp_path: Path) -> Iterator[Spark]:
    """Sail, with workers of its own; required where CONVOY_SPARK says so."""
    if os.environ.get("CONVOY_SPARK") != "required":
        pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
        pytest.importorskip("pysail", reason="Sail is not installed")
    from engines import spark as engine  # noqa: PLC0415 - of an extra

    with engine.sail(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; required where CONVOY_BROWSER says so.

    No longer than for a module: as long as it is there, its event loop runs in this thread.
    """
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
    with ExitStack() as contexts:

        def opened(
            file: Path, *, width: int = 1280, scheme: str = "light", before: str = ""
        ) -> Opened:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
                timezone_id="Pacific/Auckland",  # a reader's own: it must change nothing
            )
            contexts.callback(context.close)
            context.add_init_script(before)
            page = Opened(context.new_page(), file)
            contexts.callback(page.assert_quiet)
            return page

        yield opened
