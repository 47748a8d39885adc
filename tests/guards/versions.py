"""Promise 3: one version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING

from project import bot
from upstream import with_gptbots

from guards.guard import Guard, always, put, reword
from guards.windows import LARGE
from pipelines.gptbots.scan import Scan

if TYPE_CHECKING:
    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.gptbots.api import GptbotsApi
    from pipelines.simulator import Request

_NEWEST = "order by last_activity_at desc, observed_at desc"
CURRENT = "pipelines.news._CURRENT"


def one_settles_while_pages_are_read(scene: Scene) -> Steps:
    """Page 1 is read before and after that, so that both versions are in one reading."""
    scene.open(bots={"support": 250})
    yield
    first = scene.ids("support")[10]
    scene.before_page(2, lambda: scene.world.settle(first, Decimal("0.25")))
    outcome = scene.sync()
    assert bot(outcome, "support").rows_loaded == 250, "a row is loaded twice"
    scene.assert_complete()


def one_goes_back_while_pages_are_read(scene: Scene) -> Steps:
    """As where the answers come from several copies of a database."""
    scene.open(bots={"support": 250})
    yield
    row = scene.world.accounts["support"].timeline.rows()[-10]
    newest = row.moment
    scene.before_page(2, lambda: scene.world.edit(row.conversation_id, recent_chat_time=newest - 1))
    scene.sync()
    scene.world.edit(row.conversation_id, recent_chat_time=newest)
    scene.assert_complete()


def one_goes_back_between_syncs(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    yield
    row = scene.world.accounts["support"].timeline.rows()[-1]
    newest = row.moment
    scene.world.edit(row.conversation_id, recent_chat_time=newest - 60_000)
    scene.sync()
    scene.world.edit(row.conversation_id, recent_chat_time=newest)
    scene.assert_complete()


def windows_touch(scene: Scene) -> Steps:
    scene.open(bots={"support": 350})
    yield

    async def read(api: GptbotsApi) -> list[set[str]]:
        now = datetime.now(UTC)
        readings = Scan(api.page, window_rows=100).read(now - timedelta(days=200), now)
        return [set(r.table["conversation_id"].to_pylist()) async for r in readings]

    windows = with_gptbots(scene.upstream, "support", read)
    assert len(set().union(*windows)) == 350
    assert not any(a & b for a, b in combinations(windows, 2)), "a row is taken from two windows"


def one_chats_while_others_are_put_aside(scene: Scene) -> Steps:
    """It is read in the first chunk and in the last, which one package loads."""
    scene.open(bots={"support": 900})
    scene.until_now()
    for name in ("run.CHUNK_ROWS", "reader.READY_ROWS", "jobs.WINDOW_ROWS"):
        scene.patched.setattr(f"pipelines.{name}", 200)
    scene.patched.setattr("pipelines.jobs._SMALLEST_WINDOW", 200)
    scene.patched.setattr("pipelines.run.SPOOLED_ROWS", 1)
    yield
    oldest, lately = scene.ids("support")[-1], datetime.now(UTC) - timedelta(minutes=10)

    def is_last(request: Request) -> bool:
        return int(request.params.get("start_time", 0)) > lately.timestamp() * 1000

    scene.once(is_last, lambda: scene.world.chat(oldest))
    scene.sync()
    scene.assert_complete()


GUARDS = [
    Guard(
        3, "what is put aside holds a conversation once",
        put("pipelines.spool.Spool.holds", always(False)),  # noqa: FBT003 - what it returns
        one_chats_while_others_are_put_aside, "is there twice",
    ),
    Guard(
        3, "a row at a cut belongs to one window",
        put("pipelines.gptbots.attempt._between", lambda rows, *_: rows), windows_touch,
        "taken from two windows",
    ),
    Guard(
        3, "one row a conversation in a load",
        reword(CURRENT, ") = 1", ") > 0"), one_settles_while_pages_are_read,
        "a row is loaded twice",
    ),
    Guard(
        3, "of one activity what was read last",
        reword(CURRENT, _NEWEST, "order by last_activity_at desc, observed_at"),
        one_settles_while_pages_are_read, "rows are stale",
    ),
    Guard(
        3, "nothing older within a load", reword(CURRENT, _NEWEST, "order by observed_at desc"),
        one_goes_back_while_pages_are_read, "rows are stale",
    ),
    Guard(
        3, "nothing older than what is known",
        reword(CURRENT, "newest.last_activity_at >= known.last_activity_at", "true"),
        one_goes_back_between_syncs, "rows are stale",
    ),
]  # fmt: skip
