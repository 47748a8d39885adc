"""Where a scenario plays: a project, a world, a simulator of it; and what it may assert."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from project import Project, assert_equal_to_truth

from pipelines import settings
from pipelines.cursor import stored_cursors
from pipelines.simulator import Knobs, Simulator, World
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    import pytest
    from conftest import Simulate

    from pipelines.outcome import Outcome
    from pipelines.settings import Settings
    from pipelines.simulator import Request

HISTORY = timedelta(days=60)


class Templates:
    """Warehouses after a first sync, made once for each kind of world.

    Their worlds are old, so that they are the same whenever they are made again.
    """

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC) - timedelta(days=20)
        self._folder = folder
        self._made: dict[str, Path] = {}

    def lay(self, kind: str, project: Project) -> None:
        """Put the warehouse of a kind of world into a project; sync where there is none yet."""
        if kind not in self._made:
            assert project.sync().complete
            shutil.rmtree(project.folder / ".convoy")
            self._made[kind] = self._folder / f"{len(self._made)}.duckdb"
            shutil.copy(project.warehouse, self._made[kind])
        shutil.copy(self._made[kind], project.warehouse)


class Scene:
    """A project and its upstream; `patched` is undone when the scenario ends."""

    world: World
    upstream: Simulator

    def __init__(
        self,
        project: Project,
        simulate: Simulate,
        templates: Templates,
        patched: pytest.MonkeyPatch,
    ) -> None:
        self.project = project
        self.patched = patched
        self._simulate = simulate
        self._templates = templates

    def open(
        self,
        *,
        bots: Mapping[str, int] | None = None,
        chatbots: Mapping[str, int] | None = None,
        knobs: Knobs | None = None,
        **configured: Any,  # noqa: ANN401 - passed on to `configure`
    ) -> None:
        """Make a world that ended twenty days ago, serve it, configure it."""
        now = self._templates.now
        self.world = World.seeded(7, bots=bots, chatbots=chatbots, start=now - HISTORY, now=now)
        self.upstream = self._simulate(self.world, knobs)
        self.configure(**configured)

    def open_synced(self, *, configured: Collection[str] | None = None, **world: Any) -> None:  # noqa: ANN401 - as `open`
        """Do the same, and have it synced; only the bots that are named if any are."""
        self.open(**world, bots_configured=configured)
        self._templates.lay(repr((sorted(world.items()), configured)), self.project)
        self.upstream.clear_log()

    def configure(
        self,
        bots_configured: Collection[str] | None = None,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> None:
        """Write the configuration."""
        self.project.configure(self.upstream, bots=bots_configured, **options)

    @property
    def settings(self) -> Settings:
        """What is configured."""
        return settings.load()

    def sync(self) -> Outcome:
        """Sync in peace from here on."""
        return self.project.sync(patience=5.0)

    def until_now(self) -> None:
        """Let time go on to the present, but for a minute, with nothing happening in it."""
        present = datetime.now(UTC) - timedelta(minutes=1)
        self.world.advance(present - self.world.now, activity=False)

    def wait(self, step: timedelta = timedelta(seconds=1)) -> None:
        """Let a little time go on."""
        self.world.advance(step, activity=False)

    def ids(self, name: str) -> list[str]:
        """Return the conversations that are there, the latest first."""
        return [row.conversation_id for row in self.world.accounts[name].timeline.rows()][::-1]

    def before_page(self, number: int, act: Callable[[], object]) -> None:
        """Act once, before that page of a list is answered."""
        self.once(lambda request: request.params.get("page") == str(number), act)

    def before_request(self, number: int, act: Callable[[], object]) -> None:
        """Act once, before that request is answered, counted from 1 and from now."""
        done = len(self.upstream.log)
        self.once(lambda _: len(self.upstream.log) - done == number - 1, act)

    def once(self, when: Callable[[Request], bool], act: Callable[[], object]) -> None:
        """Act once, before the first request of that kind is answered; keep what is set up."""
        left, others = [act], self.upstream.on_request

        def hook(request: Request) -> None:
            if others:
                others(request)
            if left and when(request):
                left.pop()()

        self.upstream.on_request = hook

    # What may be asserted.

    def assert_complete(self, *names: str) -> None:
        """All is as it is upstream, field by field."""
        try:
            assert_equal_to_truth(self.project, self.world, *names)
        except AssertionError as wrong:
            raise AssertionError(str(wrong) or "rows are stale") from wrong

    def assert_none_missing(self) -> None:
        """Each conversation that is there is in the warehouse, at whatever version."""
        there = {found for name in self.world.accounts for found in self.ids(name)}
        stored = {row["conversation_id"] for row in self.project.rows("from chat.conversations")}
        assert there <= stored, "rows are missing"

    def assert_marked(self, *ids: str) -> None:
        """Exactly these are marked as deleted."""
        query = "from chat.conversations where deleted_at is not null"
        marked = {row["conversation_id"] for row in self.project.rows(query)}
        assert set(ids) <= marked, "rows are not marked"
        assert marked <= set(ids), "rows are marked that are there"

    def cursors(self) -> Mapping[tuple[str, str], datetime]:
        """Return the cursors that the warehouse holds."""
        with connect(self.project.warehouse, read_only=True) as connection:
            return stored_cursors(connection)

    def most_within(self, name: str, seconds: float) -> int:
        """Return the most requests of a bot in any so many seconds, as they arrived."""
        times = sorted(logged.at for logged in self.upstream.log if logged.bot == name)
        # A thousandth less: between processes goes the wall clock, and that is sometimes slewed.
        return max(sum(t <= other < t + seconds * 0.999 for other in times) for t in times)
